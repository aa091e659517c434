#pragma once
#include "embedpool/pooling/any_head.hpp"
#include "train_options.hpp"

namespace embedpool::program {

/// The head that the flags name (else identity, or a mix for several kinds of keys), fitted to the model where they leave it open: heads of 64, a feed-forward as wide as the
/// model, a layer table when keys are of several kinds.
///
/// Errors  ShapeError for a name that is not known, and for flags of what the head does not have
AnyHead new_head(const HeadOptions& options, Index width, Index slots);

}  // namespace embedpool::program
