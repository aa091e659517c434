#pragma once
#include <string>
#include <string_view>
#include <variant>

#include "embedpool/core/error.hpp"
#include "embedpool/nn/bfloat16_compute.hpp"
#include "embedpool/nn/int8_compute.hpp"

namespace embedpool {

/// The arithmetic of linear maps chosen at run time: f32 (FullPrecision), bf16 (Bfloat16Compute) or int8 (Int8Compute).
struct AnyCompute {
  std::variant<FullPrecision, Bfloat16Compute, Int8Compute> choice{};
  using Input = std::variant<Rows<const float>, RoundedRows, Int8Compute::Input>;

  /// Errors: ShapeError with the names that are understood.
  static AnyCompute parse(std::string_view name) {
    if (name == "f32") return {FullPrecision{}};
    if (name == "bf16") return {Bfloat16Compute{}};
    if (name == "int8") return {Int8Compute{}};
    throw ShapeError("compute '" + std::string(name) + "': expected f32, bf16 or int8");
  }
  /// What parse() reads.
  std::string_view name() const noexcept {
    constexpr std::string_view names[] = {"f32", "bf16", "int8"};
    return names[choice.index()];
  }

  template <Executor E>
  Input prepare(Rows<const float> x, E& executor) const {
    return std::visit([&](const auto& compute) -> Input { return compute.prepare(x, executor); }, choice);
  }
  template <class Epilogue, Executor E>
  void product(const Input& x, const WeightView& w, const Epilogue& epilogue, E& executor) const {
    with_input(x, [&](const auto& compute, const auto& input) { compute.product(input, w, epilogue, executor); });
  }
  template <class Activation, Executor E>
  void gated(const Input& x, const WeightView& gate, const WeightView& up, Rows<float> y, E& executor) const {
    with_input(x, [&](const auto& compute, const auto& input) {
      compute.template gated<Activation>(input, gate, up, y, executor);
    });
  }

 private:
  /// Calls f with the policy that made the input.
  template <class F>
  static void with_input(const Input& x, const F& f) {
    if (const auto* reals = std::get_if<0>(&x)) return f(FullPrecision{}, *reals);
    if (const auto* pairs = std::get_if<1>(&x)) return f(Bfloat16Compute{}, *pairs);
    f(Int8Compute{}, *std::get_if<2>(&x));
  }
};

static_assert(ComputePolicy<AnyCompute, float>);

}  // namespace embedpool
