#pragma once
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "embedpool/io/atomic_file.hpp"

namespace embedpool::program {

/// Refuses a folder that files will be written to after hours and cannot be: what is there of its path must be a folder that
/// may be written to. Nothing is made.
///
/// Errors  FileError naming what is there
inline void require_writable_folder(const std::filesystem::path& folder) {
  std::filesystem::path there = std::filesystem::absolute(folder);
  std::error_code ignored;
  while (!std::filesystem::exists(there, ignored) && there.has_relative_path()) there = there.parent_path();
  if (!std::filesystem::is_directory(there, ignored))
    throw FileError(there.string(), "", "is no folder, which the output must be");
  if (::access(there.c_str(), W_OK) != 0) throw FileError(there.string(), "write", std::strerror(errno));
}

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
