#include "train/golden_run.hpp"

using namespace embedpool;

namespace {

/// Every tensor of the model against those stored under a prefix; returns how many there are.
template <Real S>
Index compare_tensors(const test::GoldenRun<S>& run, const std::vector<TrainedTensor<S>>& tensors, const std::string& prefix,
                      bool gradients, double tolerance) {
  Index compared = 0;
  for (const TrainedTensor<S>& tensor : tensors) {
    const auto* stored = run.file.find(prefix + run.stored_name(tensor.name));
    if (stored == nullptr) continue;
    const std::string name = prefix + tensor.name;
    CAPTURE(name);
    const Matrix<S>& ours = gradients ? *tensor.gradient : *tensor.value;
    const Matrix<S> values = test::matrix<S>(*stored);
    REQUIRE(values.size() == ours.size());
    const Matrix<S> shaped = Eigen::Map<const Matrix<S>>(values.data(), ours.rows(), ours.cols());
    CHECK(test::largest_difference(ours, shaped) < tolerance);
    ++compared;
  }
  return compared;
}

Index stored_with(const io::SafetensorsFile& file, const std::string& prefix) {
  return std::count_if(file.tensors().begin(), file.tensors().end(),
                       [&](const auto& entry) { return entry.first.starts_with(prefix); });
}

// Plain float32 was measured at 1.4e-6 (losses) and 2e-6 (parameters); 1e-4 is what the golden README suggests. In double
// what remains is the rounding of the stored values, up to 4, to float32. In float losses have the error of their cosines
// times the scale, and AdamW's first steps turn the rounding of small gradients into shares of the rate.
template <Real S>
constexpr double tolerance = sizeof(S) == sizeof(double) ? 1e-6 : 1e-4;
template <Real S>
double tolerance_of_losses(double scale) {
  return tolerance<S> * (sizeof(S) == sizeof(double) ? 1 : std::max(1.0, scale / 20));
}
template <Real S>
double tolerance_of_parameters(double rate) {
  return sizeof(S) == sizeof(double) ? tolerance<S> : std::max(tolerance<S>, rate / 10);
}

template <Real S>
void check_run(Index chunk, const std::string& prefix) {
  const test::GoldenRun<S> run;
  const auto model = run.model();
  TrainingSettings settings = run.settings;
  settings.chunk = chunk;
  Trainer trainer(*model, run.loss, settings);
  SerialExecutor serial;
  const auto losses = run.numbers(prefix + "losses"), norms = run.numbers(prefix + "grad_norms");
  const auto rates = run.numbers("learning_rates");
  REQUIRE(static_cast<Index>(losses.size()) == run.steps);
  Index compared = 0;
  for (Index step = 0; step < run.steps; ++step) {
    CAPTURE(step);
    const StepReport report = trainer.step(run.batch(step), serial);
    const auto at = static_cast<std::size_t>(step);
    CHECK(report.step == step);
    CHECK(report.rate == doctest::Approx(rates[at]).epsilon(1e-12));
    const double bound = tolerance_of_losses<S>(run.loss.scale);
    CHECK(std::abs(report.loss - losses[at]) < bound);
    CHECK(std::abs(report.gradient_norm - norms[at]) < bound * norms[at]);
    compared += compare_tensors(run, trainer.tensors(), prefix + "after" + std::to_string(step + 1) + ".", false,
                                tolerance_of_parameters<S>(settings.rate));
  }
  CHECK(compared == stored_with(run.file, prefix + "after"));
  CHECK(compared > 0);
}

}  // namespace

TEST_CASE_TEMPLATE("the recorded run is reproduced: losses, norms, rates, and parameters", S, float, double) {
  check_run<S>(0, "");
}

TEST_CASE_TEMPLATE("a gradient cache reproduces the recorded run, whatever the size of its chunks", S, float, double) {
  for (const Index chunk : {1, 2, 5}) check_run<S>(chunk, "gradcache.");
}

TEST_CASE_TEMPLATE("the gradients of the first step are the recorded ones", S, float, double) {
  const test::GoldenRun<S> run;
  SerialExecutor serial;
  for (const Index chunk : {0, 2}) {
    const auto model = run.model();
    contrastive_gradients(*model, run.batch(0), run.loss, chunk, DropoutKey{}, serial);
    const double largest = run.numbers("grad_norms")[0];  // no gradient is larger than the norm of all
    const Index compared = compare_tensors(run, model->tensors(), "step1.grad.", true,
                                           tolerance_of_losses<S>(run.loss.scale) * largest);
    CHECK(compared == stored_with(run.file, "step1.grad."));
    CHECK(compared > 0);
  }
}

TEST_CASE("gradient accumulation over batches of one query gives the recorded losses, which are others") {
  const test::GoldenRun<double> run;
  const auto model = run.model();
  Trainer trainer(*model, run.loss, run.settings);
  SerialExecutor serial;
  double difference = 0;
  const auto losses = run.numbers("accumulate.losses"), together = run.numbers("losses");
  for (Index step = 0; step < run.steps; ++step) {
    const auto batch = run.batch(step);
    std::vector<test::GoldenRun<double>::Texts> queries;
    for (Index query = 0; query < batch.queries; ++query) queries.push_back(run.alone(batch, query));
    const StepReport report = trainer.step(std::span<const test::GoldenRun<double>::Texts>(queries), serial);
    const auto at = static_cast<std::size_t>(step);
    CHECK(report.loss == doctest::Approx(losses[at]).epsilon(1e-6));
    difference = std::max(difference, std::abs(losses[at] - together[at]));
  }
  if (run.batch(0).queries > 1) CHECK(difference > 0.01);
}
