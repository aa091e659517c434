#include "text_batches.hpp"

namespace embedpool::program {

TextBatches::TextBatches(TextInput& input, TextEncoding encoding) : input_(input), encoding_(std::move(encoding)) {}

bool TextBatches::read() {
  if (!input_.next(text_)) return false;
  if (encoding_.keep_texts && !text_.text) input_.fail(text_, "must be a text, to be shown");
  try {
    laid_out_ = text_.text ? encoding_.layout.lay_out(*text_.text, encoding_.encode)
                           : encoding_.tokens_layout.lay_out(text_.tokens);
    cut_.add(laid_out_, (text_.text ? encoding_.layout : encoding_.tokens_layout).max_tokens, encoding_.strict);
  } catch (const FileError&) {
    throw;  // the tokenizer's own file, already named
  } catch (const Error& error) {
    input_.fail(text_, error.what());
  }
  return true;
}

void TextBatches::place(TextBatch& batch, std::map<Key, Index>& places) {
  const TextShape shape = laid_out_.shape;
  Key key{std::move(laid_out_.ids), shape.text.begin, shape.text.end, shape.second_copy};
  const auto [place, is_new] = places.try_emplace(std::move(key), batch.batch.segments().size());
  if (!is_new && !encoding_.merge_equal) place->second = batch.batch.segments().size();
  if (is_new || !encoding_.merge_equal) batch.batch.add(std::get<0>(place->first), shape);
  batch.row.push_back(place->second);
  batch.ids.push_back(std::move(text_.id));
  if (encoding_.keep_texts) batch.texts.push_back(std::move(*text_.text));
}

bool TextBatches::next(TextBatch& batch) {
  batch = {};
  std::map<Key, Index> places;
  while (batch.row.size() < most_texts && (pending_ || read())) {
    const Index tokens = batch.batch.segments().rows() + laid_out_.shape.tokens;
    pending_ = !batch.row.empty() && tokens > encoding_.batch_tokens;
    if (pending_) break;
    place(batch, places);
  }
  return !batch.row.empty();
}

}  // namespace embedpool::program
