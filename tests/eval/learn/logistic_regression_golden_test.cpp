#include <doctest/doctest.h>

#include "embedpool/eval/learn/logistic_regression.hpp"
#include "embedpool/io/json.hpp"
#include "support/golden.hpp"

using namespace embedpool;

namespace {

/// One experiment of the golden files: a few-shot sample of a training set, and a test set.
template <Real S>
struct Experiment {
  std::string name;
  io::Json expected;
  Matrix<S> train, test;
  std::vector<Index> train_labels;
  Index classes;
};

std::vector<Index> indices_of(const io::Tensor& tensor) {
  const auto values = io::integers_of(tensor);
  return {values.begin(), values.end()};
}

template <Real S, class Check>
void for_each_experiment(const Check& check) {
  const auto file = io::SafetensorsFile::open(test::golden_directory() / "metrics.safetensors");
  const io::Json tasks = io::read_json(test::golden_directory() / "metrics.json").at("classification");
  REQUIRE(!tasks.empty());
  for (std::size_t c = 0; c < tasks.size(); ++c) {
    const std::string prefix = "classification." + std::to_string(c);
    const auto all = io::matrix_of<S>(file.at(prefix + ".train"));
    const auto labels = indices_of(file.at(prefix + ".train_labels"));
    for (std::size_t e = 0; e < tasks[c].at("experiments").size(); ++e) {
      Experiment<S> experiment{prefix + ".experiment" + std::to_string(e), tasks[c].at("experiments")[e], {}, {}, {}, 0};
      const auto chosen = experiment.expected.at("train_indices").template get<std::vector<Index>>();
      experiment.train.resize(static_cast<Index>(chosen.size()), all.cols());
      for (std::size_t i = 0; i < chosen.size(); ++i) {
        experiment.train.row(static_cast<Index>(i)) = all.row(chosen[i]);
        experiment.train_labels.push_back(labels[static_cast<std::size_t>(chosen[i])]);
      }
      experiment.test = io::matrix_of<S>(file.at(prefix + ".test"));
      experiment.classes = tasks[c].at("classes").template get<Index>();
      CAPTURE(experiment.name);
      check(file, experiment);
    }
  }
}

}  // namespace

TEST_CASE_TEMPLATE("predictions of the default options agree with the reference", S, float, double) {
  for_each_experiment<S>([](const io::SafetensorsFile& file, const Experiment<S>& e) {
    SerialExecutor serial;
    const auto model = LogisticRegression<S>::fit(rows_of(e.train), e.train_labels, e.classes, serial);
    CHECK(model.predict(rows_of(e.test), serial) == indices_of(file.at(e.name + ".predictions")));
  });
}

TEST_CASE("the default options stop where the reference stops") {
  for_each_experiment<double>([](const io::SafetensorsFile& file, const Experiment<double>& e) {
    SerialExecutor serial;
    const auto model = LogisticRegression<double>::fit(rows_of(e.train), e.train_labels, e.classes, serial);
    // The iterates are the same up to rounding, which may decide a stopping rule that is met by a hair.
    const int expected = e.expected.at("iterations").get<int>();
    CHECK(std::abs(model.fit_result.iterations - expected) <= 1 + expected / 20);
    if (model.fit_result.iterations != expected) return;
    // A few dozen iterations blow up rounding errors to less than this (a hundred of a badly scaled problem to 1e-5); those of
    // the next iteration are about 1e-4 away.
    constexpr double near = 5e-5;
    CHECK(test::peak(Matrix<double>(model.coefficients - io::matrix_of<double>(file.at(e.name + ".coef_max_iter_100")))) < near);
    const auto intercept = io::matrix_of<double>(file.at(e.name + ".intercept_max_iter_100"));
    for (std::size_t k = 0; k < model.intercept.size(); ++k)
      CHECK(std::abs(model.intercept[k] - intercept(0, static_cast<Index>(k))) < near);
  });
}

TEST_CASE("with small tolerances the coefficients are those of the minimum") {
  for_each_experiment<double>([](const io::SafetensorsFile& file, const Experiment<double>& e) {
    SerialExecutor serial;
    LogisticRegressionOptions options;
    options.optimiser.most_iterations = 10000;
    options.optimiser.gradient_tolerance = 1e-12;  // far below the 1e-5 that is compared, where the loss is flat too
    options.optimiser.value_tolerance = 0;
    const auto model = LogisticRegression<double>::fit(rows_of(e.train), e.train_labels, e.classes, serial, options);
    // The golden files' tolerance; their own minimum is within 2e-6 of the exact one.
    CHECK(test::peak(Matrix<double>(model.coefficients - io::matrix_of<double>(file.at(e.name + ".coef")))) < 1e-5);
    const auto intercept = io::matrix_of<double>(file.at(e.name + ".intercept"));
    // With more than two classes only differences of intercepts are determined, and where classes lie far apart by little.
    for (std::size_t k = 0; k < model.intercept.size(); ++k) {
      const bool one = model.intercept.size() == 1;
      CHECK(std::abs(model.intercept[k] - (one ? 0 : model.intercept[0]) -
                     (intercept(0, static_cast<Index>(k)) - (one ? 0 : intercept(0, 0)))) < 1e-4);
    }
    // The reference's objective is the sum over samples.
    const double n = static_cast<double>(e.train.rows());
    CHECK(model.fit_result.value * n == doctest::Approx(e.expected.at("objective_at_optimum").get<double>()).epsilon(1e-9));
  });
}
