#pragma once
#include <sanitizer/asan_interface.h>

#include <map>
#include <memory>

#include "embedpool/cuda/host_device.hpp"

namespace embedpool::test {

/// Memory that, under the address sanitizer, only an open Access may touch.
class GuardedMemory final : public std::pmr::memory_resource {
 public:
  class Access {
   public:
    explicit Access(GuardedMemory& memory) : memory_(memory) {
      for (const auto& [data, bytes] : memory_.blocks_) ASAN_UNPOISON_MEMORY_REGION(data, bytes);
    }
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;
    ~Access() {
      for (const auto& [data, bytes] : memory_.blocks_) ASAN_POISON_MEMORY_REGION(data, bytes);
    }

   private:
    GuardedMemory& memory_;
  };

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    void* const data = std::pmr::new_delete_resource()->allocate(bytes, alignment);
    blocks_[data] = bytes;
    ASAN_POISON_MEMORY_REGION(data, bytes);
    return data;
  }
  void do_deallocate(void* data, std::size_t bytes, std::size_t alignment) override {
    ASAN_UNPOISON_MEMORY_REGION(data, bytes);
    blocks_.erase(data);
    std::pmr::new_delete_resource()->deallocate(data, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  std::map<void*, std::size_t> blocks_;
};

/// The host as a device whose memory only its own work reaches, as that of a GPU: code that reads a device's pointer on the
/// host is an error under the address sanitizer. `Base` is a HostDevice.
template <class Base>
class GuardedDevice : public Base {
 public:
  explicit GuardedDevice(cuda::RunOrder order = cuda::RunOrder::rising) : GuardedDevice(order, new GuardedMemory) {}

  void copy_in(void* to, const void* from, Index bytes) { access([&] { Base::copy_in(to, from, bytes); }); }
  void copy_out(void* to, const void* from, Index bytes) { access([&] { Base::copy_out(to, from, bytes); }); }
  void copy(void* to, const void* from, Index bytes) { access([&] { Base::copy(to, from, bytes); }); }
  void clear(void* to, Index bytes) { access([&] { Base::clear(to, bytes); }); }
  template <cuda::Kernel K>
  void launch(const K& kernel) {
    access([&] { Base::launch(kernel); });
  }
  template <cuda::DeviceElement T, cuda::DeviceElement U>
  void multiply(const cuda::Product<T, U>& product) {
    access([&] { Base::multiply(product); });
  }

 private:
  GuardedDevice(cuda::RunOrder order, GuardedMemory* memory) : Base(order, memory), guarded_(memory) {}

  template <class F>
  void access(F&& f) {
    const GuardedMemory::Access open(*guarded_);
    f();
  }

  std::unique_ptr<GuardedMemory> guarded_;
};

}  // namespace embedpool::test
