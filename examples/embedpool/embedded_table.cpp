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

io::LaidOutText EmbeddedTable::lay_out(const std::string& what, const TextTable::Entry& entry) {
  const io::TextLayout& layout = entry.role == TextRole::query ? query_layout_ : encoding_.layout;
  try {
    io::LaidOutText laid_out = layout.lay_out(entry.text, encoding_.encode);
    cut_.add(laid_out, layout.max_tokens, encoding_.strict);
    return laid_out;
  } catch (const ShapeError& error) {
    throw ShapeError(what + ": text '" + entry.text.substr(0, 60) + "': " + error.what());
  }
}

}  // namespace embedpool::program
