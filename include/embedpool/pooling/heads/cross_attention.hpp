#pragma once
#include "embedpool/pooling/concepts.hpp"
#include "embedpool/pooling/heads/batched_head.hpp"
#include "embedpool/pooling/heads/cross_attention_batch.hpp"
#include "embedpool/pooling/heads/layer_table.hpp"

namespace embedpool {

/// The trainable pooling of "Pooling And Attention" as its text gives it: learned queries attend to the keys, to which
/// a learned layer table W is added for multi-layer pooling; then an output projection and an MLP.
///
///   h'_k = h_k + W[slot_k]                          (with layer_table)
///   a    = mean over queries of MultiHeadAttention(query, h', h')
///   e    = ReLU(a M^T + b)                          (Start::paper)
///   e    = mean_k h_k + a M^T + b                   (Start::pooling: M and b start at 0, so that step 0 is the mean)
///
/// Shapes  keys [n, D] -> e [D]; query [r, D], layer_weights [slots, D], mlp.0.weight M [D, D]; torch's names
/// Errors  check throws ShapeError for parameters that do not fit; the table may have more rows than kinds of keys
/// Source  arXiv 2409.02727, section on trainable pooling; attention as torch.nn.MultiheadAttention
struct CrossAttention {
  enum class Start { pooling, paper };
  Index queries = 1;
  Index heads = 8;
  bool layer_table = false;
  Start start = Start::pooling;

  template <Real S>
  struct Params {
    Matrix<S> table;  // [slots, D], empty without layer_table
    Matrix<S> query;  // [r, D]
    head_math::TorchAttentionParams<S> attend;
    Matrix<S> mlp, mlp_bias;  // [D, D], [1, D]
  };
  template <Real S>
  struct Cache {
    head_math::TorchAttentionCache<S> attend;
    RowVector<S> a;  // [D]
    RowVector<S> e;  // [D]
  };

  template <Real S>
  using Prepared = head_math::FixedQueries<S>;
  template <Real S>
  using Batch = head_math::CrossAttentionBatch<S>;

  template <Real S>
  Params<S> init(Index width, Index slots, std::uint64_t seed = 0) const {
    std::mt19937_64 generator(seed);
    Params<S> p;
    if (layer_table) p.table = head_math::normal_init<S>(slots, width, start == Start::paper ? 1.0 : 0.02, generator);
    p.query = head_math::normal_init<S>(queries, width, 1.0, generator);
    p.attend = head_math::init_torch_attention<S>(width, generator);
    p.mlp = Matrix<S>::Zero(width, width);
    p.mlp_bias = Matrix<S>::Zero(1, width);
    if (start == Start::paper) {
      p.mlp = head_math::linear_init<S>(width, width, width, generator);
      p.mlp_bias = head_math::linear_init<S>(1, width, width, generator);
    }
    return p;
  }
  template <class P, class F>
  static void for_each(P& p, F&& f) {
    if (p.table.size() > 0) f("layer_weights", p.table);
    f("query", p.query);
    head_math::for_each_torch_attention(p.attend, f);
    f("mlp.0.weight", p.mlp);
    f("mlp.0.bias", p.mlp_bias);
  }
  Index output_width(Index width) const { return width; }

  template <Real S>
  void check(const Params<S>& p, Index width, Index slots) const {
    require_equal("CrossAttention head", "width of the query", p.query.cols(), width);
    require_in("CrossAttention head", "queries", p.query.rows(), 1, Index(1) << 24);
    if (layer_table) head_math::check_layer_table("CrossAttention head", p.table, width, slots);
    head_math::check_torch_attention("CrossAttention head", p.attend, width, heads);
    require_equal("CrossAttention head", "rows of mlp.0.weight", p.mlp.rows(), width);
    require_equal("CrossAttention head", "columns of mlp.0.weight", p.mlp.cols(), width);
    head_math::require_vector("CrossAttention head", "size of mlp.0.bias", p.mlp_bias, width);
  }

