#include "embedpool/cuda/info_nce_on.cuh"

#include <doctest/doctest.h>

#include <string>

#include "cuda/info_nce_problem.hpp"
#include "embedpool/loss/matryoshka.hpp"

using namespace embedpool;
using namespace embedpool::test::info_nce;

namespace {

/// In one order of blocks and threads: that all give the same bits is a test of its own.
void check_against_cpu(const InfoNCE& options, const Sizes& sizes, cuda::ScoreBlockShape shape = {16, 24}) {
  CAPTURE(sizes.queries);
  CAPTURE(sizes.negatives);
  const Values x(sizes, static_cast<unsigned>(sizes.queries));
  const Result want = expected(options, x);
  test::TestDevice device;
  const OnDeviceBatch y(device, x);
  cuda::DeviceInfoNce loss(options, shape);
  loss.run(device, y.batch(), y.gradients(), y.loss.data(), y.scale_gradient.data());
  // An inner product of rows as here is below 4 times their width.
  const double largest = options.similarity == Similarity::cosine ? 1 : 4 * static_cast<double>(sizes.width);
  check_equal(y.result(), want, bound(options.scale * largest));
}

struct Variant {
  std::string name;
  InfoNCE options;
};

/// Each option alone, and some together.
std::vector<Variant> variants() {
  const auto with = [](auto&& change) {
    InfoNCE options;
    change(options);
    return options;
  };
  return {{"plain", {}},
          {"dot", with([](InfoNCE& o) { o.similarity = Similarity::dot, o.scale = 0.1; })},
          {"own candidates alone", with([](InfoNCE& o) { o.in_batch = false; })},
          {"own candidates alone, symmetric", with([](InfoNCE& o) { o.in_batch = false, o.symmetric = true; })},
          {"own negatives only", with([](InfoNCE& o) { o.own_negatives_only = true; })},
          {"symmetric", with([](InfoNCE& o) { o.symmetric = true; })},
          {"queries with queries", with([](InfoNCE& o) { o.query_query = true; })},
          {"documents with documents", with([](InfoNCE& o) { o.document_document = true; })},
          {"margin", with([](InfoNCE& o) { o.false_negatives.margin = -0.5; })},
          {"relative", with([](InfoNCE& o) { o.false_negatives.relative = 0.25; })},
          {"margin and relative", with([](InfoNCE& o) { o.false_negatives = {-0.4, 0.3}; })},
          {"qwen3", InfoNCE::qwen3()},
          {"everything", with([](InfoNCE& o) {
             o = InfoNCE::qwen3();
             o.symmetric = true;
             o.similarity = Similarity::dot;
             o.scale = 0.2;
             o.false_negatives = {-1.0, 0.7};
           })}};
}

}  // namespace

TEST_CASE("DeviceInfoNce is the CPU's InfoNCE with every option") {
  for (const Variant& variant : variants()) {
    CAPTURE(variant.name);
    check_against_cpu(variant.options, {4, 1, 2, 2, 23, true});
  }
}

TEST_CASE("DeviceInfoNce is the CPU's InfoNCE at every size of batch") {
  check_against_cpu(InfoNCE{}, {1});
  check_against_cpu(InfoNCE::qwen3(), {1, 0, 0, 1, 1});
  check_against_cpu(InfoNCE{}, {3, 1, 1, 5, 7, true});
  check_against_cpu(InfoNCE{}, {65, 0, 0, 2, 16, true}, {65, 160});
  check_against_cpu(InfoNCE{}, {130, 0, 3, 1, 12}, {128, 256});
}

TEST_CASE("a positive whose score is no number makes the loss none") {
  for (const float bad : {1e20f, std::numeric_limits<float>::infinity(), std::nanf("")}) {  // the first has no square in float
    CAPTURE(bad);
    Values x({2, 0, 0, 0, 3}, 3);
    x.queries[0] = x.positives[0] = bad;
    InfoNCE options;
    options.similarity = Similarity::dot;
    for (const bool in_batch : {true, false}) {
      options.in_batch = in_batch;
      test::TestDevice device;
      const OnDeviceBatch y(device, x);
      cuda::DeviceInfoNce(options).run(device, y.batch(), y.gradients(), y.loss.data(), y.scale_gradient.data());
      CHECK(!std::isfinite(y.result().loss));
    }
  }
}

