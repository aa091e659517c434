#include "trained_head.hpp"

#include <algorithm>

#include "embedpool/io/head_files.hpp"

namespace embedpool::program {

AnyHead new_head(const HeadOptions& options, Index width, Index slots) {
  AnyHead head = AnyHead::named(options.kind.value_or("identity"));
  Index heads = std::max<Index>(1, width / 64);
  while (width % heads != 0) --heads;
  const auto fit = [&](std::string_view key, auto& value) {
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
  return head;
}

}  // namespace embedpool::program
