#pragma once
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "embedpool/core/error.hpp"

namespace embedpool::io {

/// A folder that appears whole or not at all: it is filled beside its place and moved there by commit(); without a
/// commit it is removed. Folders in front of it are made.
///
/// Errors  FileError with the system's reason; when something else than an empty folder stands in its place, and what: a
///         model, other files
class AtomicFolder {
 public:
  explicit AtomicFolder(const std::filesystem::path& path) : path_(path.lexically_normal()) {
    std::error_code problem;
    if (!path_.has_filename()) path_ = path_.parent_path();  // "folder/"
    if (std::filesystem::is_symlink(path_, problem)) path_ = std::filesystem::weakly_canonical(path_, problem);
    require_free();
    std::filesystem::create_directories(std::filesystem::absolute(path_).parent_path(), problem);
    if (problem) fail("create folder", problem);
    bool made = false;
    for (int attempt = 0; attempt < 1000 && !made && !problem; ++attempt) {
      temporary_ = path_.string() + ".part" + std::to_string(getpid()) + "-" + std::to_string(attempt);
      made = std::filesystem::create_directory(temporary_, problem);
    }
    if (!made) fail("create folder", problem ? problem : std::make_error_code(std::errc::file_exists));
  }
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  ~AtomicFolder() {
    std::error_code ignored;
    if (!temporary_.empty()) std::filesystem::remove_all(temporary_, ignored);
  }

  /// Where to write until then.
  const std::filesystem::path& path() const noexcept { return temporary_; }

  void commit() {
    std::error_code problem;
    std::filesystem::rename(temporary_, path_, problem);  // replaces an empty folder and nothing else
    if (problem) fail("move into place", problem);
    temporary_.clear();
  }

 private:
  void require_free() const {
    std::error_code ignored;  // what cannot be looked at is reported when it is written
    if (!std::filesystem::exists(path_, ignored)) return;
    if (!std::filesystem::is_directory(path_, ignored)) throw FileError(path_.string(), "", "is there already, and no folder");
    for (const char* name : {"model.safetensors", "model.safetensors.index.json", "config.json", "pytorch_model.bin"})
      if (std::filesystem::exists(path_ / name, ignored))
        throw FileError(path_.string(), name, "the folder holds a model already; name another");
    if (!std::filesystem::is_empty(path_, ignored) && !ignored)
      throw FileError(path_.string(), "", "the folder is not empty; name another");
  }
  [[noreturn]] void fail(std::string_view what, const std::error_code& problem) const {
    throw FileError(path_.string(), what, problem.message());
  }

  std::filesystem::path path_, temporary_;
};

}  // namespace embedpool::io
