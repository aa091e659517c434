#pragma once

namespace embedpool {

/// Which two values of a head turn together: (i, i + d/2), as Hugging Face checkpoints are stored, or (2 i, 2 i + 1),
/// as the permuted q and k rows of Llama-family GGUF files want it.
enum class RotaryStyle { halves, interleaved };

}  // namespace embedpool
