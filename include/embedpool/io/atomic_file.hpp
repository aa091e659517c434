#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "embedpool/core/error.hpp"

namespace embedpool::io {

/// A file that appears whole or not at all: it is written beside its place and moved there by commit(); without a
/// commit it is removed.
///
/// Errors  FileError with the system's reason: no such folder, no permission, disk full; a folder in its place
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
    std::error_code ignored;  // what cannot be looked at is reported when it is opened
    if (std::filesystem::is_directory(path_, ignored)) throw FileError(path_.string(), "open for writing", "is a directory");
    // Writers of the same file, in this process and others, each have a temporary of their own.
    int descriptor = -1;
    for (int attempt = 0; attempt < 1000 && descriptor < 0; ++attempt) {
      temporary_ = path_.string() + ".part" + std::to_string(getpid()) + "-" + std::to_string(attempt);
      descriptor = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor < 0 && errno != EEXIST) break;
    }
    if (descriptor < 0) fail("open for writing");
    file_ = fdopen(descriptor, "wb");
    if (file_ != nullptr) return;
    const int reason = errno;
    ::close(descriptor);
    std::remove(temporary_.c_str());
    errno = reason;
    fail("open for writing");
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() {
    if (file_ != nullptr) std::fclose(file_);
    if (!committed_) std::remove(temporary_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) fail("write");
  }
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

  /// Writes over bytes at the beginning, for headers whose numbers are known last.
  void rewrite_begin(std::span<const std::byte> bytes) {
    if (std::fseek(file_, 0, SEEK_SET) != 0) fail("seek");
    write(bytes);
    if (std::fseek(file_, 0, SEEK_END) != 0) fail("seek");
  }

  /// Everything to the disk, then to its place.
  void commit() {
    if (std::fflush(file_) != 0 || fsync(fileno(file_)) != 0) fail("write");
    if (std::fclose(std::exchange(file_, nullptr)) != 0) fail("write");
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail("move into place");
    committed_ = true;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const { throw FileError(path_.string(), what, std::strerror(errno)); }

  std::filesystem::path path_;
  std::string temporary_;
  std::FILE* file_ = nullptr;
  bool committed_ = false;
};

/// Removes what writers of a file that were killed on their way left beside it. Nobody else may be writing the file.
inline void remove_unfinished(const std::filesystem::path& path) {
  const std::string beginning = path.filename().string() + ".part";
  std::error_code ignored;  // what cannot be removed disturbs nobody
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::absolute(path).parent_path(), ignored)) {
    const std::string name = entry.path().filename().string();
    const bool numbered = name.find_first_not_of("0123456789-", beginning.size()) == std::string::npos;
    if (name.starts_with(beginning) && name.size() > beginning.size() && numbered) std::filesystem::remove(entry.path(), ignored);
  }
}

}  // namespace embedpool::io
