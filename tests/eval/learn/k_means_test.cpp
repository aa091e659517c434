#include <doctest/doctest.h>

#include "embedpool/core/thread_pool.hpp"
#include "embedpool/eval/learn/mini_batch_k_means.hpp"
#include "embedpool/testing/shuffled_executor.hpp"

using namespace embedpool;

namespace {

/// n rows about `groups` points, from a linear congruence: exactly the numbers that the recorded results were made with.
Matrix<float> rows_about_points(Index n, Index d, Index groups, float spread) {
  std::uint64_t x = 12345;
  Matrix<float> rows(n, d);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < d; ++j) {
      x = (1103515245 * x + 12345) % (std::uint64_t(1) << 31);
      const double noise = static_cast<double>((x >> 16) % 1000) / 1000.0;
      rows(i, j) = static_cast<float>(noise * static_cast<double>(spread)) + static_cast<float>(i % groups * (j + 3) % 7);
    }
  return rows;
}

std::vector<Index> sizes_of(const Clustering& clustering) {
  std::vector<Index> sizes(static_cast<std::size_t>(clustering.centres.rows()));
  for (const Index k : clustering.assignment.centre) ++sizes[static_cast<std::size_t>(k)];
  return sizes;
}

}  // namespace

TEST_CASE("rows go to the nearest centre, of equally near ones to the first") {
  Matrix<float> x(4, 1), centres(3, 1);
  x << 0, 4.9f, 5, 20;
  centres << 0, 10, 10;
  SerialExecutor serial;
  const NearestCentres nearest = nearest_centres(rows_of(x), centres, serial);
  CHECK(nearest.centre == std::vector<Index>{0, 0, 0, 1});
  CHECK(nearest.squared_distance[3] == 100);
}

TEST_CASE("Lloyd's iteration ends with centres that are the means of their rows") {
  Matrix<float> x(5, 1), start(2, 1);
  x << 0, 1, 2, 10, 12;
  start << 0, 1;
  SerialExecutor serial;
  const Clustering clustering = k_means(rows_of(x), start, serial);
  CHECK(clustering.assignment.centre == std::vector<Index>{0, 0, 0, 1, 1});
  CHECK(clustering.centres(0, 0) == 1);
  CHECK(clustering.centres(1, 0) == 11);
  CHECK(clustering.assignment.inertia() == 4);
}

TEST_CASE("k-means++ chooses the rows that scikit-learn chooses with the same random numbers") {
  // kmeans_plusplus(x, 7, random_state=42) of scikit-learn 1.9.
  const Matrix<float> x = rows_about_points(50, 4, 5, 2);
  MersenneTwister random(42);
  SerialExecutor serial;
  CHECK(k_means_plus_plus(rows_of(x), 7, random, serial) == std::vector<Index>{18, 29, 5, 36, 42, 10, 13});
}

TEST_CASE("mini-batch k-means ends as scikit-learn's does with the same random numbers") {
  // MiniBatchKMeans(n_init=1, random_state=42) of scikit-learn 1.9; the third case moves centres that have few rows.
  struct Recorded {
    Index n, d, groups, k, batch;
    float spread;
    Index steps;
    double inertia;
    std::vector<Index> first_sizes;
  };
  SerialExecutor serial;
  for (const Recorded& r : {Recorded{1500, 8, 6, 6, 100, 1, 39, 983.43408203125, {250, 250, 250, 250, 250, 250}},
                            Recorded{1500, 8, 6, 6, 100, 4, 41, 18659.19140625, {252, 461, 250, 248, 216, 73}},
                            Recorded{900, 8, 6, 40, 20, 4, 80, 6504.0615234375, {16, 16, 20, 17, 52, 37, 21, 48}},
                            Recorded{300, 4, 5, 5, 500, 2, 28, 398.5908508300781, {60, 60, 60, 60, 60}}}) {
    const Matrix<float> x = rows_about_points(r.n, r.d, r.groups, r.spread);
    MiniBatchKMeansOptions options;
    options.batch_size = r.batch;
    const Clustering clustering = mini_batch_k_means(rows_of(x), r.k, serial, options);
    CHECK(clustering.steps == r.steps);
    auto sizes = sizes_of(clustering);
    sizes.resize(r.first_sizes.size());
    CHECK(sizes == r.first_sizes);
    // Theirs is summed in float: some 1e-7 for each of a few hundred additions, most of which cancel.
    CHECK(clustering.assignment.inertia() == doctest::Approx(r.inertia).epsilon(1e-5));
  }
}

TEST_CASE("clusterings do not depend on the executor, to the bit") {
  const Matrix<float> x = rows_about_points(700, 5, 6, 4);
  SerialExecutor serial;
  ThreadPool pool(3);
  testing::ShuffledExecutor shuffled(5);
  const Clustering one = mini_batch_k_means(rows_of(x), 9, serial);
  for (const Clustering& other : {mini_batch_k_means(rows_of(x), 9, pool), mini_batch_k_means(rows_of(x), 9, shuffled)}) {
    CHECK(one.centres == other.centres);
    CHECK(one.assignment.centre == other.assignment.centre);
    CHECK(one.assignment.squared_distance == other.assignment.squared_distance);
  }
}

TEST_CASE("rows that are all alike, and as many clusters as rows, are clustered all the same") {
  SerialExecutor serial;
  const Matrix<float> alike = Matrix<float>::Constant(20, 3, 2);
  const Clustering same = mini_batch_k_means(rows_of(alike), 4, serial);
  CHECK(same.assignment.inertia() == 0);
  CHECK(same.assignment.centre == std::vector<Index>(20, 0));
  Matrix<float> apart(4, 1);
  apart << 0, 10, 20, 30;
  const Clustering each = mini_batch_k_means(rows_of(apart), 4, serial);
  CHECK(each.centres.allFinite());
  CHECK(each.assignment.inertia() <= 4 * 10 * 10);  // no row is farther from a centre than from its neighbour
  CHECK_THROWS_AS(mini_batch_k_means(rows_of(apart), 5, serial), ShapeError);
  CHECK_THROWS_AS(mini_batch_k_means(rows_of(apart), 0, serial), ShapeError);
}
