#pragma once
#include <optional>
#include <utility>
#include <vector>

#include "embedpool/io/head_files.hpp"
#include "embedpool/pooling/heads/batched_head.hpp"
#include "embedpool/pooling/normalize.hpp"
#include "embedpool/train/key_cache.hpp"
#include "embedpool/train/trainable_model.hpp"

namespace embedpool {

/// A head on a frozen backbone in training: texts are numbers of a key cache, and the backbone never runs again.
///
/// Errors  ShapeError for a text outside the cache, parameters that do not fit its keys, and what the head throws
template <Real S, class HeadType>
class CachedHead {
 public:
  using Scalar = S;
  using Text = Index;
  using Head = HeadType;
  using Params = typename Head::template Params<S>;

  Params params;
  Head head;
  Finishing finishing{};

  /// The cache outlives the model.
  CachedHead(const KeyCache<S>& cache, Head policy, Params learned)
      : params(std::move(learned)), head(std::move(policy)), cache_(&cache), dparams_(params) {
    if constexpr (requires { head.check(params, Index(1), Index(1)); }) head.check(params, cache.width(), cache.slots());
    clear_gradients();
  }
  CachedHead(const CachedHead&) = delete;
  CachedHead& operator=(const CachedHead&) = delete;

  template <Executor E>
  Matrix<S> embed(std::span<const Text> texts, const DropoutKey&, E& executor) {
    Matrix<S> pooled(static_cast<Index>(texts.size()), head.output_width(cache_->width()));
    BatchOf<S, Head> batch;
    forward_all<S>(head, params, prepared(executor), keys_of(texts), batch, rows_of(pooled), ExecutorRef(executor));
    return finishing.forward(pooled);
  }
  template <class Derivative, Executor E>
  void embed_and_back(std::span<const Text> texts, const DropoutKey&, Derivative&& derivative, E& executor) {
    const std::vector<Keys<S>> keys = keys_of(texts);
    Matrix<S> pooled(static_cast<Index>(texts.size()), head.output_width(cache_->width()));
    TrainingBatchOf<S, Head> kept;
    forward_all_kept<S>(head, params, prepared(executor), keys, kept, rows_of(pooled), ExecutorRef(executor));
    const Matrix<S> de = std::forward<Derivative>(derivative)(finishing.forward(pooled));
    Matrix<S> dpooled = Matrix<S>::Zero(pooled.rows(), pooled.cols());
    finishing.backward(pooled, rows_of(de), rows_of(dpooled));
    PreparedGradientOf<S, Head> dprepared{};
    backward_all<S>(head, params, prepared(executor), keys, kept, rows_of(std::as_const(dpooled)), dparams_, dprepared,
                    unused_gradients(keys), ExecutorRef(executor));
    chain_prepared<S>(head, params, prepared(executor), dprepared, dparams_, ExecutorRef(executor));
  }

  std::vector<TrainedTensor<S>> tensors() {
    std::vector<Matrix<S>*> gradients;
    Head::for_each(dparams_, [&](auto&&, Matrix<S>& tensor) { gradients.push_back(&tensor); });
    std::vector<TrainedTensor<S>> list;
    Head::for_each(params, [&](const std::string& name, Matrix<S>& tensor) {
      list.push_back({"head." + name, &tensor, gradients[list.size()], TrainedPart::head, !io::detail::is_vector(name, tensor)});
    });
    return list;
  }
  void clear_gradients() {
    Head::for_each(dparams_, [](auto&&, Matrix<S>& tensor) { tensor.setZero(); });
  }
  void changed() { prepared_.reset(); }

 private:
  std::vector<Keys<S>> keys_of(std::span<const Text> texts) const {
    std::vector<Keys<S>> keys;
    for (const Index text : texts) {
      require_in("CachedHead", "text", text, 0, cache_->size() - 1);
      keys.push_back(cache_->keys(text));
    }
    return keys;
  }
  /// Backward of a head gives the gradients of its keys, which end here.
  std::vector<Rows<S>> unused_gradients(const std::vector<Keys<S>>& keys) {
    Index rows = 0;
    for (const Keys<S>& some : keys) rows += some.rows.rows;
    const Rows<S> all = dkeys_.rows(rows, cache_->width());
    std::fill_n(all.data, rows * all.cols, S(0));
    std::vector<Rows<S>> parts;
    Index first = 0;
    for (const Keys<S>& some : keys) {
      parts.push_back(all.middle_rows(first, some.rows.rows));
      first += some.rows.rows;
    }
    return parts;
  }
  template <Executor E>
  const PreparedOf<S, Head>& prepared(E& executor) {
    if (!prepared_) {
      const SerialProducts serial;
      prepared_.emplace(prepare_head<S>(head, params, ExecutorRef(executor)));
    }
    return *prepared_;
  }

  const KeyCache<S>* cache_;
  Params dparams_;
  std::optional<PreparedOf<S, Head>> prepared_;
  AlignedBuffer<S> dkeys_;
};

}  // namespace embedpool
