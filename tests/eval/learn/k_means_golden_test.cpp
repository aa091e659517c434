#include <doctest/doctest.h>

#include "embedpool/eval/learn/k_means.hpp"
#include "embedpool/eval/metrics/v_measure.hpp"
#include "embedpool/io/json.hpp"
#include "support/golden.hpp"

using namespace embedpool;

namespace {
std::vector<Index> indices_of(const io::Tensor& tensor) {
  const auto values = io::integers_of(tensor);
  return {values.begin(), values.end()};
}
}  // namespace

TEST_CASE("Lloyd's iteration from given centres agrees with the reference") {
  const auto file = io::SafetensorsFile::open(test::golden_directory() / "metrics.safetensors");
  const io::Json expected = io::read_json(test::golden_directory() / "metrics.json").at("kmeans");
  const auto x = io::matrix_of<float>(file.at("kmeans.x")), start = io::matrix_of<float>(file.at("kmeans.initial_centres"));
  const auto labels = indices_of(file.at("kmeans.labels"));
  SerialExecutor serial;
  const NearestCentres first = nearest_centres(rows_of(x), start, serial);
  CHECK(first.centre == indices_of(file.at("kmeans.first_assignment")));
  CHECK(v_measure(labels, first.centre).v_measure == doctest::Approx(expected.at("first_v_measure").get<double>()).epsilon(1e-9));

  const Clustering clustering = k_means(rows_of(x), start, serial);
  CHECK(clustering.centres.rows() == expected.at("k").get<Index>());
  CHECK(clustering.assignment.centre == indices_of(file.at("kmeans.assignment")));
  CHECK(v_measure(labels, clustering.assignment.centre).v_measure ==
        doctest::Approx(expected.at("v_measure").get<double>()).epsilon(1e-9));
  // Centres are kept in float; the reference's are double: half a unit of the last place of values up to the peak.
  const auto centres = io::matrix_of<double>(file.at("kmeans.centres"));
  CHECK(test::peak(Matrix<double>(clustering.centres.cast<double>() - centres)) <= 6e-8 * test::peak(centres));
  // First order in that error it is zero, since means minimise the inertia.
  CHECK(clustering.assignment.inertia() == doctest::Approx(expected.at("inertia").get<double>()).epsilon(1e-9));
}
