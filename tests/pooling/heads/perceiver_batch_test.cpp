#include <doctest/doctest.h>

#include <cstring>

#include "embedpool/pooling/heads/perceiver_head.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "embedpool/testing/shuffled_executor.hpp"

using namespace embedpool;
using head_math::ValueOrder;

namespace {

/// A batch of texts of these numbers of keys, with parameters that are random everywhere: a zero start would hide the
/// attention.
template <Real S>
struct Problem {
  PerceiverHead head;
  Index width;
  PerceiverHead::Params<S> params;
  std::vector<Matrix<S>> rows;
  std::vector<std::vector<Index>> slots;
  std::vector<Keys<S>> texts;
  Matrix<S> de;

  Problem(const PerceiverHead& of, Index wide, const std::vector<Index>& keys) : head(of), width(wide) {
    std::mt19937_64 generator(5);
    Index most = 0;
    for (const Index count : keys) most = std::max(most, count);
    params = head.template init<S>(width, most + 2, 3);
    PerceiverHead::for_each(params, [&](const std::string&, Matrix<S>& tensor) {
      tensor += S(0.3) * head_math::normal_init<S>(tensor.rows(), tensor.cols(), 1.0, generator);
    });
    for (const Index count : keys) {
      rows.push_back(head_math::normal_init<S>(count, width, 1.0, generator));
      slots.emplace_back();
      for (Index k = 0; k < count; ++k) slots.back().push_back(count + 1 - k);  // not in order, not from 0
    }
    for (std::size_t b = 0; b < rows.size(); ++b) texts.push_back({rows_of(std::as_const(rows[b])), slots[b]});
    de = head_math::normal_init<S>(static_cast<Index>(keys.size()), width, 1.0, generator);
  }

  struct Result {
    Matrix<S> e;
    std::vector<std::pair<std::string, Matrix<S>>> gradients;  // parameters, then keys text by text
  };
  template <class Backward>
  Result result(const Backward& backward) const {
    Result out;
    out.e.resize(de.rows(), width);
    auto dparams = params;
    PerceiverHead::for_each(dparams, [](auto&&, Matrix<S>& tensor) { tensor.setZero(); });
    std::vector<Matrix<S>> dkeys;
    for (const auto& text : rows) dkeys.push_back(Matrix<S>::Zero(text.rows(), width));
    backward(out.e, dparams, dkeys);
    PerceiverHead::for_each(dparams,
                            [&](const std::string& name, Matrix<S>& t) { out.gradients.emplace_back(name, t); });
    for (const auto& text : dkeys) out.gradients.emplace_back("keys", text);
    return out;
  }
  Result plain() const {
    return result([&](Matrix<S>& e, auto& dparams, auto& dkeys) {
      for (std::size_t b = 0; b < texts.size(); ++b) {
        PerceiverHead::Cache<S> cache;
        const Index row = static_cast<Index>(b);
        e.row(row) = head.forward(params, texts[b], cache);
        head.backward(params, texts[b], cache, RowVector<S>(de.row(row)), dparams, rows_of(dkeys[b]));
      }
    });
  }
  Result batched(ExecutorRef executor) const {
    return result([&](Matrix<S>& e, auto& dparams, auto& dkeys) {
      const auto prepared = head.prepare(params, executor);
      PerceiverHead::Batch<S> batch;
      std::vector<Rows<S>> views;
      for (auto& text : dkeys) views.push_back(rows_of(text));
      PerceiverHead::PreparedGradient<S> dprepared;
      head.template forward_all_kept<S>(params, prepared, texts, batch, rows_of(e), executor);
      head.template backward_all<S>(params, prepared, texts, batch, rows_of(de), dparams, dprepared, views, executor);
      head.template chain<S>(params, prepared, dprepared, dparams, executor);
    });
  }
  Matrix<S> inference(std::span<const Keys<S>> some, ExecutorRef executor) const {
    Matrix<S> e(static_cast<Index>(some.size()), width);
    PerceiverHead::Batch<S> batch;
    head.template forward_all<S>(params, head.prepare(params, executor), some, batch, rows_of(e), executor);
    return e;
  }
};

/// Sizes under which texts take every order of products, keys are folded and are not, and widths are 1, odd, and more
/// than a tile.
struct Sizes {
  PerceiverHead head;
  Index width;
};
std::vector<Sizes> every_way() {
  std::vector<Sizes> all;
  for (const Residual residual : {Residual::latents, Residual::pooled}) {
    all.push_back({{12, 2, 5, 7, true, residual}, 9});
    all.push_back({{12, 2, 16, 7, true, residual}, 9});
    all.push_back({{1, 3, 4, 0, false, residual}, 11});
    all.push_back({{40, 2, 2, 5, true, residual}, 11});
    all.push_back({{70, 1, 67, 3, false, residual}, 130});
    all.push_back({{3, 2, 1, 2, false, residual}, 1});
  }
  return all;
}
const std::vector<Index> mixed_lengths{1, 3, 20, 1, 70, 2};

template <Real S>
bool same_bits(const Matrix<S>& a, const Matrix<S>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(S)) == 0;
}

}  // namespace

TEST_CASE("the sizes tested take every order of products, folded and not") {
  bool seen[4] = {}, folded[2] = {};
  for (const Sizes& s : every_way())
    for (const Index keys : mixed_lengths) {
      const head_math::AttentionSizes sizes{s.width, s.head.latents, s.head.heads, s.head.head_dim};
      seen[static_cast<int>(head_math::value_order(sizes, keys))] = true;
      folded[head_math::fold_keys(sizes)] = true;
    }
  for (const bool order : seen) CHECK(order);
  CHECK(folded[0]);
  CHECK(folded[1]);
}

