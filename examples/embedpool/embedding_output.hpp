#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "embedpool/core/matrix.hpp"
#include "embedpool/io/json.hpp"

namespace embedpool::program {

/// Where embeddings go, one row for each text of the input, in its order.
///
/// A file appears whole or not at all. So does what goes to standard output ("-"): rows wait in an unnamed temporary
/// file until the last is there, so that a reader behind a pipe never takes half an output for a whole one.
class EmbeddingOutput {
 public:
  virtual ~EmbeddingOutput() = default;

  /// Row row[i] of `embeddings` is that of the input's next text, which the input calls ids[i] (null: nothing).
  virtual void write(const Matrix<float>& embeddings, const std::vector<Index>& row, const std::vector<io::Json>& ids) = 0;

  /// Makes the output appear.
  virtual void commit() = 0;

  /// `format` is npy or jsonl; without one a path that ends in .npy is npy and everything else jsonl.
  /// Errors: FileError naming the path; ShapeError for another format.
  static std::unique_ptr<EmbeddingOutput> open(const std::string& path, const std::optional<std::string>& format);
};

}  // namespace embedpool::program
