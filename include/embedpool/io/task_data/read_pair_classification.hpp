#pragma once
#include "embedpool/eval/task_data.hpp"
#include "embedpool/io/task_data/data_file.hpp"
#include "embedpool/io/task_data/table_reader.hpp"

namespace embedpool::io {

/// Reads SPLIT.tsv of a directory: columns `label` (1: the same meaning, 0: not), `sentence1`, `sentence2`.
///
/// Errors  FileError naming file and line: what TableReader throws, a label that is neither 0 nor 1, a sentence that is
///         empty; labels that are all 0 or all 1
inline PairClassificationData read_pair_classification(const std::filesystem::path& directory, const std::string& split) {
  TableReader table(find_data_file(directory, {split + ".tsv"}), {"label", "sentence1", "sentence2"});
  PairClassificationData data;
  bool has[2] = {false, false};
  while (table.next()) {
    if (table.field(0) != "0" && table.field(0) != "1")
      table.fail("the label must be 0 or 1, got '" + std::string(table.field(0)) + "'");
    const int label = table.field(0) == "1";
    has[label] = true;
    data.pairs.push_back({table.text(1, "sentence1"), table.text(2, "sentence2"), label});
  }
  if (data.pairs.empty()) throw FileError(table.name(), "", "holds no pairs");
  if (!has[0] || !has[1]) throw FileError(table.name(), "", std::string("all labels are ") + (has[1] ? "1" : "0"));
  return data;
}

}  // namespace embedpool::io
