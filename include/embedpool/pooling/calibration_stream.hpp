#pragma once
#include <vector>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/pooling/calibration_estimator.hpp"
#include "embedpool/pooling/key_layout.hpp"
#include "embedpool/pooling/require_pushable.hpp"

namespace embedpool {

/// A LayerSink that gives the keys a pooling would read to a CalibrationEstimator, layer by layer, and keeps nothing.
///
///   CalibrationEstimator estimator(pooling.slots(L), D);
///   for each batch:  CalibrationStream stream(pooling.layers, pooling.tokens, batch.segments(), L, D, estimator);
///                    the backbone pushes its layers into `stream`
///   const Calibration<float> calibration = estimator.estimate<float>();
///
/// The estimate depends on the order of the texts alone, not on how they were batched.
/// Errors  ShapeError for a layer that is not wanted, comes twice, or does not fit the batch
/// Requires  segments and estimator outlive the stream
template <LayersPolicy Layers, class Tokens>
  requires TokensPolicy<Tokens, double>
class CalibrationStream {
 public:
  CalibrationStream(const Layers& layers, const Tokens& tokens, const Segments& segments, Index model_layers,
                    Index width, CalibrationEstimator& estimator)
      : layers_(layers),
        tokens_(tokens),
        segments_(&segments),
        model_layers_(model_layers),
        width_(width),
        estimator_(&estimator),
        layout_(tokens, segments, checked_count(layers, model_layers)),
        pushed_(static_cast<std::size_t>(model_layers + 1), false) {
    for (Index b = 0; b < segments.size(); ++b) estimator.next_text();
  }
  /// Temporary segments would be gone.
  CalibrationStream(const Layers&, const Tokens&, Segments&&, Index, Index, CalibrationEstimator&) = delete;

  Index last_layer() const noexcept {
    Index last = model_layers_;
    while (last > 0 && !wants(last)) --last;
    return last;
  }
  bool wants(Index layer) const noexcept { return layers_.wants(layer, model_layers_); }
  Interval reads(const TextShape& shape) const noexcept { return tokens_.reads(shape); }

  template <Element T>
  void push(Index layer, const LayerStates<T>& states) {
    require_pushable("CalibrationStream", *this, layer, model_layers_, width_, *segments_, states);
    const auto seen = pushed_.begin() + layer;
    if (*seen) throw ShapeError("CalibrationStream: layer " + std::to_string(layer) + " was pushed twice");
    *seen = true;
    const Index layer_slot = layers_.slot(layer, model_layers_);
    for (Index b = 0; b < segments_->size(); ++b) {
      const Rows<double> keys = keys_.rows(layout_.keys_per_layer(b), width_);
      tokens_.read(states.text(b), keys);
      estimator_->add<double>(layout_.kinds(b, layer_slot), keys);
    }
  }

 private:
  static Index checked_count(const Layers& layers, Index model_layers) {
    layers.check(model_layers);
    return layers.count(model_layers);
  }

  Layers layers_;
  Tokens tokens_;
  const Segments* segments_;
  Index model_layers_;
  Index width_;
  CalibrationEstimator* estimator_;
  KeyLayout layout_;
  std::vector<bool> pushed_;
  AlignedBuffer<double> keys_;
};

}  // namespace embedpool