  template <Real S>
  RowVector<S> forward(const Params<S>& p, const Keys<S>& keys, Cache<S>& c) const {
    c.attend.x = p.query;
    c.attend.y = head_math::add_layer_table(keys, layer_table ? &p.table : nullptr);
    c.a = head_math::torch_attention(p.attend, heads, c.attend).colwise().mean();
    return c.e = behind_attention(p, keys, c.a);
  }

  template <Real S>
  void backward(const Params<S>& p, const Keys<S>& keys, const Cache<S>& c, const RowVector<S>& de, Params<S>& dp,
                Rows<S> dkeys) const {
    RowVector<S> dmlp = de;
    if (start == Start::paper)  // e > 0 exactly where the ReLU passed
      dmlp = (c.e.array() > S(0)).select(de, S(0));
    else
      as_eigen(dkeys).rowwise() += de / static_cast<S>(keys.rows.rows);
    dp.mlp += head_math::plain_tn(dmlp, c.a);
    dp.mlp_bias += dmlp;
    const RowVector<S> da = head_math::plain_nn(dmlp, p.mlp) / static_cast<S>(p.query.rows());
    Matrix<S> dquery, dh;
    head_math::torch_attention_backward<S>(p.attend, heads, c.attend, da.replicate(p.query.rows(), 1), dp.attend,
                                           dquery, dh);
    dp.query += dquery;
    if (layer_table) head_math::layer_table_backward(keys, dh, dp.table);
    as_eigen(dkeys) += dh;
  }

  /// The queries depend on no text. The keys' bias adds the same to every score of a query: softmax drops it.
  template <Real S>
  Prepared<S> prepare(const Params<S>& p, ExecutorRef executor) const {
    const Index width = p.query.cols();
    const Rows<const S> weights = rows_of(p.attend.in_weight);
    return head_math::prepare_queries<S>({width, p.query.rows(), heads, width / heads}, rows_of(p.query),
                                         weights.middle_rows(0, width), weights.middle_rows(width, width), Matrix<S>(),
                                         executor,
                                         rows_of(p.attend.in_bias).row(0).first(static_cast<std::size_t>(width)));
  }
  template <Real S>
  void forward_all(const Params<S>& p, const Prepared<S>& prepared, std::span<const Keys<S>> texts, Batch<S>& batch,
                   Rows<S> e, ExecutorRef executor) const {
    head_math::cross_attention_forward(p.attend, prepared, layer_table ? &p.table : nullptr, texts, batch, executor);
    const Rows<S> mapped = batch.o.rows();  // used again
    head_math::product_nt(Rows<const S>(batch.attended.rows()), rows_of(p.mlp), StoreBias<S>{mapped, p.mlp_bias.data()},
                          executor);
    executor.parallel_for(mapped.rows, [&](Index i, Index) {
      const Index b = batch.texts[static_cast<std::size_t>(i)];
      const Rows<const S> keys = texts[static_cast<std::size_t>(b)].rows;
      S* out = e.row_data(b);
      if (start == Start::pooling) head_math::sum_rows(keys, S(1) / static_cast<S>(keys.rows), out);
      for (Index j = 0; j < mapped.cols; ++j)
        out[j] = start == Start::pooling ? out[j] + mapped(i, j) : std::max(mapped(i, j), S(0));
    });
  }

 private:
  template <Real S>
  RowVector<S> behind_attention(const Params<S>& p, const Keys<S>& keys, const RowVector<S>& a) const {
    const RowVector<S> mapped = head_math::plain_nt(a, p.mlp) + p.mlp_bias;
    if (start == Start::paper) return mapped.cwiseMax(S(0));
    return mapped + as_eigen(keys.rows).colwise().mean();
  }
};
static_assert(BatchedHead<CrossAttention, float> && BatchedHead<CrossAttention, double>);

}  // namespace embedpool
