#pragma once
#include <variant>

#include "embedpool/io/tokenizer/bpe.hpp"
#include "embedpool/io/tokenizer/sentence_piece_bpe.hpp"
#include "embedpool/io/tokenizer/unigram.hpp"
#include "embedpool/io/tokenizer/word_piece.hpp"

namespace embedpool::io::tokenizing {

/// What turns one word into ids. Each has encode(word, out, scratch) and is immutable.
using TokenModel = std::variant<Bpe, SentencePieceBpe, Unigram, WordPiece, WordLevel>;

}  // namespace embedpool::io::tokenizing