TEST_CASE_TEMPLATE("a batch gives the embeddings and gradients of the definition, whatever the order of products", S,
                   float, double) {
  // The same sums in another order: some hundred roundings on the longest way through the head, more in gradients.
  const double tolerance = std::same_as<S, float> ? 3e-5 : 1e-13;
  SerialExecutor serial;
  for (const Sizes& s : every_way()) {
    CAPTURE(s.width);
    CAPTURE(s.head.latents);
    const Problem<S> problem(s.head, s.width, mixed_lengths);
    const auto plain = problem.plain(), batched = problem.batched(serial);
    CHECK(testing::relative_error(batched.e, plain.e) < tolerance);
    CHECK(testing::relative_error(problem.inference(problem.texts, serial), plain.e) < tolerance);
    for (std::size_t i = 0; i < plain.gradients.size(); ++i) {
      CAPTURE(plain.gradients[i].first);
      CHECK(testing::relative_error(batched.gradients[i].second, plain.gradients[i].second) < 10 * tolerance);
    }
  }
}

TEST_CASE("a text's embedding has the same bits in any batch, in training and for any executor") {
  for (const Sizes& s : every_way()) {
    CAPTURE(s.width);
    CAPTURE(s.head.latents);
    const Problem<float> problem(s.head, s.width, mixed_lengths);
    SerialExecutor serial;
    const Matrix<float> together = problem.inference(problem.texts, serial);
    testing::ShuffledExecutor shuffled(3);
    CHECK(same_bits(problem.inference(problem.texts, shuffled), together));
    DefaultExecutor threads;
    CHECK(same_bits(problem.inference(problem.texts, threads), together));
    CHECK(same_bits(problem.batched(shuffled).e, together));
    for (std::size_t b = 0; b < problem.texts.size(); ++b) {
      const Matrix<float> alone = problem.inference(std::span(problem.texts).subspan(b, 1), serial);
      CHECK(same_bits(alone, Matrix<float>(together.row(static_cast<Index>(b)))));
    }
  }
}

TEST_CASE("gradients have the same bits for any executor") {
  for (const Sizes& s : every_way()) {
    const Problem<float> problem(s.head, s.width, mixed_lengths);
    SerialExecutor serial;
    testing::ShuffledExecutor shuffled(4);
    const auto one = problem.batched(serial), many = problem.batched(shuffled);
    for (std::size_t i = 0; i < one.gradients.size(); ++i) {
      CAPTURE(one.gradients[i].first);
      CHECK(same_bits(one.gradients[i].second, many.gradients[i].second));
    }
  }
}

TEST_CASE("texts of one key leave queries, keys' half and query norm without any gradient") {
  const Problem<float> problem({3, 2, 4, 0, false, Residual::latents}, 6, {1, 1, 1});
  SerialExecutor serial;
  for (const auto& [name, gradient] : problem.batched(serial).gradients) {
    const std::string tensor = name;
    CAPTURE(tensor);
    const Index inner = 8;
    if (tensor.ends_with("to_q.weight") || tensor.find("norm_context") != std::string::npos)
      CHECK(gradient.cwiseAbs().maxCoeff() == 0.0f);
    else if (tensor.ends_with("to_kv.weight")) {
      CHECK(gradient.topRows(inner).cwiseAbs().maxCoeff() == 0.0f);
      CHECK(gradient.bottomRows(inner).cwiseAbs().maxCoeff() > 0.0f);
    } else
      CHECK(gradient.cwiseAbs().maxCoeff() > 0.0f);
  }
}

TEST_CASE("a batch without texts has no gradient, whatever batch there was before it") {
  const Problem<float> some({3, 2, 4, 7, true, Residual::latents}, 6, {1, 5}), none(some.head, 6, {});
  SerialExecutor serial;
  const ExecutorRef executor(serial);
  const auto prepared = some.head.prepare(some.params, executor);
  for (const bool used : {false, true}) {
    CAPTURE(used);
    PerceiverHead::Batch<float> batch;
    Matrix<float> e(2, 6);
    if (used) some.head.forward_all_kept<float>(some.params, prepared, some.texts, batch, rows_of(e), executor);
    const auto result = none.result([&](Matrix<float>& nothing, auto& dparams, auto&) {
      PerceiverHead::PreparedGradient<float> dprepared;
      some.head.forward_all_kept<float>(some.params, prepared, none.texts, batch, rows_of(nothing), executor);
      some.head.backward_all<float>(some.params, prepared, none.texts, batch, rows_of(none.de), dparams, dprepared, {},
                                    executor);
    });
    for (const auto& [name, gradient] : result.gradients) {
      const std::string tensor = name;
      CAPTURE(tensor);
      CHECK(gradient.isZero(0));
    }
  }
}

TEST_CASE("keys that share a large offset lose no accuracy to the folded LayerNorm") {
  const PerceiverHead head{12, 2, 16, 7, false, Residual::latents};
  Problem<float> problem(head, 9, {20});
  problem.rows[0].array() += 1000.0f;
  Problem<double> exact(head, 9, {20});
  exact.rows[0] = problem.rows[0].cast<double>();
  SerialExecutor serial;
  std::vector<Matrix<double>> values;
  PerceiverHead::for_each(problem.params, [&](auto&&, Matrix<float>& t) { values.push_back(t.cast<double>()); });
  std::size_t i = 0;
  PerceiverHead::for_each(exact.params, [&](auto&&, Matrix<double>& t) { t = values[i++]; });
  // The mean of 1000 in float is known to 6e-5, whatever order of products follows.
  const Matrix<double> got = problem.inference(problem.texts, serial).cast<double>();
  CHECK(testing::relative_error(got, exact.inference(exact.texts, serial)) < 1e-3);
}
