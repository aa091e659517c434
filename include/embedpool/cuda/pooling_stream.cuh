#pragma once
#include <optional>
#include <string>
#include <vector>

#include "embedpool/cuda/device_key_layout.hpp"
#include "embedpool/cuda/kernels/calibrate.cuh"
#include "embedpool/cuda/read_layer.cuh"
#include "embedpool/pooling/layers.hpp"

namespace embedpool::cuda {

/// A pooling's layers and reader on a device: batches of states come layer by layer, each as soon as it exists, and
/// leave as keys. It works on the caller's device, in its order, and never waits for it; it takes memory for the
/// largest batch so far, B x slots x D keys whatever the length of the texts (AllTokens: a key a token).
///
///   begin(segments)
///   push(layer, states)                  for every layer that wants(layer) names, in any order
///   head.forward(device, keys(), out)    any head over DeviceKeys
///   head.backward(..., begin_backward()) adds the gradient of the keys
///   backward_layer(layer, states, dstates) as the backbone's backward pass comes to each layer
///
/// Any TokensPolicy reads here whose `read` and `backward` are constexpr, a user's own too; one that looks at whole
/// rows says so (reads_whole_rows). Each text's keys have the same bits in any batch.
///
/// Errors    ShapeError for a layer that is not wanted, comes twice, is missing at keys(), or does not fit the batch
/// Requires  device and calibration outlive the stream, segments the batch; a device.wait() before the next begin;
///           what `texts` of a push holds is what check(selection) accepts
template <LayersPolicy Layers, class Tokens, Device D>
class DevicePoolingStream {
 public:
  /// `model_layers` is L of a model whose states are layers 0..L of `width`.
  DevicePoolingStream(D& device, Layers layers, Tokens tokens, Index model_layers, Index width,
                      std::optional<DeviceCalibration> calibration = {})
      : device_(&device),
        layers_(std::move(layers)),
        tokens_(std::move(tokens)),
        model_layers_(model_layers),
        width_(width),
        calibration_(calibration) {
    layers_.check(model_layers);
    require_in("Pooling", "width of the states", width, 1, Index(1) << 24);
    if (calibration_) calibration_->check(slots(), width);
  }

  /// Kinds of keys: rows of a layer table and of a calibration.
  Index slots() const noexcept { return layers_.count(model_layers_) * tokens_.slots(); }

  /// A batch of texts lying as `segments` says; what was there before is forgotten.
  void begin(const Segments& segments) {
    pushed_.clear();
    layout_.upload(*device_, tokens_, segments, layers_.count(model_layers_));
    segments_ = &segments;
    keys_ = key_memory_.rows(*device_, layout_.rows(), width_);
    pushed_.assign(static_cast<std::size_t>(model_layers_ + 1), false);
    calibrated_ = has_gradients_ = gradients_are_of_read_keys_ = false;
  }

  // LayerSink, of states in device memory
  Index last_layer() const noexcept {
    Index last = model_layers_;
    while (last > 0 && !wants(last)) --last;
    return last;
  }
  bool wants(Index layer) const noexcept { return layers_.wants(layer, model_layers_); }
  Interval reads(const TextShape& shape) const noexcept { return tokens_.reads(shape); }

  /// Whoever chooses which tokens a layer holds asks here, once.
  /// Errors: ShapeError unless `selection` holds every token that is read.
  void check(const RowSelection& selection) const {
    require_equal("Pooling", "texts of the selection", selection.texts(), layout_.texts());
    for (Index b = 0; b < selection.texts(); ++b) {
      const Interval needed = reads(segments_->shape(b)), held = selection.held(b);
      const std::string text = "Pooling: text " + std::to_string(b);
      require_in(text, "first token held", held.begin, 0, needed.begin);
      require_in(text, "end of the tokens held", held.end, needed.end, segments_->shape(b).tokens);
    }
  }

  template <DeviceElement T>
  void push(Index layer, const DeviceStates<T>& states) {
    require_pushable(layer, states);
    const auto seen = pushed_.begin() + layer;
    if (*seen) throw ShapeError("Pooling: layer " + std::to_string(layer) + " was pushed twice");
    *seen = true;
    for_each_part_of(layer, [&](const auto& part, const KeyPlaces& places) {
      read_part(*device_, part, states, places, keys_, scratch_);
    });
  }
  template <DeviceElement T>
  void push(Index layer, Rows<const T> states, const PackedTexts& texts, const Index* index = nullptr) {
    push(layer, DeviceStates<T>{states, texts, index});
  }

