#pragma once
#include <span>
#include <vector>

#include "embedpool/core/executor_ref.hpp"
#include "embedpool/core/parallel_guarded.hpp"
#include "embedpool/core/serial_products.hpp"
#include "embedpool/pooling/heads/prepared_head.hpp"

namespace embedpool {

/// A head that takes the texts of a batch together, so that its weights are read once for all of them.
///
/// Beyond the syntax, a model promises that
///   - row b of e is forward(params, texts[b], cache) up to rounding, in an order of sums that depends on the parameters
///     and on this text's number of keys alone: bit for bit the same in any batch and for any executor;
///   - Batch is scratch that may be used again.
template <class H, class S>
concept BatchedHead = PreparedHead<H, S> && std::default_initializable<typename H::template Batch<S>> &&
    requires(const H head, const typename H::template Params<S>& params,
             const typename H::template Prepared<S>& prepared, std::span<const Keys<S>> texts,
             typename H::template Batch<S>& batch, Rows<S> e, ExecutorRef executor) {
  { head.forward_all(params, prepared, texts, batch, e, executor) } -> std::same_as<void>;
};

/// A head that also goes back through a batch at once.
///
/// Beyond the syntax, a model promises that
///   - forward_all_kept gives what forward_all gives, and leaves in Batch what backward_all needs;
///   - backward_all *adds* to dparams, dkeys[b] [keys of b, D] and dprepared, the gradient of what was prepared;
///     it uses the batch up, and sums over texts in an order that depends on the batch alone, not on the executor;
///   - chain *adds* to dparams what dprepared stands for: once for as many batches as were summed in it.
template <class H, class S>
concept BatchTrainedHead = BatchedHead<H, S> && std::default_initializable<typename H::template PreparedGradient<S>> &&
    requires(const H head, const typename H::template Params<S>& params,
             const typename H::template Prepared<S>& prepared, std::span<const Keys<S>> texts,
             typename H::template Batch<S>& batch, Rows<S> e, Rows<const S> de, typename H::template Params<S>& dparams,
             typename H::template PreparedGradient<S>& dprepared, std::span<const Rows<S>> dkeys,
             ExecutorRef executor) {
  { head.forward_all_kept(params, prepared, texts, batch, e, executor) } -> std::same_as<void>;
  { head.backward_all(params, prepared, texts, batch, de, dparams, dprepared, dkeys, executor) } -> std::same_as<void>;
  { head.chain(params, prepared, dprepared, dparams, executor) } -> std::same_as<void>;
};

/// What a head that takes texts one by one keeps: a Cache for each worker, or in training for each text.
template <Real S, class Head>
struct OneByOne {
  std::vector<typename Head::template Cache<S>> caches;
};
struct NoPreparedGradient {};

namespace detail {
template <Real S, class Head>
struct BatchTypes {
  using Batch = OneByOne<S, Head>;
  using Training = OneByOne<S, Head>;
  using Gradient = NoPreparedGradient;
};
template <Real S, class Head>
requires BatchedHead<Head, S>
struct BatchTypes<S, Head> {
  using Batch = typename Head::template Batch<S>;
  using Training = OneByOne<S, Head>;
  using Gradient = NoPreparedGradient;
};
template <Real S, class Head>
requires BatchTrainedHead<Head, S>
struct BatchTypes<S, Head> {
  using Batch = typename Head::template Batch<S>;
  using Training = Batch;
  using Gradient = typename Head::template PreparedGradient<S>;
};
}  // namespace detail

/// What a head of any kind keeps between its passes over a batch, in inference and in training, and the gradient of
/// what it prepares.
template <Real S, class Head>
using BatchOf = typename detail::BatchTypes<S, Head>::Batch;
template <Real S, class Head>
using TrainingBatchOf = typename detail::BatchTypes<S, Head>::Training;
template <Real S, class Head>
using PreparedGradientOf = typename detail::BatchTypes<S, Head>::Gradient;

namespace detail {
/// forward of texts one by one, a text a job; `forward(b, worker)` gives the embedding.
template <Real S, class Forward>
void embed_one_by_one(Index texts, Rows<S> e, ExecutorRef executor, const Forward& forward) {
  parallel_guarded(executor, texts, [&](Index b, Index worker) {
    const SerialProducts serial;
    const RowVector<S> embedding = forward(b, worker);
    require_equal("Pooling: head", "width of the embedding", embedding.cols(), e.cols);
    std::copy_n(embedding.data(), e.cols, e.row_data(b));
  });
}
/// Texts are shared among this many sums of gradients: not too many copies of a large head.
template <class Head, class Params>
Index gradient_groups(Params& params) {
  Index values = 0;
  Head::for_each(params, [&](auto&&, auto& tensor) { values += tensor.size(); });
  return values <= (Index(1) << 22) ? 8 : 1;
}
}  // namespace detail

/// Embeddings e [B, width] of all texts, when no backward will follow, for any head: those that know no batches take
/// the texts one by one, a text a job.
///
/// Errors  what the head throws, for the first text that it throws for
template <Real S, class Head>
void forward_all(const Head& head, const typename Head::template Params<S>& params,
                 [[maybe_unused]] const PreparedOf<S, Head>& prepared, std::span<const Keys<S>> texts, BatchOf<S, Head>& batch, Rows<S> e, ExecutorRef executor) {
  if constexpr (BatchedHead<Head, S>) {
    head.forward_all(params, prepared, texts, batch, e, executor);
  } else {
    batch.caches.resize(std::max(batch.caches.size(), static_cast<std::size_t>(executor.workers())));
    detail::embed_one_by_one(static_cast<Index>(texts.size()), e, executor, [&](Index b, Index worker) {
      return head.forward(params, texts[static_cast<std::size_t>(b)], batch.caches[static_cast<std::size_t>(worker)]);
    });
  }
}

/// The same in training: leaves in `kept` what backward_all needs.
template <Real S, class Head>
void forward_all_kept(const Head& head, const typename Head::template Params<S>& params,
                      const PreparedOf<S, Head>& prepared, std::span<const Keys<S>> texts,
                      TrainingBatchOf<S, Head>& kept, Rows<S> e, ExecutorRef executor) {
  if constexpr (BatchTrainedHead<Head, S>) {
    head.forward_all_kept(params, prepared, texts, kept, e, executor);
  } else {
    kept.caches.resize(texts.size());
    detail::embed_one_by_one(static_cast<Index>(texts.size()), e, executor, [&](Index b, Index) {
      const std::size_t i = static_cast<std::size_t>(b);
      return head.forward(params, texts[i], kept.caches[i]);
    });
  }
}

/// dparams, dkeys and dprepared += their gradients, from de [B, width], for any head. Texts are summed in an order that
/// depends on the batch and the size of the head alone.
template <Real S, class Head>
void backward_all(const Head& head, const typename Head::template Params<S>& params,
                  const PreparedOf<S, Head>& prepared, std::span<const Keys<S>> texts, TrainingBatchOf<S, Head>& kept,
                  Rows<const S> de, typename Head::template Params<S>& dparams, PreparedGradientOf<S, Head>& dprepared,
                  std::span<const Rows<S>> dkeys, ExecutorRef executor) {
  if constexpr (BatchTrainedHead<Head, S>) {
    head.backward_all(params, prepared, texts, kept, de, dparams, dprepared, dkeys, executor);
  } else {
    auto zeros = dparams;
    Head::for_each(zeros, [](auto&&, auto& tensor) { tensor.setZero(); });
    const Index count = static_cast<Index>(texts.size()),
                groups = std::min(count, detail::gradient_groups<Head>(dparams));
    std::vector<typename Head::template Params<S>> partial(static_cast<std::size_t>(groups), zeros);
    parallel_guarded(executor, groups, [&](Index group, Index) {
      const SerialProducts serial;
      for (Index b = group * count / groups; b < (group + 1) * count / groups; ++b) {
        const std::size_t i = static_cast<std::size_t>(b);
        const RowVector<S> de_b = as_eigen(de.middle_rows(b, 1));
        head.backward(params, texts[i], kept.caches[i], de_b, partial[static_cast<std::size_t>(group)], dkeys[i]);
      }
    });
    for (auto& part : partial) {
      std::vector<Matrix<S>*> parts;
      Head::for_each(part, [&](auto&&, Matrix<S>& tensor) { parts.push_back(&tensor); });
      std::size_t i = 0;
      Head::for_each(dparams, [&](auto&&, Matrix<S>& tensor) { tensor += *parts[i++]; });
    }
  }
}

/// dparams += what the gradient of prepared work stands for; nothing for heads without.
template <Real S, class Head>
void chain_prepared(const Head& head, const typename Head::template Params<S>& params,
                    const PreparedOf<S, Head>& prepared, const PreparedGradientOf<S, Head>& dprepared,
                    typename Head::template Params<S>& dparams, ExecutorRef executor) {
  if constexpr (BatchTrainedHead<Head, S>) head.chain(params, prepared, dprepared, dparams, executor);
}

}  // namespace embedpool
