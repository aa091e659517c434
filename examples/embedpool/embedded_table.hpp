#pragma once
#include <string>

#include "embedpool/eval/tasks/text_table.hpp"
#include "settings.hpp"

namespace embedpool::program {

/// Embeddings of the texts of a table, each text once however many tasks have it.
class EmbeddedTable {
 public:
  EmbeddedTable(ForwardPass& pass, const Settings& settings, TextEncoding encoding, bool quiet)
      : pass_(pass), settings_(settings), encoding_(std::move(encoding)), quiet_(quiet) {}

  TextTable table{TextTable::Roles::alike};

  /// Embeds what was added since the last time; `what` is said of it as it goes on.
  ///
  /// Errors  ShapeError naming a text that has no token, or is too long; Interrupted after a StopSignal
  Rows<const float> embeddings(const std::string& what);

 private:
  void embed(const std::string& what, Index count);
  io::LaidOutText lay_out(const std::string& what, const std::string& text) const;

  ForwardPass& pass_;
  const Settings& settings_;
  TextEncoding encoding_;
  bool quiet_;
  Matrix<float> vectors_{};
  Index done_ = 0;
};

}  // namespace embedpool::program
