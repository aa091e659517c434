#pragma once
#include <cmath>
#include <numbers>

#include "embedpool/kernels/simd.hpp"

namespace embedpool {

/// Accuracy of the three activations in registers, against double, relative to |x| and in units of the scalar's
/// epsilon, measured over [-30, 30]: below 1.0 in float; in double 1.5, but GeluErf 18, by the erf of xsimd 8.

/// x sigmoid(x) = x / (1 + exp(-x)), and its derivative s (1 + x (1 - s)) with s = sigmoid(x).
struct Silu {
  template <Real S>
  static S value(S x) noexcept {
    return x / (S(1) + std::exp(-x));
  }
  template <Real S>
  static simd::Vector<S> value(const simd::Vector<S>& x) noexcept {
    return x / (S(1) + xsimd::exp(-x));
  }
  template <Real S>
  static S derivative(S x) noexcept {
    const S s = S(1) / (S(1) + std::exp(-x));
    return s * (S(1) + x * (S(1) - s));
  }
  template <Real S>
  static simd::Vector<S> derivative(const simd::Vector<S>& x) noexcept {
    const simd::Vector<S> s = S(1) / (S(1) + xsimd::exp(-x));
    return s * (S(1) + x * (S(1) - s));
  }
};

/// GELU by the tanh approximation: x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3).
///
/// Computed as x sigmoid(2 u), which is the same function. Source: arXiv 1606.08415
struct GeluTanh {
  template <Real S>
  static S value(S x) noexcept {
    return x / (S(1) + std::exp(S(-2) * inner(x)));
  }
  template <Real S>
  static simd::Vector<S> value(const simd::Vector<S>& x) noexcept {
    const simd::Vector<S> u = S(root) * (x + S(cubic) * x * x * x);
    return x / (S(1) + xsimd::exp(S(-2) * u));
  }
  template <Real S>
  static S derivative(S x) noexcept {
    const S t = std::tanh(inner(x));
    return S(0.5) * (S(1) + t) + S(0.5) * x * (S(1) - t * t) * S(root) * (S(1) + S(3 * cubic) * x * x);
  }
  template <Real S>
  static simd::Vector<S> derivative(const simd::Vector<S>& x) noexcept {
    const simd::Vector<S> u = S(root) * (x + S(cubic) * x * x * x);
    const simd::Vector<S> s = S(1) / (S(1) + xsimd::exp(S(-2) * u));  // of x s, since (1 + tanh(u)) / 2 = s
    return s + x * s * (S(1) - s) * S(2 * root) * (S(1) + S(3 * cubic) * x * x);
  }

 private:
  static constexpr double root = 0.79788456080286535588;  // sqrt(2 / pi)
  static constexpr double cubic = 0.044715;
  template <Real S>
  static S inner(S x) noexcept {
    return S(root) * (x + S(cubic) * x * x * x);
  }
};

/// GELU, exact: x/2 (1 + erf(x / sqrt(2))); derivative Phi(x) + x phi(x).
struct GeluErf {
  template <Real S>
  static S value(S x) noexcept {
    return S(0.5) * x * (S(1) + std::erf(x * S(std::numbers::sqrt2 / 2)));
  }
  template <Real S>
  static simd::Vector<S> value(const simd::Vector<S>& x) noexcept {
    return S(0.5) * x * (S(1) + xsimd::erf(x * S(std::numbers::sqrt2 / 2)));
  }
  template <Real S>
  static S derivative(S x) noexcept {
    const S density = S(std::numbers::inv_sqrtpi / std::numbers::sqrt2) * std::exp(S(-0.5) * x * x);
    return S(0.5) * (S(1) + std::erf(x * S(std::numbers::sqrt2 / 2))) + x * density;
  }
  template <Real S>
  static simd::Vector<S> derivative(const simd::Vector<S>& x) noexcept {
    const simd::Vector<S> density = S(std::numbers::inv_sqrtpi / std::numbers::sqrt2) * xsimd::exp(S(-0.5) * x * x);
    return S(0.5) * (S(1) + xsimd::erf(x * S(std::numbers::sqrt2 / 2))) + x * density;
  }
};

}  // namespace embedpool
