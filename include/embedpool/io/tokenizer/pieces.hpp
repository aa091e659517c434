#pragma once
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace embedpool::io::tokenizing {

/// A part of the text on its way to the model. `at_start`: nothing of the text stands before it.
struct Piece {
  std::string_view text;
  bool at_start;
};

/// The pieces of one text between two stages. A stage reads `now` and fills `next`, then the two change places; text that
/// a stage writes anew lives in `written`, whose strings never move.
struct PieceList {
  std::vector<Piece> now;
  std::vector<Piece> next;
  std::deque<std::string> written;

  void start(std::string_view text, bool at_start) {
    now.clear();
    written.clear();
    if (!text.empty()) now.push_back({text, at_start});
  }
  /// Runs stage(piece, emit) over all pieces; emit drops empty ones.
  template <class Stage>
  void each(Stage stage) {
    next.clear();
    for (const Piece& piece : now) {
      const char* begin = piece.text.data();
      stage(piece.text, piece.at_start, [&](std::string_view part) {
        if (!part.empty()) next.push_back({part, piece.at_start && part.data() == begin});
      });
    }
    now.swap(next);
  }
  /// Replaces every piece by write(text, at_start, out).
  template <class Write>
  void rewrite(Write write) {
    for (Piece& piece : now) {
      std::string& out = written.emplace_back();
      write(piece.text, piece.at_start, out);
      piece.text = out;
    }
  }
};

}  // namespace embedpool::io::tokenizing
