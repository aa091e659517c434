#include "embedded_table.hpp"

#include <utility>

#include "command.hpp"
#include "progress.hpp"
#include "stop_signal.hpp"

namespace embedpool::program {

Rows<const float> EmbeddedTable::embeddings(const std::string& what) {
  const Index count = table.size();
  if (done_ < count) embed(what, count);
  return rows_of(std::as_const(vectors_));
}

void EmbeddedTable::embed(const std::string& what, Index count) {
  Progress progress(what, quiet_);
  const Index before = done_;
  while (done_ < count) {
    if (StopSignal::requested()) throw Interrupted();
    Batch batch;
    while (done_ + batch.segments().size() < count && batch.segments().rows() < encoding_.batch_tokens) {
      const auto laid_out = lay_out(what, table[done_ + batch.segments().size()]);
      batch.add(laid_out.ids, laid_out.shape);
    }
    const Matrix<float> part = pass_.embed(batch, {&settings_.reading, 1}).front();
    if (vectors_.rows() < count) vectors_.conservativeResize(count, part.cols());
    vectors_.middleRows(done_, part.rows()) = part;
    done_ += part.rows();
    progress.add(part.rows(), batch.segments().rows(),
                 static_cast<double>(done_ - before) / static_cast<double>(count - before));
  }
  progress.finish();
}

io::LaidOutText EmbeddedTable::lay_out(const std::string& what, const TextTable::Entry& entry) const {
  const auto fail = [&](const std::string& cause) {
    throw ShapeError(what + ": text '" + entry.text.substr(0, 60) + "': " + cause);
  };
  const io::TextLayout& layout = entry.role == TextRole::query ? query_layout_ : encoding_.layout;
  io::LaidOutText laid_out;
  try {
    laid_out = layout.lay_out(entry.text, encoding_.encode);
  } catch (const ShapeError& error) {
    fail(error.what());
  }
  if (laid_out.truncated && encoding_.strict)
    fail("is longer than " + std::to_string(layout.max_tokens) + " tokens");
  return laid_out;
}

}  // namespace embedpool::program
