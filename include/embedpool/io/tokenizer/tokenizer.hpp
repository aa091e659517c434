#pragma once
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "embedpool/io/tokenizer/read_tokenizer_gguf.hpp"
#include "embedpool/io/tokenizer/read_tokenizer_json.hpp"

namespace embedpool::io {

/// Text to token ids and back, as the tokenizer of a model does it.
///
///   text -> added tokens set apart -> normalizer -> pre-tokenizer (words) -> model (ids) -> special tokens around
///
/// Immutable, so threads share one; each thread keeps buffers and a small cache of words.
///
/// Errors  reading: FileError naming file, place and cause; components that are not known are refused by name
///         encoding: TextError for invalid UTF-8 (with its position) and for texts above 1 GiB
///         ids out of range: ShapeError
/// Cost    O(n log n) for any text of n bytes
/// Limits  what a character is follows the Unicode versions of the system's PCRE2 and utf8proc (in BERT's stages and in
///         decompositions those of the reference); a reference built on others may cut differently at characters that only
///         one of them knows
class Tokenizer {
 public:
  /// From the text of a Hugging Face tokenizer.json; `name` is for messages.
  static Tokenizer from_json(std::string_view json, const std::string& name = "tokenizer.json") {
    return Tokenizer(tokenizing::read_tokenizer_json(json, name));
  }
  /// From the metadata of a GGUF file.
  static Tokenizer from_gguf(const GgufFile& file) { return Tokenizer(tokenizing::GgufTokenizerReader(file).read()); }

  /// From a Hugging Face directory: tokenizer.json, and the names of BOS, EOS, padding and unknown token from
  /// tokenizer_config.json or special_tokens_map.json where these exist.
  static Tokenizer from_directory(const std::filesystem::path& directory) {
    Tokenizer tokenizer = open(directory / "tokenizer.json");
    for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"})
      if (std::error_code ignored; std::filesystem::is_regular_file(directory / name, ignored)) tokenizer.read_names(directory / name);
    return tokenizer;
  }
  /// From a directory, a GGUF file (by its first bytes) or a tokenizer.json.
  static Tokenizer open(const std::filesystem::path& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) return from_directory(path);
    const auto file = MappedFile::open(path);
    const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
    if (text.starts_with("GGUF")) return from_gguf(GgufFile(file->bytes(), file->name(), file));
    return from_json(text, file->name());
  }

  /// The ids of a text, without special tokens around it. Special tokens written in the text are recognised, unless
  /// `parse_special` is false (for text that is not trusted).
  std::vector<TokenId> encode(std::string_view text, bool parse_special = true) const {
    std::vector<TokenId> ids;
    encode_to(text, ids, parse_special);
    return ids;
  }
  /// Appends the ids of a text.
  void encode_to(std::string_view text, std::vector<TokenId>& ids, bool parse_special = true) const {
    if (text.size() > max_text) throw TextError("is longer than 1 GiB", max_text);
    tokenizing::require_utf8(text);
    auto& scratch = tokenizing::Scratch::of_this_thread();
    const bool plain = parts_.normalizer.stages.empty() && in_normalized_.empty();
    in_text_.split(
        text, parse_special,
        [&](std::string_view part, std::size_t at) {
          if (plain) return encode_words(part, at == 0, ids, scratch);
          scratch.normalized.assign(part);
          parts_.normalizer.apply(scratch.normalized, scratch.match);
          in_normalized_.split(
              scratch.normalized, parse_special,
              [&](std::string_view inner, std::size_t inner_at) { encode_words(inner, at == 0 && inner_at == 0, ids, scratch); },
              [&](const tokenizing::AddedToken& token) { ids.push_back(token.id); });
        },
        [&](const tokenizing::AddedToken& token) { ids.push_back(token.id); });
    if (text.size() > (1u << 16)) scratch.shrink();
  }

  /// The ids of a text with the special tokens that the file asks for; at most `max_length` in all, cut on the right of
  /// the text so that the closing special tokens stay. Errors: ShapeError when max_length has no room for these.
  TokenizerEncoding encode_with_special(std::string_view text, std::optional<Index> max_length = std::nullopt,
                                        bool parse_special = true) const {
    return parts_.single.encoding(encode(text, parse_special), {}, max_length);
  }
  /// The same for a pair; the longer text is cut first.
  TokenizerEncoding encode_pair(std::string_view first, std::string_view second, std::optional<Index> max_length = std::nullopt,
                                bool parse_special = true) const {
    return parts_.pair.encoding(encode(first, parse_special), encode(second, parse_special), max_length);
  }

