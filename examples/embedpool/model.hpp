#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/io/embedder_config.hpp"
#include "embedpool/io/saved_pooling.hpp"
#include "embedpool/model/decoder.hpp"

namespace embedpool::io {
class Tokenizer;
}

namespace embedpool::program {

/// A model file or directory: its decoder, what its own files say about pooling, and its tokenizer once text needs one.
class Model {
 public:
  static constexpr const char* merged_adapters_key = "embedpool_merged_adapters";  ///< in config.json

  /// Errors: FileError naming file, key or tensor, and cause.
  explicit Model(const std::string& path);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const std::string& path() const noexcept { return path_; }
  /// A number of the contents of the file, or of the directory's files: another model at the same path has another.
  std::string digest() const;
  /// What `embedpool merge` made of it: a digest_of() each adapter that is merged into it.
  std::vector<std::string> merged_adapters() const;
  bool is_gguf() const noexcept { return gguf_.has_value(); }
  const std::optional<io::GgufFile>& gguf() const noexcept { return gguf_; }
  const Decoder<float>& decoder() const noexcept { return *decoder_; }
  io::ModelFacts facts() const;
  const io::SavedPooling& saved_pooling() const noexcept { return saved_pooling_; }

  /// Whether there is a tokenizer to read; tokenizer() reads it when it is first asked for.
  bool has_tokenizer() const;
  /// Errors: FileError when there is none, or it cannot be used; or when it has ids that the model has not.
  const io::Tokenizer& tokenizer() const;
  /// Why there is none, in words; empty when there is one.
  std::string tokenizer_problem() const;

  /// What the model's own files put before and behind a text; nothing without a tokenizer that can be used.
  std::vector<TokenId> prepended() const;
  std::vector<TokenId> appended() const;
  /// The end-of-text (beginning-of-text) ids for a model that adds none by itself: the tokenizer's, else what
  /// config.json says. Errors: FileError when nothing names one.
  std::vector<TokenId> end_ids() const;
  std::vector<TokenId> begin_ids() const;

  /// How many tensors of which format, and their bytes: (format, count), bytes in all.
  struct Tensors {
    std::vector<std::pair<std::string, Index>> formats;
    Index count = 0;
    Index values = 0;
    Index bytes = 0;
  };
  Tensors tensors() const;

 private:
  std::vector<TokenId> named_id(const std::string& gguf_key, const std::string& config_key) const;

  std::string path_;
  std::optional<io::GgufFile> gguf_;
  std::optional<Decoder<float>> decoder_;
  io::SavedPooling saved_pooling_;
  mutable std::unique_ptr<io::Tokenizer> tokenizer_;
  mutable std::string digest_;  ///< once it was asked for
};

}  // namespace embedpool::program
