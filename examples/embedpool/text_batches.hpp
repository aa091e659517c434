#pragma once
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "embedpool/core/batch.hpp"
#include "cut_texts.hpp"
#include "text_input.hpp"

namespace embedpool::program {

/// Texts of the input that go through the model together. Equal ids may be in it once: a text's embedding does not
/// depend on its batch, so the row of the first serves all.
struct TextBatch {
  Batch batch{};
  std::vector<Index> row{};      ///< of each input text, in input order: its text in `batch`
  std::vector<io::Json> ids{};   ///< of each input text: what the input calls it
  std::vector<std::string> texts{};  ///< the input texts, where they are kept
};

/// How texts become ids.
struct TextEncoding {
  io::TextLayout layout{};           ///< for texts
  io::TextLayout tokens_layout{};    ///< for texts that come as ids
  /// Ids of a string; throws when the model has no tokenizer.
  std::function<std::vector<TokenId>(const std::string&)> encode{};
  Index batch_tokens = 1024;
  bool strict = false;               ///< an over-long text is an error, and not cut
  bool merge_equal = true;           ///< equal texts go through the model once
  bool keep_texts = false;           ///< batches hold the texts themselves; an input of ids is an error then
};

/// Cuts an input into batches: consecutive texts until `batch_tokens` tokens are reached, so that memory is bounded
/// whatever the input's length (a single longer text is a batch of its own).
///
/// Errors  FileError naming file and line
class TextBatches {
 public:
  TextBatches(TextInput& input, TextEncoding encoding);

  /// The next batch, of at least one text. False when the input is used up.
  bool next(TextBatch& batch);

  const CutTexts& cut() const noexcept { return cut_; }  ///< so far
  double fraction() const { return input_.fraction(); }

 private:
  static constexpr std::size_t most_texts = 4096;  // bounds a batch of equal or tiny texts
  using Key = std::tuple<std::vector<TokenId>, Index, Index, Index>;

  bool read();
  void place(TextBatch& batch, std::map<Key, Index>& places);

  TextInput& input_;
  TextEncoding encoding_;
  InputText text_{};
  io::LaidOutText laid_out_{};
  bool pending_ = false;  // text_ was read but fitted into no batch yet
  CutTexts cut_{};
};

}  // namespace embedpool::program
