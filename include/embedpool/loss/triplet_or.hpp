#pragma once
#include <optional>

#include "embedpool/loss/triplet.hpp"

namespace embedpool {

/// A contrastive loss chosen at run time: `triplet` where it is set, else `inner`. What `inner` learns it is then not taught.
///
/// Errors  those of the loss that is called
template <class Contrastive>
struct TripletOr {
  Contrastive inner{};
  std::optional<Triplet> triplet{};

  /// What the inner loss learns, where it learns something.
  auto tensors() const requires requires { inner.tensors(); } { return inner.tensors(); }

  template <Real S>
  double operator()(const ContrastiveBatch<S>& batch, const ContrastiveGradients<S>& gradients) const {
    return triplet ? (*triplet)(batch, gradients) : inner(batch, gradients);
  }
};

}  // namespace embedpool
