/// Your own pooling head: its formula, its way back, the checks that show both right, and a training that uses it.
/// docs/writing-a-head.md goes through this page.
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "embedpool/pooling.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "embedpool/testing/pooling_properties.hpp"
#include "embedpool/train/cached_head.hpp"
#include "embedpool/train/trainer.hpp"

using namespace embedpool;

/// Between mean, maximum and minimum, learned for each dimension: a softmax over the keys, as sharp as it helps.
///
///   e_j = sum_k a_kj h_kj      a_kj = softmax over k of sharpness_j h_kj
///
/// Sharpness 0 is the mean, large is the maximum, large and negative the minimum. It starts at 0.
/// Shapes  keys h [n, D] -> e [D]; sharpness [1, D]
/// Errors  check throws ShapeError when the sharpness is not D wide
/// Source  AutoPool, arXiv 1804.10070
struct AutoPool {
  template <Real S>
  struct Params {
    Matrix<S> sharpness;
  };
  template <Real S>
  struct Cache {
    Matrix<S> weights;  // [n, D] a
    RowVector<S> e;     // [D]
  };

  template <Real S>
  Params<S> init(Index width, Index /*slots*/, std::uint64_t /*seed*/ = 0) const {
    return {Matrix<S>::Zero(1, width)};
  }
  template <class P, class F>
  static void for_each(P& p, F&& f) {
    f("sharpness", p.sharpness);
  }
  Index output_width(Index width) const { return width; }
  template <Real S>
  void check(const Params<S>& p, Index width, Index /*slots*/) const {
    require_equal("AutoPool head", "width of the sharpness", p.sharpness.cols(), width);
  }

  template <Real S>
  RowVector<S> forward(const Params<S>& p, const Keys<S>& keys, Cache<S>& c) const {
    const auto h = as_eigen(keys.rows);
    c.weights = h.array().rowwise() * p.sharpness.row(0).array();
    const RowVector<S> largest = c.weights.colwise().maxCoeff();
    c.weights = (c.weights.rowwise() - largest).array().exp().matrix().eval();
    const RowVector<S> sum = c.weights.colwise().sum();
    c.weights.array().rowwise() /= sum.array();
    c.e = c.weights.cwiseProduct(h).colwise().sum();
    return c.e;
  }

  /// z = sharpness .* h:  dz_k = a_k .* de .* (h_k - e),  dsharpness += sum_k dz_k .* h_k,
  ///                      dh_k += a_k .* de + dz_k .* sharpness
  template <Real S>
  void backward(const Params<S>& p, const Keys<S>& keys, const Cache<S>& c, const RowVector<S>& de, Params<S>& dp,
                Rows<S> dkeys) const {
    const auto h = as_eigen(keys.rows);
    const Matrix<S> direct = c.weights.array().rowwise() * de.array();       // [n, D]
    const Matrix<S> dz = direct.cwiseProduct((h.rowwise() - c.e).matrix());  // [n, D]
    dp.sharpness += dz.cwiseProduct(h).colwise().sum();
    as_eigen(dkeys) += direct + (dz.array().rowwise() * p.sharpness.row(0).array()).matrix();
  }
};
static_assert(HeadPolicy<AutoPool, float> && HeadPolicy<AutoPool, double>);

