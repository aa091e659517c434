#pragma once
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "embedpool/core/types.hpp"
#include "embedpool/io/tokenizer/pieces.hpp"
#include "embedpool/io/tokenizer/regex.hpp"
#include "embedpool/io/tokenizer/word_cache.hpp"

namespace embedpool::io::tokenizing {

/// A symbol of a word that is being merged, the bytes or ids [begin, end) of the word; symbols form a list through it. End
/// equals begin once the symbol was merged into another.
struct Symbol {
  TokenId id;
  std::uint32_t begin;
  std::uint32_t end;
  std::int32_t previous;
  std::int32_t next;
};

/// A merge of two neighbours that may still happen. It is stale when either no longer ends where it did.
struct Candidate {
  std::uint64_t rank;
  std::int32_t left;
  std::int32_t right;
  std::uint32_t left_end;
  std::uint32_t right_end;
  TokenId id;

  /// The best one has the least rank, then the least position; std heaps keep the greatest on top.
  friend bool operator<(const Candidate& a, const Candidate& b) noexcept {
    return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
  }
};

/// Best way to reach a position of a word (Viterbi).
struct Reach {
  double score;
  std::int64_t from;  ///< -1: not reached
  TokenId id;
};

/// What tokenizing needs beside the tokenizer itself: one per thread, kept from call to call, so that encoding allocates
/// nothing per word.
struct Scratch {
  MatchScratch match;
  PieceList pieces;
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
  std::vector<Reach> reach;
  std::vector<TokenId> ids;
  std::vector<std::uint64_t> ranks;
  std::string normalized;
  std::string key;
  WordCache cache;

  static Scratch& of_this_thread() {
    thread_local Scratch scratch;
    return scratch;
  }
  /// Gives back what an uncommonly long text made the buffers grow to.
  void shrink() {
    constexpr std::size_t large = std::size_t(1) << 20;
    const auto trim = [](auto& buffer) {
      if (buffer.capacity() * sizeof(buffer[0]) > large) std::remove_reference_t<decltype(buffer)>().swap(buffer);
    };
    trim(pieces.now);
    trim(pieces.next);
    trim(symbols);
    trim(heap);
    trim(reach);
    trim(ids);
    trim(ranks);
    trim(normalized);
    pieces.written.clear();
  }
};

}  // namespace embedpool::io::tokenizing
