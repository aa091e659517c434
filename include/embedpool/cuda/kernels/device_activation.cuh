#pragma once
#include <cmath>
#include <numbers>

#include "embedpool/cuda/grid/kernel.hpp"

/// The activations of kernels/activation.hpp for a thread of a grid: same names, same formulas, float alone.
namespace embedpool::cuda {

/// x sigmoid(x), and its derivative s (1 + x (1 - s)) with s = sigmoid(x).
struct Silu {
  static EMBEDPOOL_DEVICE float value(float x) { return x / (1.0f + std::exp(-x)); }
  static EMBEDPOOL_DEVICE float derivative(float x) {
    const float s = 1.0f / (1.0f + std::exp(-x));
    return s * (1.0f + x * (1.0f - s));
  }
};

/// GELU by the tanh approximation: x/2 (1 + tanh(u)) = x sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3).
struct GeluTanh {
  static EMBEDPOOL_DEVICE float value(float x) { return x / (1.0f + std::exp(-2.0f * inner(x))); }
  static EMBEDPOOL_DEVICE float derivative(float x) {
    const float s = 1.0f / (1.0f + std::exp(-2.0f * inner(x)));
    return s + x * s * (1.0f - s) * (2 * root) * (1.0f + 3 * cubic * x * x);
  }

 private:
  static constexpr float root = 0.79788456080286535588f;  // sqrt(2 / pi)
  static constexpr float cubic = 0.044715f;
  static EMBEDPOOL_DEVICE float inner(float x) { return root * (x + cubic * x * x * x); }
};

/// GELU, exact: x/2 (1 + erf(x / sqrt(2))); derivative Phi(x) + x phi(x).
struct GeluErf {
  static EMBEDPOOL_DEVICE float value(float x) { return 0.5f * x * (1.0f + std::erf(x * half_root)); }
  static EMBEDPOOL_DEVICE float derivative(float x) {
    const float density = std::numbers::inv_sqrtpi_v<float> * half_root * std::exp(-0.5f * x * x);
    return 0.5f * (1.0f + std::erf(x * half_root)) + x * density;
  }

 private:
  static constexpr float half_root = std::numbers::sqrt2_v<float> / 2;
};

}  // namespace embedpool::cuda
