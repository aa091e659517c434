#pragma once
#include <array>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "embedpool/core/types.hpp"

namespace embedpool {

/// How a text is used. Models with instructions put them before queries; what is searched goes without.
enum class TextRole { query, document };

/// The texts that some tasks need, each once: a task adds its texts and remembers their rows, a caller embeds all rows
/// once, and every task reads its rows of the same matrix of embeddings.
///
/// The same text as a query and as a document has two rows, since a prompt may stand before one of them; with
/// `Roles::alike` it has one, of role query. Tasks with instructions of their own take a table each.
class TextTable {
 public:
  enum class Roles { differ, alike };
  struct Entry {
    std::string text;
    TextRole role;
  };

  explicit TextTable(Roles roles = Roles::differ) : roles_(roles) {}

  /// The row of a text, new or not.
  Index add(std::string_view text, TextRole role) {
    if (roles_ == Roles::alike) role = TextRole::query;
    auto& rows = rows_[static_cast<std::size_t>(role)];
    if (const auto found = rows.find(text); found != rows.end()) return found->second;
    entries_.push_back({std::string(text), role});
    const Index row = static_cast<Index>(entries_.size()) - 1;
    rows.emplace(entries_.back().text, row);  // a view of the entry, which stays where it is
    return row;
  }

  Index size() const noexcept { return static_cast<Index>(entries_.size()); }
  const Entry& operator[](Index row) const noexcept { return entries_[static_cast<std::size_t>(row)]; }

  TextTable(const TextTable&) = delete;  // the maps look at the entries
  TextTable& operator=(const TextTable&) = delete;

 private:
  Roles roles_;
  std::deque<Entry> entries_{};
  std::array<std::unordered_map<std::string_view, Index>, 2> rows_{};
};

}  // namespace embedpool
