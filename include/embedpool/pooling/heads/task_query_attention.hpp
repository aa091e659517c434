#pragma once
#include <algorithm>
#include <limits>

#include "embedpool/pooling/heads/head_math.hpp"
#include "embedpool/pooling/heads/no_params.hpp"
#include "embedpool/pooling/heads/plain_products.hpp"

namespace embedpool {

/// SingleQueryAttention whose query depends on the task: the states of the prompt turn it.
///
///   t = mean of the prompt's keys P (0 without a prompt)      q = query + t W^T      e = softmax(H q / sqrt(D)) H
///
/// Keys of even kinds are the prompt's, those of odd kinds the text's own, as PromptOnly<A> beside PromptExcluded<B> give
/// them. Over all layers the head learns which of them a task reads.
///
/// Shapes  keys [P; H] [n, D] in any order, at least one of the text's own -> e [D]; query [1, D] and W [D, D] start at 0:
///         step 0 is the plain mean of H
/// Errors  check throws ShapeError when a parameter does not fit, or kinds of keys do not come in pairs
struct TaskQueryAttention {
  template <Real S>
  struct Params {
    Matrix<S> query;
    Matrix<S> task;  // W
  };
  template <Real S>
  struct Cache {
    Matrix<S> prompt;   // t [1, D]
    Matrix<S> turned;   // q [1, D]
    Matrix<S> weights;  // a [1, n], 0 for keys of the prompt
  };

  template <Real S>
  Params<S> init(Index width, Index /*slots*/, std::uint64_t /*seed*/ = 0) const {
    return {Matrix<S>::Zero(1, width), Matrix<S>::Zero(width, width)};
  }
  template <class P, class F>
  static void for_each(P& p, F&& f) {
    f("query", p.query);
    f("task.weight", p.task);
  }
  Index output_width(Index width) const { return width; }
  template <Real S>
  void check(const Params<S>& p, Index width, Index slots) const {
    head_math::require_vector("TaskQueryAttention head", "width of the query", p.query, width);
    require_equal("TaskQueryAttention head", "rows of the task's matrix", p.task.rows(), width);
    require_equal("TaskQueryAttention head", "columns of the task's matrix", p.task.cols(), width);
    if (slots % 2 != 0)
      throw ShapeError("TaskQueryAttention head: kinds of keys must come in pairs, one of the prompt and one of the text "
                       "a layer, got " + std::to_string(slots));
  }

  template <Real S>
  RowVector<S> forward(const Params<S>& p, const Keys<S>& keys, Cache<S>& c) const {
    const auto h = as_eigen(keys.rows);
    c.prompt = Matrix<S>::Zero(1, h.cols());
    for_each_prompt(keys, [&](Index k) { c.prompt.row(0) += h.row(k); });
    if (const Index prompts = count_prompts(keys); prompts > 0) c.prompt /= static_cast<S>(prompts);
    c.turned = p.query + head_math::plain_nt(c.prompt, p.task);
    c.weights = head_math::plain_nt(c.turned, h) / std::sqrt(static_cast<S>(h.cols()));
    for_each_prompt(keys, [&](Index k) { c.weights(0, k) = -std::numeric_limits<S>::infinity(); });
    head_math::softmax_rows(c.weights);
    return head_math::plain_nn(c.weights, h);
  }

  /// z = H q / sqrt(D), a = softmax(z):  dz = softmax'(H de),  dq = H^T dz / sqrt(D),  dH += a de^T + dz q^T / sqrt(D),
  /// dquery += dq,  dW += dq t^T,  dt = W^T dq, shared by the keys of the prompt
  template <Real S>
  void backward(const Params<S>& p, const Keys<S>& keys, const Cache<S>& c, const RowVector<S>& de, Params<S>& dp,
                Rows<S> dkeys) const {
    const auto h = as_eigen(keys.rows);
    const Matrix<S> da = head_math::plain_nt(de, h);
    const Matrix<S> dz = head_math::softmax_rows_backward(c.weights, da) / std::sqrt(static_cast<S>(h.cols()));
    const Matrix<S> dq = head_math::plain_nn(dz, h);
    dp.query += dq;
    dp.task += head_math::plain_tn(dq, c.prompt);
    as_eigen(dkeys) += head_math::plain_tn(c.weights, de) + head_math::plain_tn(dz, c.turned);
    const Index prompts = count_prompts(keys);
    if (prompts == 0) return;
    const Matrix<S> dprompt = head_math::plain_nn(dq, p.task) / static_cast<S>(prompts);
    for_each_prompt(keys, [&](Index k) { as_eigen(dkeys).row(k) += dprompt.row(0); });
  }

 private:
  static constexpr bool is_prompt(Index kind) noexcept { return kind % 2 == 0; }
  template <Real S>
  static Index count_prompts(const Keys<S>& keys) noexcept {
    return static_cast<Index>(std::count_if(keys.slot.begin(), keys.slot.end(), is_prompt));
  }
  template <Real S, class F>
  static void for_each_prompt(const Keys<S>& keys, F&& f) {
    for (Index k = 0; k < keys.rows.rows; ++k)
      if (is_prompt(keys.slot[static_cast<std::size_t>(k)])) f(k);
  }
};
static_assert(HeadPolicy<TaskQueryAttention, float> && HeadPolicy<TaskQueryAttention, double>);

}  // namespace embedpool
