#pragma once
#include "embedpool/eval/task_data.hpp"
#include "embedpool/io/task_data/data_file.hpp"
#include "embedpool/io/task_data/table_reader.hpp"

namespace embedpool::io {

/// Reads SPLIT.tsv of a directory: columns `sentence1`, `sentence2`, translations of each other.
///
/// Errors  FileError naming file and line: what TableReader throws, a sentence that is empty; fewer than two pairs
inline BitextData read_bitext(const std::filesystem::path& directory, const std::string& split) {
  TableReader table(find_data_file(directory, {split + ".tsv"}), {"sentence1", "sentence2"});
  BitextData data;
  while (table.next()) {
    data.first.push_back(table.text(0, "sentence1"));
    data.second.push_back(table.text(1, "sentence2"));
  }
  if (data.first.size() < 2) throw FileError(table.name(), "", "holds fewer than two pairs");
  return data;
}

}  // namespace embedpool::io
