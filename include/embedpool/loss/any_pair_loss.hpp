#pragma once
#include <string>
#include <string_view>
#include <variant>

#include "embedpool/loss/angle.hpp"
#include "embedpool/loss/cosent.hpp"
#include "embedpool/loss/cosine_mse.hpp"

namespace embedpool {

/// The loss of scored pairs chosen at run time: cosent (CoSENT), angle (AnglE) or cosine-mse (CosineMSE).
struct AnyPairLoss {
  std::variant<CoSENT, AnglE, CosineMSE> choice{};

  /// `scale` is one over a temperature, for the losses that have one.
  ///
  /// Errors  ShapeError with the names that are understood
  static AnyPairLoss parse(std::string_view name, double scale = 20.0) {
    if (name == "cosent") return {CoSENT{scale}};
    if (name == "angle") return {AnglE{scale}};
    if (name == "cosine-mse") return {CosineMSE{}};
    throw ShapeError("loss of scored pairs '" + std::string(name) + "': expected cosent, angle or cosine-mse");
  }
  /// What parse() reads.
  std::string_view name() const noexcept {
    constexpr std::string_view names[] = {"cosent", "angle", "cosine-mse"};
    return names[choice.index()];
  }

  /// Shapes and errors are those of the loss that was chosen.
  template <Real S>
  double operator()(Rows<const S> a, Rows<const S> b, std::span<const double> labels, Rows<S> da, Rows<S> db) const {
    return std::visit([&](const auto& loss) { return loss(a, b, labels, da, db); }, choice);
  }
};

}  // namespace embedpool
