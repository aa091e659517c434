#include "text_input.hpp"

#include "embedpool/io/tokenizer/utf8.hpp"

namespace embedpool::program {
namespace {

/// What the name says: only then is a line that is no such object an error, not a text.
bool is_named_json_lines(std::string name) {
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  return name.ends_with(".jsonl");
}

/// Cheap enough to ask of one line, exact enough: the line parses as an object that has one of the keys.
bool looks_like_json_lines(const std::string& line) {
  if (!line.starts_with('{')) return false;
  const io::Json json = io::Json::parse(line, nullptr, false);
  return json.is_object() && (json.contains("text") || json.contains("tokens"));
}

}  // namespace

TextInput::TextInput(const std::string& path, InputFormat format, Index vocabulary)
    : lines_(path), format_(format), vocabulary_(vocabulary) {
  if (format_ == InputFormat::automatic && is_named_json_lines(path)) format_ = InputFormat::jsonl;
}

bool TextInput::next(InputText& text) {
  std::string line;
  do {
    if (!lines_.next(line)) {
      if (!any_) throw FileError(name(), "line 1", "the input is empty");
      return false;
    }
  } while (format_ == InputFormat::jsonl && line.find_first_not_of(" \t\r") == std::string::npos);
  any_ = true;
  text = {.line = lines_.line_number()};
  if (line.empty()) fail(text, "text is empty");
  if (const std::size_t bad = io::tokenizing::first_invalid_utf8(line); bad != std::string::npos)
    fail(text, "invalid UTF-8 at byte " + std::to_string(bad));
  if (format_ == InputFormat::automatic)
    format_ = looks_like_json_lines(line) ? InputFormat::jsonl : InputFormat::lines;
  if (format_ == InputFormat::jsonl)
    read_object(line, text);
  else
    text.text = std::move(line);
  return true;
}

void TextInput::fail(const InputText& text, std::string_view cause) const {
  throw FileError(name(), "line " + std::to_string(text.line), cause);
}

void TextInput::read_object(const std::string& line, InputText& text) const {
  const io::Json json = io::parse_json(line, name(), "line " + std::to_string(text.line));
  const io::JsonObject object(json, name(), "line " + std::to_string(text.line));
  if (object.has("text") == object.has("tokens")) fail(text, "must have either \"text\" or \"tokens\"");
  if (object.has("id")) text.id = object.at("id");
  if (object.has("text")) {
    text.text = object.string("text");
    if (text.text->empty()) fail(text, "text is empty");
    return;
  }
  const io::Json& tokens = object.at("tokens");
  if (!tokens.is_array()) fail(text, "tokens must be an array of token ids");
  if (tokens.empty()) fail(text, "tokens is empty");
  for (const io::Json& id : tokens) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() >= vocabulary_)
      fail(text, "token " + std::to_string(text.tokens.size()) + " must be an id in [0, " +
                     std::to_string(vocabulary_ - 1) + "], got " + id.dump().substr(0, 80));
    text.tokens.push_back(id.get<TokenId>());
  }
}

}  // namespace embedpool::program
