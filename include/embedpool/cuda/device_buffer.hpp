#pragma once
#include <span>
#include <type_traits>
#include <utility>

#include "embedpool/core/rows.hpp"
#include "embedpool/cuda/device.hpp"

namespace embedpool::cuda {

/// Memory of a device for values that are used again and again: grows when asked for more, never shrinks.
///
/// Requires  the device outlives the buffer
template <class T>
class DeviceBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  DeviceBuffer() = default;
  DeviceBuffer(DeviceBuffer&& other) noexcept { *this = std::move(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~DeviceBuffer() { release(); }

  /// Room for `count` values; contents are undefined after growth.
  template <Device D>
  T* reserve(D& device, Index count) {
    if (count <= capacity_) return data_;
    std::pmr::memory_resource* const memory = device.memory();  // refused before anything is given back
    release();
    memory_ = memory;
    data_ = static_cast<T*>(memory_->allocate(static_cast<std::size_t>(count) * sizeof(T), alignment));
    capacity_ = count;
    return data_;
  }
  /// Room for a matrix with packed rows.
  template <Device D>
  Rows<T> rows(D& device, Index count, Index width) {
    return {reserve(device, count * width), count, width};
  }
  /// The values of the host, copied. They must stay until device.wait().
  template <Device D>
  T* upload(D& device, std::span<const T> values) {
    T* const to = reserve(device, static_cast<Index>(values.size()));
    device.copy_in(to, values.data(), static_cast<Index>(values.size_bytes()));
    return to;
  }
  T* data() const noexcept { return data_; }

 private:
  static constexpr std::size_t alignment = 256;
  void release() noexcept {
    if (data_) memory_->deallocate(data_, static_cast<std::size_t>(capacity_) * sizeof(T), alignment);
    data_ = nullptr;
    capacity_ = 0;
  }

  T* data_ = nullptr;
  Index capacity_ = 0;
  std::pmr::memory_resource* memory_ = nullptr;
};

}  // namespace embedpool::cuda
