#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "cuda/numbered_mask.hpp"
#include "cuda/on_device.hpp"
#include "embedpool/attention/masked_attention_backward.hpp"
#include "embedpool/cuda/masked_attention.cuh"

namespace embedpool::test {

/// What attention gives, forward and backward, as floats.
struct AttentionResult {
  std::vector<float> out, log_sum_exp, dq, dk, dv;
};

/// Queries, keys, values and a gradient of a batch, rounded to the storage type.
template <cuda::DeviceElement T>
struct AttentionProblem {
  Segments segments;
  RowSelection queries;
  AttentionShape shape;
  std::vector<T> q, k, v, dout;

  template <class Choose>
  AttentionProblem(const std::vector<TextShape>& texts, const Choose& choose, AttentionShape attention, unsigned seed)
      : segments(batch_of(texts)), queries(segments, choose), shape(attention) {
    q = random_elements<T>(queries.rows() * query_width(), seed);
    k = random_elements<T>(segments.rows() * key_width(), seed + 1);
    v = random_elements<T>(segments.rows() * key_width(), seed + 2);
    dout = random_elements<T>(queries.rows() * query_width(), seed + 3);
  }
  Index query_width() const { return shape.heads * shape.head_dim; }
  Index key_width() const { return shape.kv_heads * shape.head_dim; }

  /// Text b of this problem as a problem of its own.
  AttentionProblem alone(Index b) const {
    AttentionProblem text({segments.shape(b)}, [&](const TextShape&) { return queries.held(b); }, shape, 0);
    const auto cut = [](const std::vector<T>& from, Index first, Index width, std::vector<T>& to) {
      std::copy_n(from.begin() + first * width, to.size(), to.begin());
    };
    cut(q, queries.first_row(b), query_width(), text.q);
    cut(dout, queries.first_row(b), query_width(), text.dout);
    cut(k, segments.offset(b), key_width(), text.k);
    cut(v, segments.offset(b), key_width(), text.v);
    return text;
  }

  /// The definition, in doubles.
  template <MaskPolicy M>
  AttentionResult expected(const M& mask) const {
    const auto wide = [](const std::vector<T>& values) {
      std::vector<double> result;
      for (const T x : values) result.push_back(static_cast<double>(cuda::widened(x)));
      return result;
    };
    const auto wide_q = wide(q), wide_k = wide(k), wide_v = wide(v), wide_dout = wide(dout);
    std::vector<double> out(q.size()), dq(q.size()), dk(k.size()), dv(k.size());
    const auto of_queries = [&](auto& values) { return Rows(values.data(), queries.rows(), query_width()); };
    const auto of_keys = [&](auto& values) { return Rows(values.data(), segments.rows(), key_width()); };
    scalar::masked_attention<double>(of_queries(wide_q), of_keys(wide_k), of_keys(wide_v), segments, queries, shape, mask,
                                     of_queries(out));
    scalar::masked_attention_backward<double>(of_queries(wide_q), of_keys(wide_k), of_keys(wide_v), segments, queries,
                                              shape, mask, of_queries(wide_dout), of_queries(dq), of_keys(dk), of_keys(dv));
    AttentionResult result{narrow(out), {}, narrow(dq), narrow(dk), narrow(dv)};
    for (Index row = 0; row < queries.rows(); ++row)
      for (Index h = 0; h < shape.heads; ++h) {
        const Index b = queries.text_of(row);
        const Interval keys = mask.keys(queries.held(b).begin + row - queries.first_row(b), segments.shape(b));
        double sum = 0;
        for (Index j = keys.begin; j < keys.end; ++j) {
          double score = 0;
          for (Index c = 0; c < shape.head_dim; ++c)
            score += of_queries(wide_q)(row, h * shape.head_dim + c) *
                     of_keys(wide_k)(segments.offset(b) + j, h / (shape.heads / shape.kv_heads) * shape.head_dim + c);
          sum += std::exp(shape.scale * score);
        }
        result.log_sum_exp.push_back(static_cast<float>(std::log(sum)));
      }
    return result;
  }

