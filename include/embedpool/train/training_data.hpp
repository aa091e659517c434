#pragma once
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/io/json.hpp"
#include "embedpool/io/line_reader.hpp"

namespace embedpool {

/// One line of training data: a query and what answers it, maybe with what a teacher makes of the texts; or two texts of
/// equal rank and how alike they are.
struct TrainingExample {
  std::string query;                     ///< or the first text of a scored pair
  std::string positive;                  ///< or the second
  std::vector<std::string> negatives{};  ///< hard negatives, maybe none
  Index group = 0;                       ///< number of its task, or of its file where it names none
  std::optional<double> score{};         ///< of a scored pair; higher is more alike, on any scale
  std::vector<float> teacher{};          ///< [2 + negatives, teacher_width] a teacher's embeddings of the texts, or none
};

/// What a batch of an example teaches by: that its positive is right, its score, or a teacher.
enum class TaughtBy { positive, score, teacher };

inline TaughtBy taught_by(const TrainingExample& example) noexcept {
  if (example.score) return TaughtBy::score;
  return example.teacher.empty() ? TaughtBy::positive : TaughtBy::teacher;
}

/// What to do with a line that is no example.
enum class BadLines { refused, skipped };

/// Training examples in memory, in the order of files and lines.
struct TrainingData {
  std::vector<TrainingExample> examples;
  std::vector<std::string> groups;  ///< names of the tasks, or files
  Index teacher_width = 0;          ///< of all teachers' embeddings; 0: there are none
  Index skipped_lines = 0;
};

namespace detail {

/// A string of a key that must be there, and must have a character other than white space.
inline std::string training_text(const io::JsonObject& object, const std::string& key, const io::Json& value) {
  if (!value.is_string()) object.fail(key, "must be a string");
  auto text = value.get<std::string>();
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) object.fail(key, "is empty");
  return text;
}

/// The embeddings that a teacher gives of the `texts` of an example, which has an embedding of `width` values for each
/// (0: of any width, which then is the width).
inline std::vector<float> teacher_embeddings(const io::JsonObject& object, std::size_t texts, Index& width) {
  const auto fail = [&](const std::string& cause) { object.fail("teacher", cause); };
  const io::Json& rows = object.at("teacher");
  if (!rows.is_array()) fail("must be a list of embeddings");
  if (rows.size() != texts)
    fail("has " + std::to_string(rows.size()) + " embeddings, for " + std::to_string(texts) + " texts");
  std::vector<float> values;
  for (const io::Json& row : rows) {
    if (!row.is_array() || row.empty()) fail("an embedding must be a list of numbers");
    if (width == 0) width = static_cast<Index>(row.size());
    if (static_cast<Index>(row.size()) != width)
      fail("an embedding has " + std::to_string(row.size()) + " values, another " + std::to_string(width));
    float largest = 0;
    for (const io::Json& value : row) {
      if (!value.is_number()) fail("an embedding must be a list of numbers");
      values.push_back(value.get<float>());
      if (!std::isfinite(values.back())) fail("an embedding holds a value that is no finite float");
      largest = std::max(largest, std::abs(values.back()));
    }
    if (largest == 0) fail("an embedding is zero and has no direction");
  }
  return values;
}

/// The example of a line, and its task ("" where it names none).
inline std::pair<TrainingExample, std::string> training_example(const std::string& line, const std::string& file,
                                                                const std::string& where, Index& teacher_width) {
  if (line.find_first_not_of(" \t\r") == std::string::npos) throw FileError(file, where, "is empty");
  const io::Json json = io::parse_json(line, file, where);
  const io::JsonObject object(json, file, where);
  TrainingExample example;
  const bool scored = object.has("sentence1");
  const auto text = [&](const char* key) { return training_text(object, key, object.at(key)); };
  example.query = text(scored ? "sentence1" : "query");
  example.positive = text(scored ? "sentence2" : "positive");
  if (scored) example.score = object.number("score");
  for (const char* key : {"negative", "negatives"}) {
    if (scored && object.has(key)) object.fail(key, "a scored pair has none");
    if (!object.has(key)) continue;
    const io::Json& value = object.at(key);
    if (!value.is_array()) example.negatives.push_back(training_text(object, key, value));
    else for (const io::Json& one : value) example.negatives.push_back(training_text(object, key, one));
  }
  if (scored && object.has("teacher")) object.fail("teacher", "a scored pair has none");
  if (object.has("teacher")) example.teacher = teacher_embeddings(object, 2 + example.negatives.size(), teacher_width);
  return {std::move(example), object.string_or("task", "")};
}

}  // namespace detail

/// Reads JSON lines, plain or gzip-compressed: an object a line with `query`, `positive`, and maybe `negative` or
/// `negatives` (a string or a list), `task` and `teacher` (a list of the embeddings that a teacher gives of query, positive
/// and each negative); or with `sentence1`, `sentence2`, `score` and maybe `task`. The examples of a task are all of one of
/// these kinds.
///
/// Errors  FileError naming file, line and key: no object, a key missing, empty or of another type, an empty line, a file
///         without examples. With BadLines::skipped lines are counted instead; a file that cannot be read still is an error
inline TrainingData read_training_data(const std::vector<std::string>& files, BadLines bad_lines = BadLines::refused) {
  TrainingData data;
  std::map<std::string, Index> numbers;
  std::vector<TaughtBy> kinds;  // by group
  for (const std::string& path : files) {
    io::LineReader lines(path);
    const std::size_t before = data.examples.size();
    for (std::string line;;) {
      const Index read = lines.line_number();
      try {
        if (!lines.next(line)) break;
        const std::string where = "line " + std::to_string(lines.line_number());
        Index width = data.teacher_width;
        auto [example, task] = detail::training_example(line, lines.name(), where, width);
        const std::string& group = task.empty() ? path : task;
        const auto [entry, is_new] = numbers.emplace(group, static_cast<Index>(data.groups.size()));
        if (is_new) data.groups.push_back(group);
        example.group = entry->second;
        if (is_new) kinds.push_back(taught_by(example));
        else if (kinds[static_cast<std::size_t>(example.group)] != taught_by(example))
          throw FileError(lines.name(), where, "task '" + group + "' has examples of other kinds: all have a score, or a "
                          "teacher's embeddings, or none has");
        data.teacher_width = width;
        data.examples.push_back(std::move(example));
      } catch (const FileError&) {
        // A line that was read is a line to skip; what happens before a line is there is not about lines.
        if (bad_lines == BadLines::refused || lines.line_number() == read) throw;
        ++data.skipped_lines;
      }
    }
    if (data.examples.size() == before) throw FileError(lines.name(), "", "holds no training example");
  }
  return data;
}

}  // namespace embedpool
