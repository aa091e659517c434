#pragma once
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "embedpool/attention/mask.hpp"
#include "embedpool/core/error.hpp"

namespace embedpool {

/// A mask chosen at run time: one of the fixed policies, by the name that programs and saved configurations use.
///
///   causal                            Causal
///   bidirectional                     Bidirectional
///   prefix                            PrefixBidirectional
///   window:N                          CausalWindow                  0 <= i - j < N
///   window-inclusive:N                CausalWindowInclusive         0 <= i - j <= N
///   bidirectional-window:N            BidirectionalWindow           |i - j| <= N
///   bidirectional-window-exclusive:N  BidirectionalWindowExclusive  |i - j| < N
///
/// Attention costs the same as under the fixed policy: a mask is asked once a query, not once a score.
struct AnyMask {
  std::variant<Causal, Bidirectional, PrefixBidirectional, CausalWindow, CausalWindowInclusive, BidirectionalWindow,
               BidirectionalWindowExclusive>
      choice{};

  constexpr Interval keys(Index query, const TextShape& shape) const noexcept {
    return keys(query, shape, std::make_index_sequence<std::variant_size_v<decltype(choice)>>{});
  }

  /// Errors: ShapeError with the names that are understood.
  static AnyMask parse(std::string_view name) {
    const std::size_t colon = name.find(':');
    const std::string_view kind = name.substr(0, colon);
    if (colon == std::string_view::npos) {
      if (kind == "causal") return {Causal{}};
      if (kind == "bidirectional") return {Bidirectional{}};
      if (kind == "prefix") return {PrefixBidirectional{}};
    } else {
      const Index window = window_of(name.substr(colon + 1), name);
      if (kind == "window") return {CausalWindow{window}};
      if (kind == "window-inclusive") return {CausalWindowInclusive{window}};
      if (kind == "bidirectional-window") return {BidirectionalWindow{window}};
      if (kind == "bidirectional-window-exclusive") return {BidirectionalWindowExclusive{window}};
    }
    refuse(name);
  }

  /// What parse() reads: parse(mask.to_string()) means the same mask.
  std::string to_string() const {
    return std::visit([](const auto& mask) { return name_of(mask); }, choice);
  }

 private:
  /// One alternative after the other in place of std::visit, whose table of functions a GPU could not call.
  template <std::size_t... I>
  constexpr Interval keys(Index query, const TextShape& shape, std::index_sequence<I...>) const noexcept {
    Interval seen{};
    (void)((choice.index() == I && (seen = std::get_if<I>(&choice)->keys(query, shape), true)) || ...);
    return seen;
  }

  static std::string name_of(Causal) { return "causal"; }
  static std::string name_of(Bidirectional) { return "bidirectional"; }
  static std::string name_of(PrefixBidirectional) { return "prefix"; }
  template <bool causal, WindowEdge edge>
  static std::string name_of(SlidingWindow<causal, edge> mask) {
    std::string name = causal ? "window" : "bidirectional-window";
    if (causal != (edge == WindowEdge::exclusive)) name += causal ? "-inclusive" : "-exclusive";
    return name + ":" + std::to_string(mask.window);
  }
  static Index window_of(std::string_view text, std::string_view name) {
    Index window = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), window);
    // The bound keeps query + window from overflowing; no text is as long.
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    if (!whole || window < 1 || window > Index(1) << 40) refuse(name);
    return window;
  }
  [[noreturn]] static void refuse(std::string_view name) {
    throw ShapeError("mask \"" + std::string(name) +
                     "\" is not known; say causal, bidirectional, prefix, window:N, window-inclusive:N, "
                     "bidirectional-window:N or bidirectional-window-exclusive:N with N >= 1");
  }
};

static_assert(MaskPolicy<AnyMask>);

}  // namespace embedpool
