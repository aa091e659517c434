#pragma once
#include <string>

#include "embedpool/eval/tasks/text_table.hpp"
#include "cut_texts.hpp"
#include "settings.hpp"

namespace embedpool::program {

/// Embeddings of the texts of a table, each text once however many tasks have it; an instruction, where there is one,
/// stands in front of queries.
class EmbeddedTable {
 public:
  EmbeddedTable(ForwardPass& pass, const Settings& settings, TextEncoding encoding, const std::string& instruction,
                bool quiet)
      : table(instruction.empty() ? TextTable::Roles::alike : TextTable::Roles::differ),
        pass_(pass),
        settings_(settings),
        encoding_(std::move(encoding)),
        query_layout_(encoding_.layout),
        quiet_(quiet) {
    query_layout_.prompt = query_layout_.prompt.behind(instruction);
  }

  TextTable table;

  /// Embeds what was added since the last time; `what` is said of it as it goes on.
  ///
  /// Errors  ShapeError naming a text that has no token, or is too long; Interrupted after a StopSignal
  Rows<const float> embeddings(const std::string& what);

  const CutTexts& cut() const noexcept { return cut_; }  ///< of all that were embedded

 private:
  void embed(const std::string& what, Index count);
  io::LaidOutText lay_out(const std::string& what, const TextTable::Entry& entry);

  ForwardPass& pass_;
  const Settings& settings_;
  TextEncoding encoding_;
  io::TextLayout query_layout_;
  bool quiet_;
  Matrix<float> vectors_{};
  Index done_ = 0;
  CutTexts cut_{};
};

}  // namespace embedpool::program
