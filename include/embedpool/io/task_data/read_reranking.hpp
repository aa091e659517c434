#pragma once
#include "embedpool/eval/task_data.hpp"
#include "embedpool/io/task_data/data_file.hpp"
#include "embedpool/io/task_data/json_texts.hpp"

namespace embedpool::io {

/// Reads SPLIT.jsonl of a directory, a query a line: `query` (a string, or several wordings of it), `positive` and
/// `negative` (lists of strings). Queries without positives or negatives are counted and left out, as in MTEB.
///
/// Errors  FileError naming file, line and key: what JsonLines throws, a key that is missing or of another type, a query
///         without wording; no query that is left
inline RerankingData read_reranking(const std::filesystem::path& directory, const std::string& split) {
  JsonLines lines(find_data_file(directory, {split + ".jsonl"}));
  RerankingData data;
  for (Json value; lines.next(value);) {
    const JsonObject object = lines.object(value);
    RerankingData::Query query{texts_of(object, "query"), texts_of(object, "positive"), texts_of(object, "negative")};
    if (query.wordings.empty()) object.fail("query", "holds no text");
    if (query.positives.empty() || query.negatives.empty()) ++data.left_out;
    else data.queries.push_back(std::move(query));
  }
  if (data.queries.empty()) throw FileError(lines.lines().name(), "", "holds no query with positives and negatives");
  return data;
}

}  // namespace embedpool::io
