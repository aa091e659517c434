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
#include <utility>

#include "embedpool/core/error.hpp"

namespace embedpool::io {

/// A file that appears whole or not at all: it is written beside its place and moved there by commit(); without a
/// commit it is removed.
///
/// Errors  FileError with the system's reason: no such folder, no permission, disk full
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path)
      : path_(std::move(path)), temporary_(path_.string() + ".part" + std::to_string(getpid())) {
    file_ = std::fopen(temporary_.c_str(), "wb");
    if (file_ == nullptr) fail("open for writing");
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

}  // namespace embedpool::io