  /// The text of ids. Ill-formed UTF-8, which single bytes can give, comes out as U+FFFD.
  /// Errors: ShapeError for an id that is no token.
  std::string decode(std::span<const TokenId> ids, bool skip_special = false) const {
    tokenizing::Spellings tokens;
    for (const TokenId id : ids) {
      const std::string_view spelling = token(id);
      if (!skip_special || !is_special(id)) tokens.emplace_back(spelling);
    }
    const auto& scratch = tokenizing::Scratch::of_this_thread();
    for (const auto& stage : parts_.decoder) std::visit([&](const auto& s) { s.apply(tokens, scratch.match); }, stage);
    std::string text;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0 && parts_.joined_by_spaces) text += ' ';
      text += tokens[i];
    }
    return text;
  }

  /// One more than the largest id.
  Index size() const noexcept { return size_; }
  bool is_token(Index id) const noexcept {
    return parts_.vocabulary->has(id) || (id >= 0 && id < size_ && parts_.added.count(static_cast<TokenId>(id)) > 0);
  }
  bool is_special(TokenId id) const noexcept {
    const auto found = parts_.added.find(id);
    return found != parts_.added.end() && found->second.special;
  }
  /// A token as the file spells it. Errors: ShapeError for an id that is no token.
  std::string_view token(TokenId id) const {
    if (parts_.vocabulary->has(id)) return parts_.vocabulary->token(id);
    const auto found = parts_.added.find(id);
    if (found != parts_.added.end()) return found->second.content;
    throw ShapeError("tokenizer: id " + std::to_string(id) + " is no token; ids are in [0, " + std::to_string(size_ - 1) + "]");
  }
  /// The id of a token as the file spells it.
  std::optional<TokenId> id_of(std::string_view token) const {
    if (const auto id = parts_.vocabulary->find(token)) return id;
    const auto found = added_names_.find(token);
    return found == tokenizing::StringTable::none ? std::nullopt : std::optional(static_cast<TokenId>(found));
  }

  std::optional<TokenId> bos() const noexcept { return parts_.bos; }
  std::optional<TokenId> eos() const noexcept { return parts_.eos; }
  std::optional<TokenId> pad() const noexcept { return parts_.pad; }
  std::optional<TokenId> unknown() const noexcept { return parts_.unknown; }

  /// The special tokens that encode_with_special puts before and after a text.
  std::vector<TokenId> prefix_ids() const { return parts_.single.around(false); }
  std::vector<TokenId> suffix_ids() const { return parts_.single.around(true); }
  /// Whether the file asks for BOS before, EOS after a text.
  bool add_bos() const { return contains(prefix_ids(), parts_.bos); }
  bool add_eos() const { return contains(suffix_ids(), parts_.eos); }
  /// The truncation that the file carries; nothing applies it by itself.
  std::optional<Index> max_length() const noexcept { return parts_.max_length; }

  const std::string& file() const noexcept { return parts_.file; }

  /// What the file says, with the names that a directory's configuration adds.
  const tokenizing::TokenizerParts& parts() const noexcept { return parts_; }

 private:
  static constexpr std::size_t max_text = std::size_t(1) << 30;

  explicit Tokenizer(tokenizing::TokenizerParts parts) : parts_(std::move(parts)), serial_(next_serial()) {
    size_ = parts_.vocabulary->size();
    for (const auto& [id, token] : parts_.added) {
      size_ = std::max<Index>(size_, id + Index(1));
      added_names_.insert(token.content, static_cast<std::uint32_t>(id));
      if (!token.normalized) {
        in_text_.add(token.content, token);
        continue;
      }
      // Such a token is looked for in normalized text, so in its normalized form.
      std::string content = token.content;
      parts_.normalizer.apply(content, tokenizing::Scratch::of_this_thread().match);
      in_normalized_.add(content, token);
    }
  }
  static std::uint32_t next_serial() {
    static std::atomic<std::uint32_t> last{0};
    return ++last;
  }

  void encode_words(std::string_view text, bool at_start, std::vector<TokenId>& ids, tokenizing::Scratch& scratch) const {
    auto& pieces = scratch.pieces;
    pieces.start(text, at_start);
    for (const auto& stage : parts_.pre_tokenizer)
      std::visit([&](const auto& s) { s.apply(pieces, scratch.match); }, stage);
    std::visit(
        [&](const auto& model) {
          for (const tokenizing::Piece& piece : pieces.now) {
            const std::uint64_t hash = tokenizing::hash_bytes(piece.text.substr(0, 64));
            if (const auto known = scratch.cache.find(serial_, piece.text, hash); !known.empty()) {
              ids.insert(ids.end(), known.begin(), known.end());
              continue;
            }
            const std::size_t before = ids.size();
            model.encode(piece.text, ids, scratch);
            scratch.cache.keep(serial_, piece.text, hash, std::span(ids).subspan(before));
          }
        },
        *parts_.model);
  }

  /// {"bos_token": "<s>"} or {"bos_token": {"content": "<s>"}}. A name that is no token is refused where texts may need it;
  /// of padding, which they never do, it is passed over: transformers would make it a token that the model has no row for.
  void read_names(const std::filesystem::path& path) {
    const Json json = read_json(path);
    const tokenizing::JsonNode node(json, path.string());
    const auto named = [&](const char* key, std::optional<TokenId>& id) {
      if (id || !node.has(key)) return;
      const std::string name = node.at(key).is_object() ? node.object(key).string("content") : node.string(key);
      id = id_of(name);
      if (!id && std::string_view(key) != "pad_token") node.fail(key, "\"" + name + "\" is not a token");
    };
    named("bos_token", parts_.bos);
    named("eos_token", parts_.eos);
    named("pad_token", parts_.pad);
    named("unk_token", parts_.unknown);
  }

  static bool contains(const std::vector<TokenId>& ids, const std::optional<TokenId>& id) {
    return id && std::find(ids.begin(), ids.end(), *id) != ids.end();
  }

  tokenizing::TokenizerParts parts_;
  tokenizing::AddedTokenMatcher in_text_;        // looked for in the text as it is
  tokenizing::AddedTokenMatcher in_normalized_;  // looked for after normalization
  tokenizing::StringTable added_names_;
  Index size_ = 0;
  std::uint32_t serial_;
};

}  // namespace embedpool::io
