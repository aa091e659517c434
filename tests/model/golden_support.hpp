#pragma once
// What the golden tests of this folder share: where the files are, how cases are read, which mask a name means.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "embedpool/attention/mask.hpp"
#include "embedpool/core/batch.hpp"
#include "embedpool/core/matrix.hpp"
#include "embedpool/io/safetensors.hpp"
#include "embedpool/model/decoder.hpp"
#include "embedpool/pooling/concepts.hpp"
#include "support/golden.hpp"

namespace embedpool::test {

/// The entries of a directory whose names end in `ending`, sorted; none when the directory is missing.
inline std::vector<std::filesystem::path> entries(const std::filesystem::path& directory, const std::string& ending = "") {
  std::vector<std::filesystem::path> found;
  if (std::filesystem::is_directory(directory))
    for (const auto& entry : std::filesystem::directory_iterator(directory))
      if (entry.path().filename().string().ends_with(ending)) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

template <class T>
std::vector<T> integers(const io::Tensor& tensor) {
  std::vector<T> values(tensor.data.size() / sizeof(T));
  REQUIRE(static_cast<Index>(values.size()) == tensor.size());
  std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

template <Real S>
Matrix<S> matrix(const io::Tensor& tensor) {
  return io::matrix_of<S>(tensor);
}

/// The texts of `ids`, `offsets` as the golden files pack them.
inline Batch batch_of(const io::SafetensorsFile& file, const std::string& prefix = "") {
  const auto ids = integers<std::int32_t>(file.at(prefix + "ids"));
  const auto offsets = integers<std::int64_t>(file.at(prefix + "offsets"));
  Batch batch;
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b)
    batch.add(std::span(ids).subspan(static_cast<std::size_t>(offsets[b]),
                                     static_cast<std::size_t>(offsets[b + 1] - offsets[b])));
  return batch;
}

/// A sink that keeps every row of every layer up to `last`.
template <Real S>
struct KeepLayers {
  Index last = 0;
  std::map<Index, Matrix<S>> layers{};

  Index last_layer() const noexcept { return last; }
  bool wants(Index) const noexcept { return true; }
  Interval reads(const TextShape& shape) const noexcept { return {0, shape.tokens}; }
  void push(Index layer, const LayerStates<S>& states) { layers[layer] = as_eigen(states.buffer); }
};

/// Every layer of a decoder on one text of these ids, under the causal mask.
template <Real S>
std::vector<Matrix<S>> layers_of(const Decoder<S>& decoder, const std::vector<TokenId>& ids) {
  KeepLayers<S> kept{decoder.layers()};
  DecoderWorkspace<S> workspace;
  SerialExecutor serial;
  Batch batch;
  batch.add(ids);
  decoder.forward(batch, Causal{}, kept, workspace, serial);
  std::vector<Matrix<S>> layers;
  for (auto& [layer, states] : kept.layers) layers.push_back(std::move(states));
  return layers;
}

/// Calls f(mask) with the mask that the golden README means by a name, for a model with window W (0: none).
template <class F>
void with_named_mask(const std::string& name, Index window, F&& f) {
  if (name == "causal" && window > 0) return f(CausalWindow{window});
  if (name == "causal" || name == "causal_nowindow") return f(Causal{});
  if (name == "bidirectional") return f(Bidirectional{});
  if (name == "causal_window_le") return f(CausalWindowInclusive{window});
  if (name == "bidirectional_window_le") return f(BidirectionalWindow{window});
  if (name == "bidirectional_window_lt") return f(BidirectionalWindowExclusive{window});
  FAIL("no mask is named ", name);
}

/// The masks of a cases file: what stands in front of the first ".hidden." of its tensors.
inline std::vector<std::string> masks_of(const io::SafetensorsFile& cases) {
  std::vector<std::string> masks;
  for (const auto& [name, tensor] : cases.tensors()) {
    const auto end = name.find(".hidden.");
    if (end == std::string::npos) continue;
    if (std::find(masks.begin(), masks.end(), name.substr(0, end)) == masks.end()) masks.push_back(name.substr(0, end));
  }
  return masks;
}

template <Real S>
double largest_difference(const Matrix<S>& a, const Matrix<S>& b) {
  REQUIRE(a.rows() == b.rows());
  REQUIRE(a.cols() == b.cols());
  return (a.template cast<double>() - b.template cast<double>()).cwiseAbs().maxCoeff();  // NaN stays NaN in comparisons
}

/// The golden README measures 3e-6 of the peak for plain float32 and suggests 1e-4 absolute at its peaks of 4 to 14.
template <Real S>
double hidden_state_tolerance(const Matrix<S>& reference) {
  return std::max(1e-4, 1e-5 * static_cast<double>(reference.cwiseAbs().maxCoeff()));
}

}  // namespace embedpool::test
