#pragma once
#include "embedpool/nn/any_compute.hpp"

namespace embedpool::program {

/// For --device cuda, before anything is computed or written.
///
/// Errors  Error that says why this machine's GPU cannot be used, that this program was built without CUDA, or that a GPU
///         does not compute like that
void require_gpu(const AnyCompute& compute);

}  // namespace embedpool::program