  /// The plain version in this precision: float arithmetic, but weights, gradients of scores and results are rounded.
  template <MaskPolicy M>
  AttentionResult rounded(const M& mask) const {
    const Index d = shape.head_dim, group = shape.heads / shape.kv_heads;
    const auto round = [](float x) { return cuda::widened(cuda::rounded<T>(x)); };
    const auto wide_q = widened(q), wide_k = widened(k), wide_v = widened(v), wide_dout = widened(dout);
    std::vector<float> sums;
    std::vector<float> out(q.size()), dq(q.size()), dk(k.size()), dv(k.size());
    for (Index row = 0; row < queries.rows(); ++row)
      for (Index h = 0; h < shape.heads; ++h) {
        const Index b = queries.text_of(row), place = row * query_width() + h * d;
        const Interval keys = mask.keys(queries.held(b).begin + row - queries.first_row(b), segments.shape(b));
        const auto key_place = [&](Index j) { return (segments.offset(b) + j) * key_width() + h / group * d; };
        const auto dot = [&](const std::vector<float>& x, Index i, const std::vector<float>& y, Index j) {
          float sum = 0;
          for (Index c = 0; c < d; ++c) sum += x[static_cast<std::size_t>(i + c)] * y[static_cast<std::size_t>(j + c)];
          return sum;
        };
        const auto add = [&](std::vector<float>& x, Index i, float weight, const std::vector<float>& y, Index j) {
          for (Index c = 0; c < d; ++c) x[static_cast<std::size_t>(i + c)] += weight * y[static_cast<std::size_t>(j + c)];
        };
        std::vector<float> p;
        for (Index j = keys.begin; j < keys.end; ++j)
          p.push_back(static_cast<float>(shape.scale) * dot(wide_q, place, wide_k, key_place(j)));
        const float largest = *std::max_element(p.begin(), p.end());
        float sum = 0;
        for (float& x : p) sum += x = std::exp(x - largest);
        sums.push_back(largest + std::log(sum));
        for (float& x : p) x /= sum;
        for (Index j = 0; j < keys.size(); ++j)
          add(out, place, round(p[static_cast<std::size_t>(j)]), wide_v, key_place(keys.begin + j));
        for (Index c = 0; c < d; ++c) out[static_cast<std::size_t>(place + c)] = round(out[static_cast<std::size_t>(place + c)]);
        const float mean = dot(out, place, wide_dout, place);
        for (Index j = 0; j < keys.size(); ++j) {
          const Index key = key_place(keys.begin + j);
          const float weight = p[static_cast<std::size_t>(j)];
          const float ds = round(weight * (dot(wide_dout, place, wide_v, key) - mean)) * static_cast<float>(shape.scale);
          add(dq, place, ds, wide_k, key);
          add(dk, key, ds, wide_q, place);
          add(dv, key, round(weight), wide_dout, place);
        }
      }
    for (std::vector<float>* values : {&dq, &dk, &dv})
      for (float& x : *values) x = round(x);
    return {out, sums, dq, dk, dv};
  }

  /// Forward and, where asked for, backward on a device. Results are NaN before they are written. With `shift`, rows lie
  /// in wider ones and begin at an odd place, so that no access of several values is aligned.
  template <bool backward, MaskPolicy M>
  AttentionResult run(TestDevice& device, const M& mask, Index shift = 0) const {
    cuda::AttentionBatchBuffer buffer;
    const cuda::AttentionBatch batch = buffer.upload(device, segments, queries);
    const Matrix of_q(device, q, queries.rows(), shift), of_k(device, k, segments.rows(), shift),
        of_v(device, v, segments.rows(), shift), of_dout(device, dout, queries.rows(), shift);
    const auto empty = [&](const std::vector<T>& model, Index rows) {
      return Matrix(device, std::vector<T>(model.size(), cuda::rounded<T>(std::numeric_limits<float>::quiet_NaN())), rows,
                    shift);
    };
    const Matrix out = empty(q, queries.rows()), dq = empty(q, queries.rows()), dk = empty(k, segments.rows()),
                 dv = empty(k, segments.rows());
    const OnDevice<float> sums(
        device, std::vector<float>(static_cast<std::size_t>(queries.rows() * shape.heads), std::nanf("")), queries.rows(),
        shape.heads);
    cuda::masked_attention<T>(device, of_q.rows(), of_k.rows(), of_v.rows(), batch, shape, mask, out.rows(), sums.rows());
    if constexpr (!backward) return {out.values(), sums.values(), {}, {}, {}};
    else {
    cuda::AttentionBackwardScratch scratch;
    cuda::masked_attention_backward<T>(device, of_q.rows(), of_k.rows(), of_v.rows(), out.rows(), sums.rows(), batch, shape,
                                       mask, of_dout.rows(), dq.rows(), dk.rows(), dv.rows(), scratch);
    return {out.values(), sums.values(), dq.values(), dk.values(), dv.values()};
    }
  }

 private:
  /// A matrix of the device, at `shift` columns of one that is wider by as much.
  class Matrix {
   public:
    Matrix(TestDevice& device, const std::vector<T>& values, Index rows, Index shift)
        : shift_(shift), width_(static_cast<Index>(values.size()) / rows), all_(device, padded(values), rows, width_ + shift) {}
    Rows<T> rows() const { return all_.rows().middle_cols(shift_, width_); }
    std::vector<float> values() const {
      std::vector<float> result;
      const std::vector<T> got = all_.values();
      for (std::size_t i = 0; i < got.size(); ++i)
        if (static_cast<Index>(i) % (width_ + shift_) >= shift_) result.push_back(cuda::widened(got[i]));
      return result;
    }

   private:
    std::vector<T> padded(const std::vector<T>& values) const {
      std::vector<T> result;
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (static_cast<Index>(i) % width_ == 0) result.insert(result.end(), static_cast<std::size_t>(shift_), values[0]);
        result.push_back(values[i]);
      }
      return result;
    }
    Index shift_, width_;
    OnDevice<T> all_;
  };

