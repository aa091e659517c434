#pragma once
#include <filesystem>
#include <string_view>

#include "embedpool/io/atomic_file.hpp"

namespace embedpool::program {

/// Writes a file whole or not at all, and makes the folders that it lies in.
///
/// Errors  FileError with the system's reason
inline void write_text_file(const std::filesystem::path& path, std::string_view text) {
  std::error_code problem;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), problem);
  if (problem) throw FileError(path.parent_path().string(), "create folder", problem.message());
  io::AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace embedpool::program
