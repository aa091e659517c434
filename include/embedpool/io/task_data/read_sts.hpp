#pragma once
#include "embedpool/eval/task_data.hpp"
#include "embedpool/io/task_data/data_file.hpp"
#include "embedpool/io/task_data/table_reader.hpp"

namespace embedpool::io {

/// Reads SPLIT.tsv of a directory: columns `score`, `sentence1`, `sentence2`.
///
/// Errors  FileError naming file and line: what TableReader throws, a score that is no finite number, a sentence that is
///         empty; fewer than two pairs, or scores that are all equal, which correlate with nothing
inline StsData read_sts(const std::filesystem::path& directory, const std::string& split) {
  TableReader table(find_data_file(directory, {split + ".tsv"}), {"score", "sentence1", "sentence2"});
  StsData data;
  bool varies = false;
  while (table.next()) {
    data.pairs.push_back({table.text(1, "sentence1"), table.text(2, "sentence2"), table.number(0, "score")});
    varies |= data.pairs.back().score != data.pairs.front().score;
  }
  if (data.pairs.size() < 2) throw FileError(table.name(), "", "holds fewer than two pairs");
  if (!varies) throw FileError(table.name(), "", "all scores are equal: nothing correlates with them");
  return data;
}

}  // namespace embedpool::io
