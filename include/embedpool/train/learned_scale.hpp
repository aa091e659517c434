#pragma once
#include <algorithm>
#include <cmath>
#include <concepts>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/loss/info_nce.hpp"
#include "embedpool/train/trained_tensor.hpp"

namespace embedpool {

/// InfoNCE whose scale (one over the temperature) is learned with the model, from inner.scale on.
///
///   scale = exp(t), t at most log(largest)        d loss / d t = scale d loss / d scale
///
/// A call first puts a t that an optimiser took past the limit back to it: the gradient is never cut, so that a scale at
/// its limit can fall again. Copies share t and its gradient, to which a call adds. `Contrastive` is InfoNCE, or one that
/// is computed elsewhere.
///
/// Errors  ShapeError for a scale that is not finite and above 0
/// Source  CLIP, arXiv 2103.00020, section 2.5: learned as a logarithm, limited to 100
template <Real S, std::derived_from<InfoNCE> Contrastive = InfoNCE>
struct LearnedScale {
  Contrastive inner;
  double largest;      ///< 100, or inner.scale where that is more
  bool learns = true;  ///< false: the scale stays inner.scale, so that a choice at run time needs no other type

  explicit LearnedScale(Contrastive loss = {})
      : inner(std::move(loss)), largest(std::max(100.0, inner.scale)), state_(std::make_shared<State>()) {
    if (!(inner.scale > 0) || !std::isfinite(inner.scale))
      throw ShapeError("learned scale: must be finite and above 0, is " + std::to_string(inner.scale));
    state_->log_scale.setConstant(static_cast<S>(std::log(inner.scale)));
  }

  double operator()(const ContrastiveBatch<S>& batch, const ContrastiveGradients<S>& gradients) const {
    if (!learns) return inner(batch, gradients);
    S& t = state_->log_scale(0, 0);
    if (scale() == largest) t = static_cast<S>(std::log(largest));
    Contrastive loss = inner;
    loss.scale = scale();
    double dscale = 0;
    const double value = loss(batch, gradients, dscale);
    state_->gradient(0, 0) += static_cast<S>(dscale * loss.scale);
    return value;
  }

  double scale() const {
    return learns ? std::min(largest, std::exp(static_cast<double>(state_->log_scale(0, 0)))) : inner.scale;
  }

  std::vector<TrainedTensor<S>> tensors() const {
    if (!learns) return {};
    return {{"loss.log_scale", &state_->log_scale, &state_->gradient, TrainedPart::head, false}};
  }

 private:
  struct State {
    Matrix<S> log_scale = Matrix<S>::Zero(1, 1), gradient = Matrix<S>::Zero(1, 1);
  };
  std::shared_ptr<State> state_;
};
static_assert(TrainedLoss<LearnedScale<float>, float>);

}  // namespace embedpool