namespace {

bool all_hold = true;

/// Prints whether a promise holds: `wrong` says what does not, and is "" when nothing is.
void check(const std::string& promise, const std::string& wrong) {
  std::printf("  %s %s\n", promise.c_str(), wrong.empty() ? "holds" : ("is BROKEN: " + wrong).c_str());
  all_hold = all_hold && wrong.empty();
}
template <class A, class B>
void check_close(const std::string& promise, const A& a, const B& b, double tolerance) {
  const double error = testing::relative_error(a, b);
  check(promise, error < tolerance ? "" : "relative error " + std::to_string(error));
}

/// The rows of h as the keys of a text, all of one kind.
template <Real S>
Keys<S> keys_of(const Matrix<S>& h) {
  static const std::vector<Index> kinds(64, 0);
  return {rows_of(h), std::span(kinds).first(static_cast<std::size_t>(h.rows()))};
}

/// One text in double: its gradients against central differences of a random mix of its embedding, and what is true of
/// this head alone.
void check_formulas(Index tokens, Index width) {
  std::printf("AutoPool, %ld keys of %ld\n", static_cast<long>(tokens), static_cast<long>(width));
  std::mt19937_64 generator(1);
  const auto random = [&](Index rows) { return head_math::normal_init<double>(rows, width, 1, generator); };
  Matrix<double> h = random(tokens);
  AutoPool::Params<double> params{random(1)}, dparams{Matrix<double>::Zero(1, width)};
  const RowVector<double> de = random(1);
  AutoPool::Cache<double> cache;
  const auto pooled = [&](const Matrix<double>& rows) { return AutoPool{}.forward(params, keys_of(rows), cache); };

  const RowVector<double> e = pooled(h);
  Matrix<double> dh = Matrix<double>::Zero(tokens, width);
  AutoPool{}.backward(params, keys_of(h), cache, de, dparams, rows_of(dh));
  const auto loss = [&] { return pooled(h).dot(de); };
  // The difference quotient itself is wrong by about 1e-10.
  check_close("gradient of the keys:", dh, testing::numeric_gradient(h, loss), 1e-8);
  check_close("gradient of the sharpness:", dparams.sharpness, testing::numeric_gradient(params.sharpness, loss), 1e-8);

  // A few roundings of double.
  check_close("the order of the keys does not count:", e, pooled(h.colwise().reverse()), 1e-14);
  params.sharpness.setZero();
  check_close("without sharpness it is the mean:", pooled(h), h.colwise().mean(), 1e-14);
  params.sharpness.setConstant(1e4);
  check_close("with much of it it is the maximum:", pooled(h), h.colwise().maxCoeff(), 1e-14);
}

/// What every pooling promises, by the functions that hold the library's own to it.
template <class P>
void check_promises(const std::string& name, const P& pooling) {
  std::printf("%s\n", name.c_str());
  check("padding is never read:", testing::padding_is_never_read<float>(pooling));
  check("a text has the same bits in any batch:", testing::batch_does_not_matter<float>(pooling));
  check("threads change no bit, forward or backward:", testing::workers_do_not_matter<float>(pooling));
  check("streamed layers give what stored ones give:", testing::streaming_equals_storing<float>(pooling));
  check("gradients flow back through the whole pooling:", testing::backward_agrees_with_differences(pooling));
}

/// Texts of noise in which a topic shows in single keys: as peaks in the first half of the dimensions, as dips in the
/// second. Texts 2 i and 2 i + 1 have the same topic.
KeyCache<float> noisy_topics(Index pairs, Index width) {
  std::mt19937_64 generator(3);
  const auto below = [&](Index n) { return static_cast<Index>(generator() % static_cast<std::uint64_t>(n)); };
  KeyCache<float> cache(width, 1);
  for (Index pair = 0; pair < pairs; ++pair) {
    Index topic[6];
    for (Index& j : topic) j = below(width);
    for (int side = 0; side < 2; ++side) {
      Matrix<float> h = head_math::normal_init<float>(12, width, 1, generator);
      for (const Index j : topic) h(below(12), j) = j < width / 2 ? 3.0f : -3.0f;
      cache.add(keys_of(h));
    }
  }
  return cache;
}

/// Queries, then their positives, as numbers of the cache.
ContrastiveTexts<Index> batch_of(Index first_pair, Index pairs) {
  ContrastiveTexts<Index> batch{{}, pairs};
  for (const Index side : {0, 1})
    for (Index i = 0; i < pairs; ++i) batch.texts.push_back(2 * (first_pair + i) + side);
  return batch;
}

void train() {
  constexpr Index width = 32, pairs = 32, batches = 16, steps = 160;
  const KeyCache<float> cache = noisy_topics((batches + 1) * pairs, width);
  CachedHead<float, AutoPool> model(cache, AutoPool{}, AutoPool{}.init<float>(width, 1));
  TrainingSettings settings;
  settings.schedule = {Schedule::Decay::linear, 10, steps};
  settings.head_rate = 0.05;
  Trainer trainer(model, InfoNCE{}, settings);
  DefaultExecutor executor;
  const auto held_out = batch_of(batches * pairs, pairs);  // no step sees it
  const double before = trainer.evaluate(held_out, executor);
  std::printf("Training on %ld pairs\n", static_cast<long>(batches * pairs));
  for (Index step = 0; step < steps; ++step) {
    const StepReport report = trainer.step(batch_of(step % batches * pairs, pairs), executor);
    if (step % 40 == 0) std::printf("  step %3ld  loss %.3f\n", static_cast<long>(step), report.loss);
  }
  const double after = trainer.evaluate(held_out, executor);
  const auto sharpness = model.params.sharpness.row(0);
  const double peaks = sharpness.head(width / 2).mean(), dips = sharpness.tail(width / 2).mean();
  std::printf("  held-out loss %.3f -> %.3f; sharpness %+.2f for peaks, %+.2f for dips\n", before, after, peaks, dips);
  check("training lowers the held-out loss:", after < 0.8 * before ? "" : "by less than a fifth");
  check("it finds which dimensions peak and which dip:", peaks > 0 && dips < 0 ? "" : "the signs are wrong");
}

}  // namespace

int main() {
  for (const Index tokens : {1, 2, 9}) check_formulas(tokens, 7);
  check_promises("Pooling<LastLayer, AllTokens, AutoPool>", Pooling<LastLayer, AllTokens, AutoPool>{});
  check_promises("Pooling<EveryLayer, TokenMean, AutoPool>", Pooling<EveryLayer, TokenMean, AutoPool>{});
  train();
  return all_hold ? 0 : 1;
}
