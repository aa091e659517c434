#pragma once
#include <map>
#include <string>

#include "embedpool/core/matrix.hpp"
#include "embedpool/eval/tasks/text_table.hpp"

namespace embedpool::test {

/// The embeddings of a table's texts, looked up by text.
inline Matrix<float> embedded(const TextTable& table, const std::map<std::string, std::vector<float>>& vectors) {
  Matrix<float> rows(table.size(), static_cast<Index>(vectors.begin()->second.size()));
  for (Index i = 0; i < table.size(); ++i) {
    const std::vector<float>& vector = vectors.at(table[i].text);
    rows.row(i) = Eigen::Map<const RowVector<float>>(vector.data(), static_cast<Index>(vector.size()));
  }
  return rows;
}

}  // namespace embedpool::test
