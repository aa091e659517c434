#pragma once
#include <cmath>
#include <random>

#include "embedpool/core/error.hpp"
#include "embedpool/core/matrix.hpp"
#include "embedpool/kernels/softmax.hpp"

/// The few differentiable pieces that heads are made of, each with its backward under it. Vectors (gains, biases) are
/// matrices of one row, so that every parameter has one type.
namespace embedpool::head_math {

inline constexpr double layer_norm_epsilon = 1e-5;

/// Throws ShapeError unless a gain, bias or list of weights is one row of `expected` values.
template <Real S>
void require_vector(std::string_view where, std::string_view what, const Matrix<S>& vector, Index expected) {
  require_equal(where, what, vector.size(), expected);
  require_equal(where, std::string(what) + ": rows", vector.rows(), 1);
}

/// What layer_norm_backward needs: y = x_hat .* gain + bias.
template <Real S>
struct LayerNormCache {
  Matrix<S> x_hat;       // [n, D] (x - mean) / sqrt(variance + eps)
  RowVector<S> scale;    // [n] 1 / sqrt(variance + eps)
};

/// x_hat of every row: (x - mean(x)) / sqrt(var(x) + eps), the variance divided by D.
template <Real S, class Input>
Matrix<S> standardise_rows(const Input& x, LayerNormCache<S>& cache) {
  cache.x_hat = x;
  cache.scale.resize(x.rows());
  for (Index i = 0; i < x.rows(); ++i) {
    const S mean = cache.x_hat.row(i).mean();
    cache.x_hat.row(i).array() -= mean;
    const S variance = cache.x_hat.row(i).squaredNorm() / static_cast<S>(x.cols());
    cache.scale(i) = S(1) / std::sqrt(variance + static_cast<S>(layer_norm_epsilon));
    cache.x_hat.row(i) *= cache.scale(i);
  }
  return cache.x_hat;
}

/// dx = scale (dx_hat - mean(dx_hat) - x_hat mean(dx_hat .* x_hat)), row by row
template <Real S>
Matrix<S> standardise_rows_backward(const LayerNormCache<S>& cache, const Matrix<S>& dx_hat) {
  Matrix<S> dx(dx_hat.rows(), dx_hat.cols());
  for (Index i = 0; i < dx.rows(); ++i) {
    const S mean = dx_hat.row(i).mean();
    const S along = dx_hat.row(i).dot(cache.x_hat.row(i)) / static_cast<S>(dx.cols());
    dx.row(i) = cache.scale(i) * ((dx_hat.row(i).array() - mean).matrix() - along * cache.x_hat.row(i));
  }
  return dx;
}

/// LayerNorm of every row. Shapes: x [n, D], gain and bias [1, D].
template <Real S, class Input>
Matrix<S> layer_norm(const Input& x, const Matrix<S>& gain, const Matrix<S>& bias, LayerNormCache<S>& cache) {
  const Matrix<S> x_hat = standardise_rows<S>(x, cache);
  return ((x_hat.array().rowwise() * gain.row(0).array()).rowwise() + bias.row(0).array()).matrix();
}

/// dgain += sum of dy .* x_hat, dbias += sum of dy; returns dx.
template <Real S>
Matrix<S> layer_norm_backward(const LayerNormCache<S>& cache, const Matrix<S>& gain, const Matrix<S>& dy,
                              Matrix<S>& dgain, Matrix<S>& dbias) {
  dgain += dy.cwiseProduct(cache.x_hat).colwise().sum();
  dbias += dy.colwise().sum();
  const Matrix<S> dx_hat = (dy.array().rowwise() * gain.row(0).array()).matrix();
  return standardise_rows_backward(cache, dx_hat);
}

/// Softmax of every row, in place.
template <Real S>
void softmax_rows(Matrix<S>& z) {
  for (Index i = 0; i < z.rows(); ++i)
    simd::softmax(std::span<S>(z.row(i).data(), static_cast<std::size_t>(z.cols())));
}

/// A = softmax(Z):  dZ = A .* (dA - rowsum(A .* dA))
template <Real S>
Matrix<S> softmax_rows_backward(const Matrix<S>& a, const Matrix<S>& da) {
  const Eigen::Matrix<S, Eigen::Dynamic, 1> dot = a.cwiseProduct(da).rowwise().sum();
  return a.cwiseProduct(da.colwise() - dot);
}

/// Uniform in [-1/sqrt(fan_in), 1/sqrt(fan_in)]: what torch gives a Linear (Kaiming uniform with a = sqrt(5)).
template <Real S>
Matrix<S> linear_init(Index rows, Index cols, Index fan_in, std::mt19937_64& generator) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
  Matrix<S> w(rows, cols);
  for (Index i = 0; i < w.size(); ++i)
    // 53 random bits: the standard's distributions differ between libraries, seeds should not
    w.data()[i] = static_cast<S>(bound * (2.0 * static_cast<double>(generator() >> 11) * 0x1p-53 - 1.0));
  return w;
}

/// N(0, deviation^2), by Box and Muller.
template <Real S>
Matrix<S> normal_init(Index rows, Index cols, double deviation, std::mt19937_64& generator) {
  const auto uniform = [&] { return (static_cast<double>(generator() >> 11) + 0.5) * 0x1p-53; };
  Matrix<S> w(rows, cols);
  for (Index i = 0; i < w.size(); ++i) {
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    w.data()[i] = static_cast<S>(deviation * radius * std::cos(6.283185307179586 * uniform()));
  }
  return w;
}

}  // namespace embedpool::head_math
