#pragma once
#include <optional>
#include <string>
#include <vector>

#include "embedpool/io/json.hpp"
#include "embedpool/io/line_reader.hpp"

namespace embedpool::program {

/// One text of the input: a string, or token ids.
struct InputText {
  Index line = 0;
  std::optional<std::string> text{};
  std::vector<TokenId> tokens{};
  io::Json id{};  ///< what JSON lines call "id", given back with the embedding; null without one
};

enum class InputFormat { automatic, lines, jsonl };

/// Texts of a file or standard input, one a line: the line itself, or a JSON object with `text` or `tokens`. Unless it is
/// given, the format is JSON lines where the file's name ends in .jsonl or .jsonl.gz, or the first line is an object with one
/// of the two keys. Of those, lines of white space alone are passed over, as in other JSON lines.
///
/// Errors  FileError naming file and line: an empty text, invalid UTF-8 (with the byte), broken JSON, neither `text`
///         nor `tokens` or both, a token id outside [0, vocabulary), a file without any text
class TextInput {
 public:
  TextInput(const std::string& path, InputFormat format, Index vocabulary);

  /// The next text. False at the end.
  bool next(InputText& text);

  const std::string& name() const noexcept { return lines_.name(); }
  double fraction() const { return lines_.fraction(); }

  /// A FileError at the line of `text`.
  [[noreturn]] void fail(const InputText& text, std::string_view cause) const;

 private:
  void read_object(const std::string& line, InputText& text) const;

  io::LineReader lines_;
  InputFormat format_;
  Index vocabulary_;
  bool any_ = false;  ///< text came
};

}  // namespace embedpool::program
