#pragma once
#include <set>

#include "embedpool/eval/task_data.hpp"
#include "embedpool/io/task_data/data_file.hpp"
#include "embedpool/io/task_data/json_texts.hpp"

namespace embedpool::io {

/// Reads SPLIT.jsonl of a directory, an article a line: `human_summaries` and `machine_summaries` (lists of strings),
/// `relevance` (a number for each machine summary), maybe `id`.
///
/// Errors  FileError naming file, line and key: what JsonLines throws, a key that is missing or of another type, no human
///         summary, fewer than 3 machine summaries, another number of ratings, an id that stands twice; no articles, or none
///         with ratings that vary
inline SummarizationData read_summarization(const std::filesystem::path& directory, const std::string& split) {
  JsonLines lines(find_data_file(directory, {split + ".jsonl"}));
  SummarizationData data;
  bool varies = false;
  std::set<std::string> ids;
  for (Json value; lines.next(value);) {
    const JsonObject object = lines.object(value);
    if (object.has("id") && !ids.insert(object.at("id").dump()).second) object.fail("id", object.at("id").dump() + " stands twice");
    SummarizationData::Article article{texts_of(object, "human_summaries"), texts_of(object, "machine_summaries"), {}};
    if (article.human.empty()) object.fail("human_summaries", "holds no text");
    if (article.machine.size() < 3) object.fail("machine_summaries", "must hold at least 3 texts");
    article.relevance = numbers_of(object, "relevance", article.machine.size());
    for (const double rating : article.relevance) varies |= rating != article.relevance.front();
    data.articles.push_back(std::move(article));
  }
  if (!varies) throw FileError(lines.lines().name(), "", "holds no article whose ratings vary");
  return data;
}

}  // namespace embedpool::io