TEST_CASE("one block of scores or many give the same loss, to rounding") {
  const Values x({6, 1, 2, 2, 24, true}, 4);
  InfoNCE options = InfoNCE::qwen3();
  options.symmetric = true;
  const Result want = expected(options, x);
  test::on_every_device([&](test::TestDevice& device) {
    for (const cuda::ScoreBlockShape shape : {cuda::ScoreBlockShape{}, {4, 7}}) {
      CAPTURE(shape.rows);
      CAPTURE(shape.columns);
      const OnDeviceBatch y(device, x);
      cuda::DeviceInfoNce(options, shape).run(device, y.batch(), y.gradients(), y.loss.data(), y.scale_gradient.data());
      check_equal(y.result(), want, bound(options.scale));
    }
  });
}

TEST_CASE("a loss near 0 keeps its digits") {
  Values x({6, 0, 0, 1}, 3);
  x.positives = x.queries;
  InfoNCE options;
  options.scale = 60;
  const Result want = expected(options, x);
  REQUIRE(want.loss < 1e-8);
  REQUIRE(want.loss > 1e-30);
  test::on_every_device([&](test::TestDevice& device) {
    const OnDeviceBatch y(device, x);
    cuda::DeviceInfoNce(options).run(device, y.batch(), y.gradients(), y.loss.data(), y.scale_gradient.data());
    const Result got = y.result();
    // Relative, where the CPU's difference of logarithms has an absolute error of its last bit.
    CHECK(std::abs(got.loss - want.loss) <= bound(options.scale) * want.loss + 1e-14);
    CHECK(test::relative_error(got.dnegatives, want.dnegatives) <= bound(options.scale));
  });
}

TEST_CASE("loss and gradients are added with the weight, and the scale may lie on the device") {
  const Values x({5, 0, 0, 2}, 8);
  InfoNCE options;
  options.symmetric = true;
  options.scale = 7.5;
  Result want = expected(options, x);
  want.loss *= 2, want.scale_gradient *= 2;
  for (const auto part : {&Result::dqueries, &Result::dpositives, &Result::dnegatives})
    for (float& value : want.*part) value *= 2;
  test::on_every_device([&](test::TestDevice& device) {
    const OnDeviceBatch y(device, x);
    const test::OnDevice<float> scale(device, std::vector<float>{7.5f});
    cuda::DeviceInfoNce loss{InfoNCE{options}};
    loss.run(device, y.batch(), y.gradients(), y.loss.data(), y.scale_gradient.data(), 1.5f);
    options.scale = 1e9;
    cuda::DeviceInfoNce learned(options);
    learned.run(device, y.batch(), y.gradients(), y.loss.data(), y.scale_gradient.data(), 0.5f, scale.data());
    options.scale = 7.5;
    check_equal(y.result(), want, bound(options.scale));
  });
}

TEST_CASE("calls on the first columns are the CPU's Matryoshka") {
  const Values x({7, 0, 2, 1, 24}, 5);
  const Matryoshka<InfoNCE> cpu{InfoNCE{}, {24, 10, 3}, {1.0, 0.5, 0.25}};
  const Result want = expected(cpu, x);
  test::on_every_device([&](test::TestDevice& device) {
    const OnDeviceBatch y(device, x);
    cuda::DeviceInfoNce loss{InfoNCE{}};
    for (std::size_t k = 0; k < cpu.dimensions.size(); ++k) {
      const auto cut = [&](auto rows) { return rows.middle_cols(0, cpu.dimensions[k]); };
      const auto batch = y.batch();
      const auto gradients = y.gradients();
      loss.run(device, {cut(batch.queries), cut(batch.positives), cut(batch.negatives), batch.documents, batch.first_positive},
               {cut(gradients.queries), cut(gradients.positives), cut(gradients.negatives)}, y.loss.data(), nullptr,
               static_cast<float>(cpu.weights[k]));
    }
    check_equal(y.result(), want, bound(20));
  });
}

TEST_CASE("the losses of the queries have the loss as their mean") {
  const Values x({9, 0, 0, 1}, 6);
  test::on_every_device([&](test::TestDevice& device) {
    const OnDeviceBatch y(device, x);
    cuda::DeviceInfoNce loss{InfoNCE{}};
    loss.run(device, y.batch(), y.gradients(), y.loss.data());
    std::vector<float> losses(9);
    device.copy_out(losses.data(), loss.query_losses(), Index(sizeof(float)) * 9);
    device.wait();
    double sum = 0;
    for (const float value : losses) sum += value;
    CHECK(y.loss.values()[0] == doctest::Approx(sum / 9).epsilon(1e-6));  // sums of 9 floats
  });
}

