#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "embedpool/core/error.hpp"

namespace embedpool::io {

/// What is written around a text before it is tokenized: "{text}" stands for the text, once, or twice for echo
/// embeddings.
///
///   {text}                                            the text alone
///   This sentence: "{text}" means in one word: "      arXiv 2307.16645
///   Rewrite: {text}\nRewritten: {text}                arXiv 2402.15449
///
/// Nothing else in braces is special.
class PromptTemplate {
 public:
  static constexpr std::string_view mark = "{text}";

  PromptTemplate() : pieces_(2) {}

  /// Errors: ShapeError unless {text} is there once or twice.
  static PromptTemplate parse(std::string_view text) {
    PromptTemplate result;
    result.pieces_.clear();
    for (std::string_view rest = text;;) {
      const std::size_t at = rest.find(mark);
      result.pieces_.emplace_back(rest.substr(0, at));
      if (at == std::string_view::npos) break;
      rest.remove_prefix(at + mark.size());
    }
    if (result.copies() != 1 && result.copies() != 2)
      throw ShapeError("template \"" + std::string(text) + "\": {text} must stand in it once or twice, not " +
                       std::to_string(result.copies()) + " times");
    return result;
  }

  /// `prompt` in front of the text. Errors: ShapeError when the prompt contains {text}: that is a template.
  static PromptTemplate prompt(std::string_view prompt) {
    if (prompt.find(mark) != std::string_view::npos)
      throw ShapeError("prompt \"" + std::string(prompt) + "\": a text with {text} in it is a template");
    PromptTemplate result;
    result.pieces_.front() = prompt;
    return result;
  }

  /// This template with an instruction in front of all of it. Errors: ShapeError when the instruction contains {text}.
  PromptTemplate behind(std::string_view instruction) const {
    PromptTemplate result = *this;
    result.pieces_.front() = prompt(instruction).pieces_.front() + pieces_.front();
    return result;
  }

  std::size_t copies() const noexcept { return pieces_.size() - 1; }
  /// The pieces between the copies of the text: copies() + 1 of them, some may be empty.
  const std::vector<std::string>& pieces() const noexcept { return pieces_; }
  bool is_bare() const noexcept { return copies() == 1 && pieces_[0].empty() && pieces_[1].empty(); }

  /// The first `copies` copies of the text and the pieces before each of them; without an argument, all of it.
  std::string render(std::string_view text, std::size_t copies, bool with_last_text = true) const {
    std::string result;
    for (std::size_t i = 0; i < copies; ++i) {
      result += pieces_[i];
      if (with_last_text || i + 1 < copies) result += text;
    }
    return result;
  }
  std::string render(std::string_view text) const { return render(text, copies()) + pieces_.back(); }

  /// What parse() reads.
  std::string to_string() const { return render(mark); }
  friend bool operator==(const PromptTemplate&, const PromptTemplate&) = default;

 private:
  std::vector<std::string> pieces_;
};

}  // namespace embedpool::io
