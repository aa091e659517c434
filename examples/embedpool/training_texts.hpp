#pragma once
#include <map>
#include <string>
#include <vector>

#include "embedpool/io/text_layout.hpp"
#include "embedpool/io/tokenizer/tokenizer.hpp"
#include "embedpool/train/trained_embedder.hpp"
#include "embedpool/train/training_data.hpp"

namespace embedpool::program {

/// Makes ids of the texts of training data: the layout of all texts, and the instruction of a task in front of it for
/// queries.
class TrainingTexts {
 public:
  /// Errors: ShapeError for an instruction of a task that the data has not.
  TrainingTexts(const io::Tokenizer& tokenizer, io::TextLayout layout, const std::map<std::string, std::string>& prompts)
      : tokenizer_(tokenizer), layout_(std::move(layout)), prompts_(prompts) {}

  /// Errors: ShapeError naming the text that has no token.
  TrainingText operator()(const std::string& text, const std::string& task, bool is_query) {
    io::TextLayout layout = layout_;
    if (const auto prompt = prompts_.find(task); is_query && prompt != prompts_.end())
      layout.prompt = layout.prompt.behind(prompt->second);
    io::LaidOutText laid_out;
    try {
      laid_out = layout.lay_out(text, [this](const std::string& all) { return tokenizer_.encode(all); });
    } catch (const ShapeError& error) {
      throw ShapeError("training text '" + text.substr(0, 80) + "': " + error.what());
    }
    tokens_ += laid_out.shape.tokens;
    truncated_ += laid_out.truncated;
    ++texts_;
    return {std::move(laid_out.ids), laid_out.shape};
  }

  Index tokens() const noexcept { return tokens_; }  ///< of all texts so far
  Index texts() const noexcept { return texts_; }
  Index truncated() const noexcept { return truncated_; }  ///< of them
  Index max_tokens() const noexcept { return layout_.max_tokens; }

 private:
  const io::Tokenizer& tokenizer_;
  io::TextLayout layout_;
  std::map<std::string, std::string> prompts_;
  Index tokens_ = 0, texts_ = 0, truncated_ = 0;
};

}  // namespace embedpool::program
