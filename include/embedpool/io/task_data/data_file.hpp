#pragma once
#include <filesystem>
#include <initializer_list>
#include <string>

#include "embedpool/core/error.hpp"

namespace embedpool::io {

/// True when `directory` has a file of this name, plain or with ".gz" behind it.
inline bool has_data_file(const std::filesystem::path& directory, const std::string& name) {
  return std::filesystem::is_regular_file(directory / name) || std::filesystem::is_regular_file(directory / (name + ".gz"));
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
