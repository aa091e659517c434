#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "embedpool/core/error.hpp"

namespace embedpool::io {

/// How mapped bytes will be read.
enum class Access : int { normal = MADV_NORMAL, random = MADV_RANDOM, sequential = MADV_SEQUENTIAL, soon = MADV_WILLNEED };

/// A whole file, mapped read only: pages are read when they are touched and belong to the system's cache, so weights
/// need no second copy. Shared, because tensors and views of the file keep it alive.
///
/// Errors  FileError with the system's reason; directories and special files are refused
/// Requires  nobody shortens the file while it is mapped (replacing it, as AtomicFile does, is harmless)
class MappedFile {
 public:
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path) {
    return std::shared_ptr<const MappedFile>(new MappedFile(path));
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile() {
    if (size_ > 0) munmap(data_, size_);
  }

  std::span<const std::byte> bytes() const noexcept { return {static_cast<const std::byte*>(data_), size_}; }
  const std::string& name() const noexcept { return name_; }

  /// A hint to the system's read-ahead (`soon` starts reading now); it changes speed alone.
  void expect(Access access) const noexcept {
    if (size_ > 0) madvise(data_, size_, static_cast<int>(access));
  }

 private:
  explicit MappedFile(const std::filesystem::path& path) : name_(path.string()) {
    // Without O_NONBLOCK, opening a pipe would wait for somebody to write to it.
    const int descriptor = ::open(name_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) throw FileError(name_, "open", std::strerror(errno));
    struct stat status {};
    const bool known = fstat(descriptor, &status) == 0;
    if (!known || !S_ISREG(status.st_mode)) {
      const std::string reason = !known                    ? std::strerror(errno)
                                 : S_ISDIR(status.st_mode) ? "is a directory, not a regular file"
                                                           : "not a regular file";
      ::close(descriptor);
      throw FileError(name_, "open", reason);
    }
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ > 0) data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    const int reason = errno;
    ::close(descriptor);
    if (data_ == MAP_FAILED) {
      size_ = 0;
      throw FileError(name_, "map", std::strerror(reason));
    }
  }

  std::string name_;
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace embedpool::io
