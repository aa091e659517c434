#pragma once
#include <map>

#include "embedpool/eval/task_data.hpp"
#include "embedpool/io/task_data/data_file.hpp"
#include "embedpool/io/task_data/json_texts.hpp"
#include "embedpool/io/task_data/table_reader.hpp"

namespace embedpool::io {

namespace detail {

/// Labels of one set, numbered as they come, and what a set must be.
class ClusteringSet {
 public:
  void add(std::string text, const std::string& label) {
    set_.texts.push_back(std::move(text));
    set_.labels.push_back(numbers_.emplace(label, static_cast<Index>(numbers_.size())).first->second);
  }
  LabelledTexts take(const std::string& file, const std::string& where) {
    if (set_.texts.empty()) throw FileError(file, where, "holds no texts");
    if (numbers_.size() < 2) throw FileError(file, where, "all texts have the label '" + numbers_.begin()->first + "'");
    if (set_.texts.size() <= numbers_.size())
      throw FileError(file, where, "has " + std::to_string(set_.texts.size()) + " texts for " +
                                       std::to_string(numbers_.size()) + " clusters, and must have more");
    return std::move(set_);
  }

 private:
  LabelledTexts set_;
  std::map<std::string, Index> numbers_;
};

}  // namespace detail

/// Reads SPLIT.tsv of a directory, one set with the columns `label` and `text`; or SPLIT.jsonl, a set a line with the
/// lists `sentences` and `labels` (strings or whole numbers).
///
/// Errors  FileError naming file and line: what TableReader and JsonLines throw, a text or label that is empty, lists of
///         different lengths; a set with one label only, or with no more texts than labels
inline ClusteringData read_clustering(const std::filesystem::path& directory, const std::string& split) {
  const std::string path = find_data_file(directory, {split + ".tsv", split + ".jsonl"});
  ClusteringData data;
  if (path.find(".jsonl", path.size() - std::min<std::size_t>(path.size(), 9)) == std::string::npos) {
    TableReader table(path, {"label", "text"});
    detail::ClusteringSet set;
    while (table.next()) set.add(table.text(1, "text"), table.text(0, "label"));
    data.sets.push_back(set.take(table.name(), ""));
    return data;
  }
  JsonLines lines(path);
  for (Json value; lines.next(value);) {
    const JsonObject object = lines.object(value);
    std::vector<std::string> texts = texts_of(object, "sentences");
    const Json& labels = object.at("labels");
    if (!labels.is_array() || labels.size() != texts.size()) object.fail("labels", "must be a list as long as sentences");
    detail::ClusteringSet set;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (!labels[i].is_string() && !labels[i].is_number_integer()) object.fail("labels", "must hold strings or whole numbers");
      std::string label = labels[i].is_string() ? labels[i].get<std::string>() : labels[i].dump();
      if (label.empty()) object.fail("labels", "holds a label that is empty");
      set.add(std::move(texts[i]), label);
    }
    data.sets.push_back(set.take(lines.lines().name(), "line " + std::to_string(lines.lines().line_number())));
  }
  if (data.sets.empty()) throw FileError(path, "", "holds no set");
  return data;
}

}  // namespace embedpool::io
