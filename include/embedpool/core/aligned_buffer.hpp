#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#include "embedpool/core/rows.hpp"

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace embedpool {

namespace detail {

inline constexpr std::size_t huge_page = std::size_t(1) << 21, cache_line = 64;

#ifdef __linux__
/// `bytes` from the system itself, at the start of a huge page; null when there are none.
inline void* take_large(std::size_t bytes) noexcept {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t whole = (bytes + page - 1) / page * page;
  void* const raw = mmap(nullptr, whole + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const std::size_t before = (huge_page - reinterpret_cast<std::uintptr_t>(raw) % huge_page) % huge_page;
  std::byte* const begin = static_cast<std::byte*>(raw) + before;
  if (before > 0) munmap(raw, before);
  munmap(begin + whole, huge_page - before);
  // A wish: failure changes nothing. The end, which fills no huge page, would take up a whole one.
  madvise(begin, bytes / huge_page * huge_page, MADV_HUGEPAGE);
  return begin;
}
inline void free_large(void* memory, std::size_t bytes) noexcept { munmap(memory, bytes); }
#else
inline void* take_large(std::size_t bytes) noexcept { return std::aligned_alloc(cache_line, bytes); }
inline void free_large(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

}  // namespace detail

/// Uninitialised memory for plain values: 64-byte aligned, and on huge pages where the system has them once it is
/// large (worth 10 to 30 points of GEMM speed). `reserve` grows and forgets the contents; it never shrinks.
///
/// On Linux large memory is mapped and not taken from the heap, where buffers that grow by a few rows a batch leave holes
/// that none of them fits into again.
template <class T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(Index count) { reserve(count); }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~AlignedBuffer() { release(); }

  /// At least `count` values; pointers from before are invalid when it grows. Errors: std::bad_alloc.
  T* reserve(Index count) {
    if (count <= capacity()) return data_;
    release();
    constexpr std::size_t line = detail::cache_line;
    const std::size_t bytes = (static_cast<std::size_t>(count) * sizeof(T) + line - 1) / line * line;
    data_ = static_cast<T*>(bytes >= detail::huge_page ? detail::take_large(bytes) : std::aligned_alloc(line, bytes));
    if (data_ == nullptr) throw std::bad_alloc();
    bytes_ = bytes;
    return data_;
  }
  /// A [rows, cols] view of the buffer, grown as needed, contents undefined.
  Rows<T> rows(Index row_count, Index cols) { return {reserve(row_count * cols), row_count, cols}; }
  T* data() const noexcept { return data_; }
  Index capacity() const noexcept { return static_cast<Index>(bytes_ / sizeof(T)); }

 private:
  void release() noexcept {
    if (bytes_ >= detail::huge_page)
      detail::free_large(data_, bytes_);
    else
      std::free(data_);
    data_ = nullptr;
    bytes_ = 0;
  }

  T* data_ = nullptr;
  std::size_t bytes_ = 0;  ///< not the capacity: values need not fill them
};

}  // namespace embedpool
