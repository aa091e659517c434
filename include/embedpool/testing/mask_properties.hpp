#pragma once
#include <string>
#include <vector>

#include "embedpool/attention/mask.hpp"

namespace embedpool::testing {

/// What every mask promises (MaskPolicy), checked for each token of short and long texts, with prompts and without: "" when
/// it holds, else the first token that breaks it. Kernels rely on it: they skip tiles of keys, and read what the mask names.
template <MaskPolicy M>
std::string mask_keeps_its_promises(const M& mask) {
  std::vector<TextShape> shapes;
  for (const Index tokens : {1, 2, 3, 8, 33, 64, 65, 130, 300}) {
    shapes.push_back(TextShape::bare(tokens));
    if (tokens > 2) shapes.push_back({tokens, {tokens / 3, tokens - 1}, tokens / 3});
  }
  for (const TextShape& shape : shapes) {
    Interval before{};
    for (Index query = 0; query < shape.tokens; ++query) {
      const Interval keys = mask.keys(query, shape);
      const std::string place = "token " + std::to_string(query) + " of " + std::to_string(shape.tokens) + " sees [" +
                                std::to_string(keys.begin) + ", " + std::to_string(keys.end) + "): ";
      if (!(0 <= keys.begin && keys.begin <= query && query < keys.end && keys.end <= shape.tokens))
        return place + "must be in [0, " + std::to_string(shape.tokens) + ") and hold the token itself";
      if (keys.begin < before.begin || keys.end < before.end)
        return place + "neither end may fall, and the token before sees [" + std::to_string(before.begin) + ", " +
               std::to_string(before.end) + ")";
      if (mask.keys(query, shape) != keys) return place + "is not the same when it is asked again";
      before = keys;
    }
  }
  return "";
}

}  // namespace embedpool::testing
