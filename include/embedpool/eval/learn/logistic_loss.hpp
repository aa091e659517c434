#pragma once
#include <algorithm>
#include <span>
#include <vector>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/executor_ref.hpp"
#include "embedpool/eval/learn/double_sums.hpp"
#include "embedpool/kernels/dot.hpp"
#include "embedpool/kernels/gemm.hpp"

namespace embedpool {

/// The objective of logistic regression, and its gradient, as a function of all parameters: W [K, D], then b [K].
///
///   f  = (1 / n) sum over i of loss_i + (l / 2) |W|^2      l = 1 / (C n)
///   dZ = P - Y      P = softmax(Z), or sigmoid(Z) with K = 1;  Y the true classes, one-hot
///   dW = dZ^T X / n + l W,  db = column sums of dZ / n
///
/// Z is kept transposed, [K, n]: the rows of W are the long operand, X is packed once for both products, and the softmax
/// of as many samples as a register has lanes runs at once.
/// Order  each element of Z and dW is one chain; the loss is summed over blocks of samples in rising order: the bits do
///        not depend on the executor
template <Real S>
class LogisticLoss {
 public:
  /// Requires  0 <= labels < max(outputs, 2), x and labels outlive this
  LogisticLoss(Rows<const S> x, std::span<const Index> labels, Index outputs, double c, ExecutorRef executor)
      : labels_(labels), executor_(executor), outputs_(outputs), width_(x.cols), samples_(x.rows),
        penalty_(1 / (c * static_cast<double>(x.rows))), x_(contiguous(x)),
        by_sample_(simd::MatrixPanels<S>{weight_view(x_)}, executor),
        by_feature_(simd::ColumnPanels<S>{weight_view(x_)}, executor), blocks_((samples_ + block - 1) / block) {
    z_.reserve(outputs_ * blocks_ * block);
    w_.reserve(outputs_ * width_);
    dw_.reserve(outputs_ * width_);
    losses_.resize(static_cast<std::size_t>(blocks_));
    std::fill_n(z_.data(), outputs_ * blocks_ * block, S(0));
  }

  double operator()(std::span<const double> parameters, std::span<double> gradient) {
    const Rows<S> w(w_.data(), outputs_, width_), dw(dw_.data(), outputs_, width_);
    const Rows<S> z(z_.data(), outputs_, samples_, blocks_ * block);
    for (Index i = 0; i < outputs_ * width_; ++i) w.data[i] = static_cast<S>(parameters[static_cast<std::size_t>(i)]);
    // Z^T = W X^T
    simd::gemm_panels(Rows<const S>(w), by_sample_, samples_, StoreTo<S>{z}, executor_);
    const double* bias = parameters.data() + outputs_ * width_;
    executor_.parallel_for(blocks_, [&](Index b, Index) {
      losses_[static_cast<std::size_t>(b)] = outputs_ == 1 ? sigmoid_block(b, static_cast<S>(*bias)) : softmax_block(b, bias);
    });
    // dW = dZ^T X
    simd::gemm_panels(Rows<const S>(z), by_feature_, width_, StoreTo<S>{dw}, executor_);

    const double n = static_cast<double>(samples_);
    double loss = 0;
    for (const double of_block : losses_) loss += of_block;
    const std::span<const double> weights = parameters.first(static_cast<std::size_t>(outputs_ * width_));
    for (std::size_t i = 0; i < weights.size(); ++i)
      gradient[i] = static_cast<double>(dw.data[i]) / n + penalty_ * weights[i];
    for (Index k = 0; k < outputs_; ++k)
      gradient[static_cast<std::size_t>(outputs_ * width_ + k)] = detail::sum_of(Rows<const S>(z).row(k)) / n;
    const double square = simd::dot<double>(weights, weights);
    return loss / n + penalty_ / 2 * square;
  }

 private:
  static constexpr Index block = 64;  ///< samples of one job, a multiple of every register's lanes
  static constexpr Index lanes = simd::lanes<S>;
  using Vector = simd::Vector<S>;

  Rows<const S> contiguous(Rows<const S> x) {
    if (x.rows <= 1 || x.stride == x.cols) return x;
    copy_.reserve(x.rows * x.cols);
    for (Index i = 0; i < x.rows; ++i) std::copy_n(x.row_data(i), x.cols, copy_.data() + i * x.cols);
    return {copy_.data(), x.rows, x.cols};
  }

  S* column(Index k, Index sample) noexcept { return z_.data() + k * blocks_ * block + sample; }
  Index valid(Index b) const noexcept { return std::min(block, samples_ - b * block); }

  /// dZ in place of Z + b for the samples of block b, and the sum of their losses: log sum_k exp(z_k) - z_y.
  double softmax_block(Index b, const double* bias) noexcept {
    const Index first = b * block, count = valid(b);
    double loss = 0;
    for (Index i = first; i < first + count; i += lanes) {  // the last register may run into samples that do not count
      Vector most(-std::numeric_limits<S>::infinity());
      for (Index k = 0; k < outputs_; ++k) {
        const Vector z = Vector::load_aligned(column(k, i)) + Vector(static_cast<S>(bias[k]));
        z.store_aligned(column(k, i));
        most = xsimd::max(most, z);
      }
      alignas(64) S of_label[static_cast<std::size_t>(lanes)] = {}, log_sum[static_cast<std::size_t>(lanes)],
          largest[static_cast<std::size_t>(lanes)];
      const Index lanes_used = std::min(lanes, first + count - i);
      for (Index j = 0; j < lanes_used; ++j) of_label[j] = *column(label(i + j), i + j);
      Vector sum(S(0));
      for (Index k = 0; k < outputs_; ++k) {
        // Below -1000 the exponential is 0 in either type; xsimd's does not take infinities.
        const Vector e = xsimd::exp(simd::at_least(Vector(S(-1000)), Vector::load_aligned(column(k, i)) - most));
        e.store_aligned(column(k, i));
        sum += e;
      }
      const Vector scale = S(1) / sum;
      for (Index k = 0; k < outputs_; ++k) (Vector::load_aligned(column(k, i)) * scale).store_aligned(column(k, i));
      sum.store_aligned(log_sum);
      most.store_aligned(largest);
      for (Index j = 0; j < lanes_used; ++j) {
        loss += std::log(static_cast<double>(log_sum[j])) + (static_cast<double>(largest[j]) - static_cast<double>(of_label[j]));
        *column(label(i + j), i + j) -= S(1);
      }
    }
    return loss;
  }

  /// As softmax_block for one output: log(1 + exp(z)) - y z.
  double sigmoid_block(Index b, S bias) noexcept {
    double loss = 0;
    for (Index i = b * block; i < b * block + valid(b); ++i) {
      const double z = static_cast<double>(*column(0, i) + bias), y = static_cast<double>(label(i));
      const double small = std::exp(-std::abs(z));  // neither form below overflows
      loss += std::max(z, 0.0) + std::log1p(small) - y * z;
      *column(0, i) = static_cast<S>((z >= 0 ? 1 : small) / (1 + small) - y);
    }
    return loss;
  }
  Index label(Index i) const noexcept { return labels_[static_cast<std::size_t>(i)]; }

  std::span<const Index> labels_;
  ExecutorRef executor_;
  Index outputs_, width_, samples_;
  double penalty_;
  AlignedBuffer<S> copy_{};
  Rows<const S> x_;
  simd::PackedPanels<S> by_sample_, by_feature_;
  Index blocks_;
  AlignedBuffer<S> z_{}, w_{}, dw_{};
  std::vector<double> losses_{};
};

}  // namespace embedpool
