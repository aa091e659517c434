#pragma once
#include <string>

#include "embedpool/pooling/concepts.hpp"

namespace embedpool {

/// Throws ShapeError unless `states` are the states of a layer that `sink` wants, for the texts of `segments`, with
/// every token that it reads. `place` names the sink.
template <class Sink, Element T>
void require_pushable(const char* place, const Sink& sink, Index layer, Index layers, Index width,
                      const Segments& segments, const LayerStates<T>& states) {
  require_in(place, "layer", layer, 0, layers);
  const std::string where = std::string(place) + ": layer " + std::to_string(layer);
  if (!sink.wants(layer)) throw ShapeError(where + " is not one that is read");
  if (states.segments == nullptr || states.selection == nullptr)
    throw ShapeError(where + " comes without segments or selection");
  require_equal(where, "width", states.buffer.cols, width);
  if (states.buffer.data == nullptr && states.selection->rows() > 0) throw ShapeError(where + " comes without rows");
  if (states.index.empty()) require_in(where, "stride", states.buffer.stride, width, Index(1) << 48);  // else in other units
  require_equal(where, "texts", states.segments->size(), segments.size());
  require_equal(where, "texts of the selection", states.selection->texts(), segments.size());
  for (Index b = 0; b < segments.size(); ++b) {
    const Index tokens = segments.shape(b).tokens;
    const Interval needed = sink.reads(segments.shape(b));
    const Interval held = states.selection->held(b);
    const bool fits = states.segments->shape(b) == segments.shape(b) && held.begin <= needed.begin &&
                      needed.end <= held.end && held.end <= tokens;
    if (fits) [[likely]]
      continue;
    const std::string text = where + ": text " + std::to_string(b);
    require_equal(text, "tokens", states.segments->shape(b).tokens, tokens);
    if (states.segments->shape(b) != segments.shape(b))
      throw ShapeError(text + " has its prompt or its copies at other tokens than the text of the stream");
    require_in(text, "first token held", held.begin, 0, needed.begin);
    require_in(text, "end of the tokens held", held.end, needed.end, tokens);
  }
  if (states.index.empty()) return require_equal(where, "rows", states.buffer.rows, states.selection->rows());
  require_equal(where, "row numbers", static_cast<Index>(states.index.size()), states.selection->rows());
  for (const Index row : states.index) require_in(where, "row number", row, 0, states.buffer.rows - 1);
}

}  // namespace embedpool
