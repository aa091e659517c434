#pragma once
#include <string>
#include <utility>
#include <vector>

#include "embedpool/core/types.hpp"

namespace embedpool::program {

/// Sentence pairs with people's similarity scores, each different sentence once.
struct ScoredPairs {
  std::vector<std::string> texts{};
  std::vector<std::pair<Index, Index>> texts_of_pair{};
  std::vector<double> scores{};

  /// A tab-separated file, plain or gzip, whose first line names the columns, `score`, `sentence1` and `sentence2`
  /// among them.
  /// Errors  FileError naming file and line: a column missing, a score that is no number, an empty or ill-formed
  ///         sentence, fewer than two pairs
  static ScoredPairs read(const std::string& path);
};

}  // namespace embedpool::program
