#include <doctest/doctest.h>

#include <random>

#include "embedpool/loss/any_pair_loss.hpp"
#include "embedpool/loss/loss_of_batch.hpp"
#include "embedpool/train/trainer.hpp"
#include "train/small_training.hpp"

using namespace embedpool;

namespace {

template <Real S>
using School = test::SmallTraining<S>;

TrainingSettings settings(Index chunk = 0, double dropout = 0.2) { return School<float>::settings(chunk, dropout); }

const LossOfBatch<InfoNCE, CoSENT> any_loss{};

/// That a gradient cache of `chunk` texts gives the gradients of the batch to rounding, and that its loss falls together with
/// that of a batch of pairs.
void check_learned_beside_pairs(const School<double>::Texts& batch, Index chunk) {
  SerialExecutor serial;
  School<double> whole, parts, school;
  const double value = contrastive_gradients(whole.model, batch, any_loss, 0, {}, serial);
  CHECK(contrastive_gradients(parts.model, batch, any_loss, chunk, {}, serial) == doctest::Approx(value).epsilon(1e-13));
  for (std::size_t i = 0; i < whole.gradients().size(); ++i) {
    const double largest = std::max(1e-3, whole.gradients()[i].cwiseAbs().maxCoeff());
    CHECK((parts.gradients()[i] - whole.gradients()[i]).cwiseAbs().maxCoeff() < 1e-13 * largest);  // order of sums
  }
  auto chosen = settings(0, 0.0);
  chosen.schedule = {Schedule::Decay::constant, 0, 1};
  chosen.rate = chosen.head_rate = 0.003;
  Trainer trainer(school.model, any_loss, chosen);
  CHECK(trainer.evaluate(batch, serial) == doctest::Approx(value).epsilon(1e-13));
  const auto contrast = School<double>::batch(0);
  const double contrast_before = trainer.evaluate(contrast, serial);
  const std::vector<School<double>::Texts> both{batch, contrast};
  for (Index step = 0; step < 10; ++step) trainer.step(both, serial);
  CHECK(trainer.evaluate(batch, serial) < value - 0.02);
  CHECK(trainer.evaluate(contrast, serial) < contrast_before - 0.02);
}

}  // namespace

TEST_CASE("a gradient cache gives the gradients of the whole batch to rounding, dropout replayed") {
  SerialExecutor serial;
  const auto batch = School<double>::batch(1);
  const auto gradients = [&](Index chunk, const DropoutKey& key) {
    School<double> school;
    contrastive_gradients(school.model, batch, InfoNCE{}, chunk, key, serial);
    return school.gradients();
  };
  const DropoutKey key{0.3, 5, 6, 0};
  const auto whole = gradients(0, key);
  for (const Index chunk : {1, 2, 5, 11, 12}) {
    const auto parts = gradients(chunk, key);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      const double largest = std::max(1e-3, whole[i].cwiseAbs().maxCoeff());
      CHECK((parts[i] - whole[i]).cwiseAbs().maxCoeff() < 1e-13 * largest);  // other order of sums over chunks
    }
  }
  const auto other = gradients(2, DropoutKey{0.3, 5, 7, 0});
  CHECK((other[0] - whole[0]).cwiseAbs().maxCoeff() > 1e-3 * whole[0].cwiseAbs().maxCoeff());  // coins matter
}

TEST_CASE("accumulated batches have the mean gradient of their own, each with dropout coins of its own") {
  SerialExecutor serial;
  const auto batch = School<double>::batch(1);
  const std::vector<ContrastiveTexts<TrainingText>> twice{batch, batch};
  const auto gradients = [&](std::span<const ContrastiveTexts<TrainingText>> batches, double dropout) {
    School<double> school;
    auto unclipped = settings(0, dropout);
    unclipped.longest_gradient = 0;
    Trainer trainer(school.model, InfoNCE{}, unclipped);
    trainer.step(batches, serial);
    return school.gradients();
  };
  const auto difference = [&](double dropout) {
    const auto once = gradients({&batch, 1}, dropout), mean = gradients(twice, dropout);
    double worst = 0;
    for (std::size_t i = 0; i < once.size(); ++i)
      worst = std::max(worst, (mean[i] - once[i]).cwiseAbs().maxCoeff() / std::max(1e-3, once[i].cwiseAbs().maxCoeff()));
    return worst;
  };
  CHECK(difference(0) < 1e-13);    // the same gradient twice, summed in another order
  CHECK(difference(0.3) > 1e-3);  // other values were dropped the second time
}

TEST_CASE("a run has the same bits for any number of threads, with the base trained too") {
  const auto run = [](auto& executor) {
    School<float> school({true, true, true});
    Trainer trainer(school.model, InfoNCE{}, settings(5));
    for (Index step = 0; step < 4; ++step) trainer.step(School<float>::batch(step), executor);
    return school.values();
  };
  SerialExecutor serial;
  testing::ShuffledExecutor shuffled(3, 5);
  DefaultExecutor threads(3);
  const auto expected = run(serial);
  CHECK(run(shuffled) == expected);
  CHECK(run(threads) == expected);
}