  /// The keys of the batch, calibrated, after the last push.
  DeviceKeys keys() {
    for (Index layer = 0; layer <= model_layers_; ++layer)
      if (wants(layer) && (pushed_.empty() || !pushed_[static_cast<std::size_t>(layer)]))
        throw ShapeError("Pooling: layer " + std::to_string(layer) + " of " + std::to_string(model_layers_) +
                         " was never pushed");
    if (calibration_ && !calibrated_) device_->launch(Calibrate{*calibration_, layout_.kinds(), keys_});
    calibrated_ = true;
    return layout_.keys(keys_);
  }

  /// Cleared rows [keys of all texts, D] for a head to add the gradient of keys() to.
  Rows<float> begin_backward() {
    if (!calibrated_) throw ShapeError("Pooling: backward comes after keys()");
    dkeys_ = dkey_memory_.rows(*device_, layout_.rows(), width_);
    device_->clear(dkeys_.data, dkeys_.rows * dkeys_.cols * Index(sizeof(float)));
    has_gradients_ = true;
    gradients_are_of_read_keys_ = false;
    return dkeys_;
  }
  /// The same rows: of keys() before the first backward_layer, from then on of the keys as they were read.
  Rows<const float> dkeys() const noexcept { return dkeys_; }

  /// dstates += the gradient of this layer's states, a row for each row of states.texts. `states` as push saw them
  /// (only TokenMax, UnitTokenMean and users' readers look at more than their shapes).
  template <DeviceElement T>
  void backward_layer(Index layer, const DeviceStates<T>& states, Rows<float> dstates) {
    require_pushable(layer, states);
    require_equal("Pooling: backward_layer", "rows of dstates", dstates.rows, states.texts.rows);
    require_equal("Pooling: backward_layer", "columns of dstates", dstates.cols, width_);
    if (!has_gradients_) throw ShapeError("Pooling: backward_layer comes after begin_backward");
    if (calibration_ && !gradients_are_of_read_keys_)
      device_->launch(CalibrateBackward{*calibration_, layout_.kinds(), dkeys_});
    gradients_are_of_read_keys_ = true;
    for_each_part_of(layer, [&](const auto& part, const KeyPlaces& places) {
      read_part_backward(*device_, part, states, places, Rows<const float>(dkeys_), dstates);
    });
  }
  template <DeviceElement T>
  void backward_layer(Index layer, Rows<const T> states, const PackedTexts& texts, Rows<float> dstates,
                      const Index* index = nullptr) {
    backward_layer(layer, DeviceStates<T>{states, texts, index}, dstates);
  }

 private:
  template <class F>
  void for_each_part_of(Index layer, const F& f) const {
    Index number = 0;
    const Index layer_slot = layers_.slot(layer, model_layers_);
    for_each_part(tokens_, [&](const auto& part) { f(part, layout_.places(number++, layer_slot)); });
  }

  template <DeviceElement T>
  void require_pushable(Index layer, const DeviceStates<T>& states) const {
    if (pushed_.empty()) throw ShapeError("Pooling: push comes after begin");
    require_in("Pooling", "layer", layer, 0, model_layers_);
    const std::string where = "Pooling: layer " + std::to_string(layer);
    if (!wants(layer)) throw ShapeError(where + " is not one that is read");
    require_equal(where, "width", states.buffer.cols, width_);
    require_equal(where, "texts", states.texts.texts, layout_.texts());
    if (states.index == nullptr) require_equal(where, "rows", states.buffer.rows, states.texts.rows);
  }

  D* device_;
  Layers layers_;
  Tokens tokens_;
  Index model_layers_;
  Index width_;
  std::optional<DeviceCalibration> calibration_;
  const Segments* segments_ = nullptr;
  DeviceKeyLayout layout_;
  std::vector<bool> pushed_;
  bool calibrated_ = false;
  bool has_gradients_ = false;
  bool gradients_are_of_read_keys_ = false;
  DeviceBuffer<float> key_memory_, dkey_memory_;
  DeviceBuffer<double> scratch_;
  Rows<float> keys_, dkeys_;
};

}  // namespace embedpool::cuda
