#pragma once
#include <vector>

#include "embedpool/model/trained_block.hpp"

namespace embedpool {

/// The pairs of an adapter, and places for their gradients, with rows of B as the decoder stores those of W: in another
/// order than the adapter's where q and k are stored for interleaved rotation. Where the orders agree these are the
/// adapter's own, not copies.
template <Real S>
class StoredPairs {
 public:
  /// Takes the pairs of a model as they are now; gradients begin at zero where they are gathered apart.
  void take(const TrainedDecoder<S>& model) {
    const auto& entries = model.adapter.entries;
    const DecoderConfig& config = model.decoder.config();
    stored_.assign(entries.size(), {});
    stored_gradients_.assign(entries.size(), {});
    pairs_.clear();
    gradients_.clear();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const bool reordered = detail::is_reordered(entries[i].place, config);
      if (reordered) stored_[i] = detail::in_stored_order(entries[i].lora, entries[i].place.kind, config);
      pairs_.push_back(reordered ? &stored_[i] : &entries[i].lora);
      if (model.gradients == nullptr) continue;
      LoraPair<S>& gradient = model.gradients->lora[i];
      const bool trained = gradient.a.size() > 0;
      if (reordered && trained)
        stored_gradients_[i] = {Matrix<S>::Zero(gradient.a.rows(), gradient.a.cols()),
                                Matrix<S>::Zero(gradient.b.rows(), gradient.b.cols())};
      gradients_.push_back(!trained ? nullptr : reordered ? &stored_gradients_[i] : &gradient);
    }
  }
  /// Adds gradients that were gathered in the decoder's order of rows to those of the adapter.
  void return_gradients(const TrainedDecoder<S>& model) const {
    for (std::size_t i = 0; i < stored_gradients_.size(); ++i) {
      const LoraPair<S>& stored = stored_gradients_[i];
      if (stored.a.size() == 0) continue;
      LoraPair<S>& gradient = model.gradients->lora[i];
      gradient.a += stored.a;
      for (Index n = 0; n < stored.b.rows(); ++n)
        gradient.b.row(row_for_halves(n, model.decoder.config().head_dim)) += stored.b.row(n);
    }
  }

  const std::vector<const LoraPair<S>*>& pairs() const noexcept { return pairs_; }      ///< by entry of the adapter
  const std::vector<LoraPair<S>*>& gradients() const noexcept { return gradients_; }    ///< null where none is wanted

 private:
  std::vector<LoraPair<S>> stored_, stored_gradients_;
  std::vector<const LoraPair<S>*> pairs_;
  std::vector<LoraPair<S>*> gradients_;
};

}  // namespace embedpool
