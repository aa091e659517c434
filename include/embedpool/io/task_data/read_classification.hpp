#pragma once
#include <map>

#include "embedpool/eval/task_data.hpp"
#include "embedpool/io/task_data/data_file.hpp"
#include "embedpool/io/task_data/table_reader.hpp"

namespace embedpool::io {

/// Reads train.tsv and SPLIT.tsv of a directory: columns `label`, `text`. Labels are numbered in the order of their
/// bytes, so that of 0 and 1 class 1 is the positive one.
///
/// Errors  FileError naming file and line: what TableReader throws, a text that is empty, a label that the training set
///         does not have; a training set of one label only, a test set without texts
inline ClassificationData read_classification(const std::filesystem::path& directory, const std::string& split) {
  ClassificationData data;
  std::map<std::string, Index, std::less<>> numbers;
  std::vector<std::string> labels;
  TableReader train(find_data_file(directory, {"train.tsv"}), {"label", "text"});
  while (train.next()) {
    labels.push_back(train.text(0, "label"));
    data.train.texts.push_back(train.text(1, "text"));
    numbers.emplace(labels.back(), 0);
  }
  if (numbers.size() < 2)
    throw FileError(train.name(), "", numbers.empty() ? "holds no texts" : "all texts have the label '" + labels[0] + "'");
  for (auto& entry : numbers) {
    entry.second = static_cast<Index>(data.label_names.size());
    data.label_names.push_back(entry.first);
  }
  for (const std::string& label : labels) data.train.labels.push_back(numbers.at(label));
  TableReader test(find_data_file(directory, {split + ".tsv"}), {"label", "text"});
  while (test.next()) {
    const auto found = numbers.find(test.field(0));
    if (found == numbers.end()) test.fail("the label '" + std::string(test.field(0)) + "' is none of the training set");
    data.test.texts.push_back(test.text(1, "text"));
    data.test.labels.push_back(found->second);
  }
  if (data.test.texts.empty()) throw FileError(test.name(), "", "holds no texts");
  return data;
}

}  // namespace embedpool::io
