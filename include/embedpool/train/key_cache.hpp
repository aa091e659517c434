#pragma once
#include <algorithm>
#include <filesystem>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/io/safetensors.hpp"
#include "embedpool/io/safetensors_writer.hpp"
#include "embedpool/io/tensor_values.hpp"
#include "embedpool/model/backbone.hpp"
#include "embedpool/model/trained_mask.hpp"
#include "embedpool/pooling/pooling.hpp"

namespace embedpool {

/// The keys of many texts, numbered from 0: what a pooling's head sees of a frozen backbone, computed once. Calibration
/// is in them. For one vector a layer that is L x D values a text.
template <Real S>
class KeyCache {
 public:
  /// `slots` is how many kinds of keys there are: Pooling::slots() of the model's layers.
  KeyCache(Index width, Index slots) : width_(width), slots_(slots) {
    require_in("key cache", "width", width, 1, Index(1) << 24);
    require_in("key cache", "kinds of keys", slots, 1, Index(1) << 24);
  }

  Index size() const noexcept { return static_cast<Index>(texts_.size()); }
  Index width() const noexcept { return width_; }
  Index slots() const noexcept { return slots_; }

  /// Copies the keys of a text behind those that are there. Errors: ShapeError for keys of another width or kind, or none.
  void add(const Keys<S>& keys) {
    require_equal("key cache", "width of the keys", keys.rows.cols, width_);
    require_in("key cache", "keys of a text", keys.rows.rows, 1, Index(1) << 40);
    require_equal("key cache", "kinds of the keys", static_cast<Index>(keys.slot.size()), keys.rows.rows);
    for (const Index kind : keys.slot) require_in("key cache", "kind of a key", kind, 0, slots_ - 1);
    Entry entry;
    entry.slot.assign(keys.slot.begin(), keys.slot.end());
    const Rows<S> rows = rows_of_entry(entry);
    for (Index k = 0; k < rows.rows; ++k) std::copy_n(keys.rows.row_data(k), width_, rows.row_data(k));
    texts_.push_back(std::move(entry));
  }

  /// Requires  0 <= text < size()
  Keys<S> keys(Index text) const {
    const Entry& entry = texts_[static_cast<std::size_t>(text)];
    return {Rows<const S>(entry.values.data(), static_cast<Index>(entry.slot.size()), width_, stride()), entry.slot};
  }

  /// Writes the cache, whole or not at all; `description` says which model, mask, pooling and texts it is of.
  /// Errors: FileError with the system's reason.
  void write(const std::string& description, const std::filesystem::path& path) const {
    std::vector<S> values;
    std::vector<std::int64_t> offsets{0}, kinds;
    for (Index text = 0; text < size(); ++text) {
      const Keys<S> some = keys(text);
      for (Index k = 0; k < some.rows.rows; ++k) values.insert(values.end(), some.rows.row(k).begin(), some.rows.row(k).end());
      kinds.insert(kinds.end(), some.slot.begin(), some.slot.end());
      offsets.push_back(static_cast<std::int64_t>(kinds.size()));
    }
    io::SafetensorsWriter writer;
    writer.add_metadata("description", description);
    writer.add("keys", {offsets.back(), width_}, std::span<const S>(values));
    writer.add("kinds", {offsets.back()}, std::span<const std::int64_t>(kinds));
    writer.add("offsets", {size() + 1}, std::span<const std::int64_t>(offsets));
    writer.write(path);
  }

  /// Keys of `slots` kinds from a file.
  /// Errors: FileError naming file, tensor and cause: another description, shapes that do not fit, an unknown kind.
  static KeyCache read(const std::string& description, Index slots, const std::filesystem::path& path) {
    const auto file = io::SafetensorsFile::open(path);
    const auto written = file.metadata().find("description");
    if (written == file.metadata().end() || written->second != description)
      throw FileError(file.name(), "description", "is of other keys");
    const io::Tensor &of_keys = file.at("keys"), &of_offsets = file.at("offsets"), &of_kinds = file.at("kinds");
    if (of_keys.shape.size() != 2 || of_keys.shape[1] < 1) of_keys.fail("must be a matrix");
    const Matrix<S> values = io::matrix_of<S>(of_keys);
    const auto offsets = io::integers_of(of_offsets), kinds = io::integers_of(of_kinds);
    of_kinds.require_shape({values.rows()});
    if (offsets.empty() || offsets.front() != 0 || offsets.back() != values.rows()) of_offsets.fail("do not fit the keys");
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
      if (offsets[i] >= offsets[i + 1]) of_offsets.fail("must rise");
    std::vector<Index> slot;
    for (const std::int64_t kind : kinds) {
      if (kind < 0 || kind >= slots) of_kinds.fail("holds a number out of range: " + std::to_string(kind));
      slot.push_back(static_cast<Index>(kind));
    }
    if (of_keys.shape[1] > (Index(1) << 24)) of_keys.fail("is too wide");
    KeyCache cache(of_keys.shape[1], slots);
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
      const Index first = static_cast<Index>(offsets[i]), count = static_cast<Index>(offsets[i + 1]) - first;
      cache.add({rows_of(values).middle_rows(first, count),
                 std::span<const Index>(slot).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count))});
    }
    return cache;
  }

 private:
  struct Entry {
    AlignedBuffer<S> values{};
    std::vector<Index> slot{};
  };
  /// Rows begin at multiples of 64 bytes, as in a PoolingStream: sums of the same keys have the same bits.
  Index stride() const noexcept {
    constexpr Index alignment = 64 / static_cast<Index>(sizeof(S));
    return (width_ + alignment - 1) / alignment * alignment;
  }
  Rows<S> rows_of_entry(Entry& entry) const {
    const Index count = static_cast<Index>(entry.slot.size());
    return {entry.values.reserve(count * stride()), count, width_, stride()};
  }

  Index width_, slots_;
  std::vector<Entry> texts_;
};

/// Runs a batch through a backbone and adds the keys of its texts, in order, to a cache. The head takes no part.
///
/// Errors  those of the backbone and the pooling
template <Backbone B, MaskPolicy M, class P, Real S, Executor E>
void add_keys(const B& backbone, const M& mask, const P& pooling, const typename P::template Params<S>& params,
              const std::type_identity_t<Calibration<S>>* calibration, LastState last_state, const Batch& batch, KeyCache<S>& cache,
              typename B::Workspace& workspace, E& executor) {
  auto stream = pooling.template stream<S>(params, batch.segments(), backbone.layers(), backbone.width(), executor, calibration,
                                           KeepForBackward::yes);
  with_trained_window(mask, backbone.trained_window(), [&](const auto& applied) {
    backbone.forward(batch, applied, stream, workspace, executor, last_state);
  });
  for (Index b = 0; b < batch.segments().size(); ++b) cache.add(stream.keys(b));
}

}  // namespace embedpool
