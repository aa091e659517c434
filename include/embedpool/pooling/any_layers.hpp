#pragma once
#include <charconv>
#include <string>
#include <string_view>
#include <variant>

#include "embedpool/pooling/layers.hpp"

namespace embedpool {

/// Layers chosen at run time: whatever one of the fixed policies reads.
struct AnyLayers {
  std::variant<LastLayer, EveryLayer, OneLayer, LayerRange, LayerList> choice{};

  void check(Index layers) const {
    std::visit([&](const auto& policy) { policy.check(layers); }, choice);
  }
  Index count(Index layers) const noexcept {
    return std::visit([&](const auto& policy) { return policy.count(layers); }, choice);
  }
  bool wants(Index layer, Index layers) const noexcept {
    return std::visit([&](const auto& policy) { return policy.wants(layer, layers); }, choice);
  }
  Index slot(Index layer, Index layers) const noexcept {
    return std::visit([&](const auto& policy) { return policy.slot(layer, layers); }, choice);
  }

  /// "last", "all" (1..L), or numbers and ranges between commas: "11", "1,4,8", "1-6,30".
  /// Errors: ShapeError naming the part that is neither.
  static AnyLayers parse(std::string_view names) {
    if (names == "last") return {LastLayer{}};
    if (names == "all") return {EveryLayer{}};
    LayerList list;
    for (std::string_view rest = names;;) {
      const std::size_t comma = rest.find(',');
      const std::string_view part = rest.substr(0, comma);
      const std::size_t dash = part.find('-');
      const Index first = number(part.substr(0, dash), names);
      const Index last = dash == std::string_view::npos ? first : number(part.substr(dash + 1), names);
      if (last < first) refuse(part, names);
      for (Index k = first; k <= last; ++k) list.layers.push_back(k);
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
    if (list.layers.size() == 1) return {OneLayer{list.layers.front()}};
    return {std::move(list)};
  }

 private:
  static Index number(std::string_view text, std::string_view names) {
    Index value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    // The bound keeps a hostile range from filling memory.
    if (!whole || value < 0 || value > LastLayer::max_layers) refuse(text, names);
    return value;
  }
  [[noreturn]] static void refuse(std::string_view part, std::string_view names) {
    throw ShapeError("layers \"" + std::string(names) + "\": \"" + std::string(part) +
                     "\" is not a layer; say last, all, or numbers and ranges as in 1,4,8-12");
  }
};

static_assert(LayersPolicy<AnyLayers>);

}  // namespace embedpool
