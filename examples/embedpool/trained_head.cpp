#include "trained_head.hpp"

#include <algorithm>
#include <set>

#include "embedpool/io/head_files.hpp"

namespace embedpool::program {

AnyHead new_head(const HeadOptions& options, Index width, Index slots) {
  AnyHead head = AnyHead::named(options.kind.value_or(slots > 1 ? "layer-mix" : "identity"));
  Index heads = std::max<Index>(1, width / 64);
  while (width % heads != 0) --heads;
  std::set<std::string_view> has;
  const auto fit = [&](std::string_view key, auto& value) {
    has.insert(key);
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(value)>, Index>) {
      if (key == "queries" || key == "latents") value = options.queries.value_or(8);
      if (key == "heads") value = options.heads.value_or(value == 0 ? 0 : heads);
      if (key == "head_dim") value = options.head_dim.value_or(std::min<Index>(64, width));
      if (key == "feed_forward") value = options.feed_forward.value_or(width);
      if (key == "count") value = slots;
    } else {
      if (key == "layer_table") value = options.layer_table && slots > 1;
      if (key == "normalise_keys") value = true;
      if (key == "pooled_residual") value = !options.published_start;
    }
  };
  std::visit([&](auto& own) { io::detail::head_options(own, fit); }, head.variant());
  const auto needs = [&](bool given, const char* flag, std::initializer_list<std::string_view> keys) {
    const auto known = [&](std::string_view key) { return has.contains(key); };
    if (given && std::none_of(keys.begin(), keys.end(), known))
      throw ShapeError(std::string(flag) + " would change nothing: head " + std::string(head.name()) + " has none of it");
  };
  needs(options.queries.has_value(), "--head-queries", {"queries", "latents"});
  needs(options.heads.has_value(), "--head-heads", {"heads"});
  needs(options.head_dim.has_value(), "--head-dim", {"head_dim"});
  needs(options.feed_forward.has_value(), "--head-feed-forward", {"feed_forward"});
  needs(options.published_start, "--head-published-start", {"pooled_residual"});
  needs(!options.layer_table, "--no-layer-table", {"layer_table"});
  return head;
}

}  // namespace embedpool::program