TEST_CASE("training lowers the loss of what it is taught, and moves only what is trained") {
  SerialExecutor serial;
  for (const TrainedParts parts : {TrainedParts{true, false, false}, {false, true, false}, {true, true, true}}) {
    School<float> school(parts);
    auto chosen = settings(0, 0.0);
    chosen.schedule = {Schedule::Decay::constant, 0, 1};
    chosen.rate = chosen.head_rate = 0.003;
    Trainer trainer(school.model, InfoNCE{}, chosen);
    const auto adapter = school.model.adapter.entries[0].lora.b;
    const Matrix<float> embedding_before = school.model.embed(School<float>::batch(0).texts, {}, serial);
    const double before = trainer.evaluate(School<float>::batch(0), serial);
    for (Index step = 0; step < 10; ++step) trainer.step(School<float>::batch(0), serial);
    CHECK(trainer.evaluate(School<float>::batch(0), serial) < before - 0.02);
    CHECK((school.model.adapter.entries[0].lora.b == adapter) == !parts.adapter);
    CHECK(school.model.embed(School<float>::batch(0).texts, {}, serial) != embedding_before);
  }
}

TEST_CASE("a dropout that is no probability below 1 is refused") {
  School<float> school;
  for (const double rate : {-0.1, 1.0, std::nan("")}) {
    TrainingSettings wrong = settings();
    wrong.dropout = rate;
    CHECK_THROWS_WITH_AS(Trainer(school.model, InfoNCE{}, wrong), doctest::Contains("dropout"), ShapeError);
  }
}

TEST_CASE("a loss or a gradient that is no number stops the training with step and batch, and changes nothing") {
  SerialExecutor serial;
  School<float> school;
  Trainer trainer(school.model, InfoNCE{}, settings());
  trainer.step(School<float>::batch(0), serial);
  const auto before = school.values();
  struct Broken {
    double value;
    float gradient;
    double operator()(const ContrastiveBatch<float>&, const ContrastiveGradients<float>& d) const {
      d.queries(0, 0) += gradient;
      return value;
    }
  };
  const auto message = [&](const Broken& loss) -> std::string {
    Trainer broken(school.model, loss, settings());
    try {
      broken.step(School<float>::batch(0), serial);
    } catch (const TrainingError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message({std::nan(""), 0}).find("training: step 0, batch 0: the loss is") == 0);
  CHECK(message({1.0, std::numeric_limits<float>::infinity()}) == "training: step 0, batch 0: a gradient is not finite");
  CHECK(school.values() == before);
}

TEST_CASE("a batch may forbid in-batch negatives: each query has its own alone then, in Matryoshka losses too") {
  SerialExecutor serial;
  School<double> school;
  auto batch = School<double>::batch(2);
  batch.in_batch_negatives = false;
  double alone = 0;
  for (Index i = 0; i < 4; ++i) {
    School<double>::Texts one;
    one.queries = 1;
    for (const Index part : {0, 1, 2}) one.texts.push_back(batch.texts[static_cast<std::size_t>(4 * part + i)]);
    alone += contrastive_gradients(school.model, one, InfoNCE{}, 0, {}, serial) / 4;
  }
  CHECK(contrastive_gradients(school.model, batch, InfoNCE{}, 0, {}, serial) == doctest::Approx(alone).epsilon(1e-12));
  const Matryoshka<InfoNCE> nested{{}, {36}, {1.0}};
  CHECK(contrastive_gradients(school.model, batch, nested, 0, {}, serial) == doctest::Approx(alone).epsilon(1e-12));
  batch.in_batch_negatives = true;
  CHECK(contrastive_gradients(school.model, batch, InfoNCE{}, 0, {}, serial) > alone);
}

TEST_CASE("scored pairs are learned beside contrastive batches, with a gradient cache to rounding") {
  SerialExecutor serial;
  auto pairs = School<double>::batch(3, 5, 0);
  pairs.scores = {4, 0, 2, 1, 3};
  check_learned_beside_pairs(pairs, 3);
  School<double> school;
  Trainer trainer(school.model, any_loss, settings());
  pairs.scores.pop_back();
  CHECK_THROWS_WITH_AS(trainer.step(pairs, serial), doctest::Contains("scores"), ShapeError);
  auto negatives = School<double>::batch(3, 5, 1);
  negatives.scores = {4, 0, 2, 1, 3};
  CHECK_THROWS_WITH_AS(trainer.step(negatives, serial), doctest::Contains("texts of scored pairs"), ShapeError);
}

TEST_CASE("a teacher's similarities are learned, with a gradient cache to rounding, beside batches without one") {
  SerialExecutor serial;
  auto taught = School<double>::batch(2, 4, 1);
  std::mt19937 generator(5);
  std::normal_distribution<float> normal;
  taught.teacher = Matrix<float>::NullaryExpr(12, 7, [&] { return normal(generator); });
  check_learned_beside_pairs(taught, 5);
  School<double> school;
  Trainer trainer(school.model, any_loss, settings());
  taught.teacher = taught.teacher.topRows(11).eval();
  CHECK_THROWS_WITH_AS(trainer.step(taught, serial), doctest::Contains("rows of the teacher"), ShapeError);
}

TEST_CASE("batches that are no whole number of queries are refused") {
  SerialExecutor serial;
  School<float> school;
  Trainer trainer(school.model, InfoNCE{}, settings());
  auto batch = School<float>::batch(0);
  batch.texts.pop_back();
  CHECK_THROWS_AS(trainer.step(batch, serial), ShapeError);
  batch.queries = 0;
  CHECK_THROWS_AS(trainer.step(batch, serial), ShapeError);
  CHECK_THROWS_AS(trainer.step(std::span<const School<float>::Texts>{}, serial), ShapeError);
}
