#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "embedpool/io/tokenizer/scratch.hpp"

namespace embedpool::io::tokenizing {

/// What two neighbouring symbols may become; the merge of least rank happens first.
struct Merge {
  std::uint64_t rank;
  TokenId id;
};

/// Joins neighbouring symbols of a word, that of the least rank first and of equal ones the leftmost, until `find` knows
/// no merge of any two. A symbol that is joined to the one before it is left with end equal to begin, outside the list.
///
/// find  (const Symbol& left, const Symbol& right) -> std::optional<Merge>
/// Cost  O(n log n) for n symbols
template <class Find>
void merge_neighbours(std::vector<Symbol>& symbols, std::vector<Candidate>& heap, const Find& find) {
  const auto at = [&](std::int32_t i) -> Symbol& { return symbols[static_cast<std::size_t>(i)]; };
  const auto offer = [&](std::int32_t left, std::int32_t right) {
    if (left < 0 || right < 0) return false;
    const std::optional<Merge> merge = find(at(left), at(right));
    if (merge) heap.push_back({merge->rank, left, right, at(left).end, at(right).end, merge->id});
    return merge.has_value();
  };
  heap.clear();
  for (std::int32_t i = 0; i + 1 < static_cast<std::int32_t>(symbols.size()); ++i) offer(i, i + 1);
  std::make_heap(heap.begin(), heap.end());
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Candidate best = heap.back();
    heap.pop_back();
    Symbol& left = at(best.left);
    Symbol& right = at(best.right);
    // Merges keep the begin of a symbol, so its end tells whether it is the one that was seen; then the two are neighbours.
    if (left.end != best.left_end || right.end != best.right_end) continue;
    left.id = best.id;
    left.end = right.end;
    left.next = right.next;
    right.end = right.begin;
    if (right.next >= 0) at(right.next).previous = best.left;
    if (offer(left.previous, best.left)) std::push_heap(heap.begin(), heap.end());
    if (offer(best.left, left.next)) std::push_heap(heap.begin(), heap.end());
  }
}

}  // namespace embedpool::io::tokenizing