TEST_CASE("the same batch gives the same bits, in every order of blocks and threads") {
  const Values x({6, 0, 0, 2, 20, true}, 7);
  std::vector<Result> results;
  const auto once = [&](test::TestDevice& device) {
    const OnDeviceBatch y(device, x);
    cuda::DeviceInfoNce(InfoNCE::qwen3(), {4, 8})
        .run(device, y.batch(), y.gradients(), y.loss.data(), y.scale_gradient.data());
    results.push_back(y.result());
  };
  test::on_every_device(once);
  test::on_every_device(once);
  for (const Result& result : results) {
    CHECK(result.loss == results.front().loss);
    CHECK(result.scale_gradient == results.front().scale_gradient);
    CHECK(result.dqueries == results.front().dqueries);
    CHECK(result.dpositives == results.front().dpositives);
    CHECK(result.dnegatives == results.front().dnegatives);
  }
}

TEST_CASE("a NaN in an embedding shows in the loss") {
  Values x({3, 0, 0, 1}, 9);
  x.negatives[5] = std::numeric_limits<float>::quiet_NaN();
  test::on_every_device([&](test::TestDevice& device) {
    const OnDeviceBatch y(device, x);
    cuda::DeviceInfoNce{InfoNCE{}}.run(device, y.batch(), y.gradients(), y.loss.data());
    CHECK(std::isnan(y.loss.values()[0]));
  });
}

TEST_CASE("parts that do not fit are refused by name") {
  const Values x({3, 0, 0, 1}, 9);
  test::on_every_device([&](test::TestDevice& device) {
    const OnDeviceBatch y(device, x);
    cuda::DeviceInfoNce loss{InfoNCE{}};
    auto batch = y.batch();
    batch.first_positive = 1;
    CHECK_THROWS_WITH_AS(loss.run(device, batch, y.gradients(), y.loss.data()), doctest::Contains("queries"), ShapeError);
    auto gradients = y.gradients();
    gradients.negatives.rows = 2;
    CHECK_THROWS_WITH_AS(loss.run(device, y.batch(), gradients, y.loss.data()),
                         doctest::Contains("rows of the gradient of the negatives"), ShapeError);
    CHECK_THROWS_WITH_AS(cuda::DeviceInfoNce(InfoNCE{}, {0, 1}), doctest::Contains("block of scores"), ShapeError);
  });
}

TEST_CASE("InfoNCE of embeddings on the host, computed on a device, adds what the CPU's adds") {
  test::TestDevice device;
  const Sizes sizes{.queries = 19, .before = 2, .behind = 3, .negatives = 2, .documents = true};
  const Values x(sizes, 7);
  const auto rows = [&](auto& values) { return Rows(values.data(), static_cast<Index>(values.size()) / x.width, x.width); };
  const ContrastiveBatch<float> batch{rows(x.queries), rows(x.positives), rows(x.negatives), x.documents, x.first};
  const auto check = [&](const auto& loss, const Result& want) {
    Result got = want;
    const ContrastiveGradients<float> gradients{rows(got.dqueries), rows(got.dpositives), rows(got.dnegatives)};
    for (const auto part : {&Result::dqueries, &Result::dpositives, &Result::dnegatives}) std::ranges::fill(got.*part, 0.5f);
    got.loss = loss(batch, gradients);
    for (const auto part : {&Result::dqueries, &Result::dpositives, &Result::dnegatives})
      for (float& value : got.*part) value -= 0.5f;  // what was there before
    check_equal(got, want, 2 * bound(20));  // 0.5 costs gradients another rounding
  };
  const cuda::InfoNceOn<test::TestDevice> loss(device, InfoNCE::qwen3());
  check(loss, expected(InfoNCE::qwen3(), x));
  const Matryoshka<InfoNCE> cuts{InfoNCE::qwen3(), {7, x.width}, {0.5, 1.0}};
  check(Matryoshka<cuda::InfoNceOn<test::TestDevice>>{loss, cuts.dimensions, cuts.weights}, expected(cuts, x));
  const std::vector<double> scores(static_cast<std::size_t>(sizes.queries));
  Result unused = expected(InfoNCE{}, x);
  const ContrastiveBatch<float> scored{batch.queries, batch.positives, {}, {}, 0, scores};
  CHECK_THROWS_WITH_AS(loss(scored, {rows(unused.dqueries), rows(unused.dpositives), {}}), doctest::Contains("scores"), ShapeError);
  const ContrastiveGradients<float> short_rows{rows(unused.dqueries).middle_rows(0, 1), rows(unused.dpositives), rows(unused.dnegatives)};
  CHECK_THROWS_WITH_AS(loss(batch, short_rows), doctest::Contains("the queries"), ShapeError);
}
