#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/core/batch.hpp"
#include "embedpool/io/text_layout.hpp"
#include "embedpool/io/tokenizer/tokenizer.hpp"
#include "embedpool/train/trained_embedder.hpp"
#include "embedpool/train/training_data.hpp"
#include "cut_texts.hpp"

namespace embedpool::program {

/// Makes ids of the texts of training data: the layout of all texts, and the instruction of a task in front of it for
/// queries.
class TrainingTexts {
 public:
  /// With `strict` a text that is too long is an error, and not cut.
  TrainingTexts(const io::Tokenizer& tokenizer, io::TextLayout layout, std::map<std::string, std::string> prompts, bool strict)
      : tokenizer_(tokenizer), layout_(std::move(layout)), prompts_(std::move(prompts)), strict_(strict) {}

  /// Errors: ShapeError naming a text that has no token, or is too long.
  TrainingText operator()(const std::string& text, const std::string& task, bool is_query) {
    io::TextLayout layout = layout_;
    if (const auto prompt = prompts_.find(task); is_query && prompt != prompts_.end())
      layout.prompt = layout.prompt.behind(prompt->second);
    try {
      io::LaidOutText laid_out = layout.lay_out(text, [this](const std::string& all) { return tokenizer_.encode(all); });
      cut_.add(laid_out, layout.max_tokens, strict_);
      tokens_ += laid_out.shape.tokens;
      return {std::move(laid_out.ids), laid_out.shape};
    } catch (const ShapeError& error) {
      throw ShapeError("training text '" + text.substr(0, 80) + "': " + error.what());
    }
  }

  Index tokens() const noexcept { return tokens_; }  ///< of all texts so far
  const CutTexts& cut() const noexcept { return cut_; }

 private:
  const io::Tokenizer& tokenizer_;
  io::TextLayout layout_;
  std::map<std::string, std::string> prompts_;
  bool strict_;
  Index tokens_ = 0;
  CutTexts cut_{};
};

/// Texts in batches of about so many tokens: use(batch, texts done with it), in their order.
template <class Use>
void in_batches(const std::vector<TrainingText>& texts, Index batch_tokens, Use&& use) {
  Batch batch;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    batch.add(texts[i].ids, texts[i].shape);
    if (batch.segments().rows() < batch_tokens && i + 1 < texts.size()) continue;
    use(std::as_const(batch), static_cast<Index>(i + 1));
    batch = {};
  }
}

}  // namespace embedpool::program