  static Segments batch_of(const std::vector<TextShape>& texts) {
    Segments segments;
    for (const TextShape& text : texts) segments.add(text);
    return segments;
  }
  static std::vector<float> narrow(const std::vector<double>& values) {
    std::vector<float> result;
    for (const double x : values) result.push_back(static_cast<float>(x));
    return result;
  }
};

inline Interval every_query(const TextShape& text) { return {0, text.tokens}; }
inline Interval last_query(const TextShape& text) { return {text.tokens - 1, text.tokens}; }
inline Interval later_queries(const TextShape& text) { return {text.tokens / 3, text.tokens}; }
inline Interval middle_queries(const TextShape& text) {
  return {text.tokens / 3, text.tokens / 3 + (text.tokens + 1) / 2};
}

/// CHECKs each part of a result; `bound` is relative to the largest value of a part.
inline void check_close(const AttentionResult& got, const AttentionResult& expected, double bound) {
  CHECK(relative_error(got.out, expected.out) <= bound);
  CHECK(relative_error(got.log_sum_exp, expected.log_sum_exp) <= bound);
  if (got.dq.empty()) return;
  CHECK(relative_error(got.dq, expected.dq) <= bound);
  CHECK(relative_error(got.dk, expected.dk) <= bound);
  CHECK(relative_error(got.dv, expected.dv) <= bound);
}

/// CHECKs that each part is at most twice as far from the definition as the plain version in the same precision; the
/// log-sum-exp, which is not rounded, is held to float.
inline void check_as_good(const AttentionResult& got, const AttentionResult& plain, const AttentionResult& expected) {
  constexpr double float_error = 100 * 0x1p-24;  // where the plain version happens to have no error at all
  CHECK(relative_error(got.log_sum_exp, expected.log_sum_exp) <= float_error);
  const auto check = [](const std::vector<float>& values, const std::vector<float>& peer, const std::vector<float>& best) {
    CHECK(relative_error(values, best) <= 2 * relative_error(peer, best) + float_error);
  };
  check(got.out, plain.out, expected.out);
  if (got.dq.empty()) return;
  check(got.dq, plain.dq, expected.dq);
  check(got.dk, plain.dk, expected.dk);
  check(got.dv, plain.dv, expected.dv);
}

/// CHECKs that a text has the same bits alone as in its batch, in every part.
template <bool backward, cuda::DeviceElement T, MaskPolicy M>
void check_texts_alone(TestDevice& device, const AttentionProblem<T>& problem, const M& mask) {
  const AttentionResult together = problem.template run<backward>(device, mask);
  for (Index b = 0; b < problem.segments.size(); ++b) {
    CAPTURE(b);
    const AttentionResult alone = problem.alone(b).template run<backward>(device, mask);
    const auto is_part = [](const std::vector<float>& part, const std::vector<float>& whole, Index first) {
      return whole.empty() || std::equal(part.begin(), part.end(), whole.begin() + first);
    };
    const Index query = problem.queries.first_row(b), key = problem.segments.offset(b);
    CHECK(is_part(alone.out, together.out, query * problem.query_width()));
    CHECK(is_part(alone.log_sum_exp, together.log_sum_exp, query * problem.shape.heads));
    CHECK(is_part(alone.dq, together.dq, query * problem.query_width()));
    CHECK(is_part(alone.dk, together.dk, key * problem.key_width()));
    CHECK(is_part(alone.dv, together.dv, key * problem.key_width()));
  }
}

/// CHECKs that selected queries have the bits of the whole computation: the output, and the gradient of q.
template <bool backward, cuda::DeviceElement T, MaskPolicy M, class Choose>
void check_selection(TestDevice& device, const AttentionProblem<T>& problem, const M& mask, const Choose& choose) {
  const AttentionResult all = problem.template run<backward>(device, mask);
  std::vector<TextShape> texts;
  for (Index b = 0; b < problem.segments.size(); ++b) texts.push_back(problem.segments.shape(b));
  AttentionProblem<T> chosen(texts, choose, problem.shape, 0);
  chosen.k = problem.k, chosen.v = problem.v, chosen.q.clear(), chosen.dout.clear();
  AttentionResult expected;
  const Index width = problem.query_width();
  for (Index b = 0; b < problem.segments.size(); ++b) {
    const Interval held = chosen.queries.held(b);
    const auto take = [&](const auto& from, auto& to, Index columns) {
      const auto first = from.begin() + (problem.segments.offset(b) + held.begin) * columns;
      to.insert(to.end(), first, first + held.size() * columns);
    };
    take(problem.q, chosen.q, width), take(problem.dout, chosen.dout, width);
    take(all.out, expected.out, width), take(all.log_sum_exp, expected.log_sum_exp, problem.shape.heads);
    if (backward) take(all.dq, expected.dq, width);
  }
  const AttentionResult got = chosen.template run<backward>(device, mask);
  CHECK(got.out == expected.out);
  CHECK(got.log_sum_exp == expected.log_sum_exp);
  CHECK(got.dq == expected.dq);
}

}  // namespace embedpool::test
