#pragma once
#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

#include "embedpool/core/error.hpp"

namespace embedpool::io {

/// True when `directory` has a file of this name, plain or with ".gz" behind it.
inline bool has_data_file(const std::filesystem::path& directory, const std::string& name) {
  return std::filesystem::is_regular_file(directory / name) || std::filesystem::is_regular_file(directory / (name + ".gz"));
}

/// The tables and JSON lines of a data set, which are all that its readers read, in the order of their paths. Others are no
/// data: results, say, that were written into the folder.
inline std::vector<std::filesystem::path> data_files(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  for (const std::filesystem::path& folder : {directory, directory / "qrels"}) {
    if (!std::filesystem::is_directory(folder)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      for (const char* end : {".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz"})
        if (entry.is_regular_file() && entry.path().filename().string().ends_with(end)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// The first of these files that is there, plain before compressed.
///
/// Errors  FileError naming the directory and all names when none is there
inline std::string find_data_file(const std::filesystem::path& directory, std::initializer_list<std::string> names) {
  std::string tried;
  for (const std::string& name : names) {
    if (std::filesystem::is_regular_file(directory / name)) return (directory / name).string();
    if (std::filesystem::is_regular_file(directory / (name + ".gz"))) return (directory / (name + ".gz")).string();
    tried += (tried.empty() ? "" : ", ") + name;
  }
  throw FileError(directory.string(), "", "there is no " + tried + ", plain or with .gz behind it");
}

}  // namespace embedpool::io
