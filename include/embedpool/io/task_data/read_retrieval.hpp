#pragma once
#include <algorithm>
#include <set>
#include <unordered_map>

#include "embedpool/eval/task_data.hpp"
#include "embedpool/io/task_data/data_file.hpp"
#include "embedpool/io/task_data/json_texts.hpp"
#include "embedpool/io/task_data/table_reader.hpp"
#include "embedpool/io/tokenizer/unicode.hpp"

namespace embedpool::io {

namespace detail {

/// Texts of a JSON lines file with `_id`, `text` and maybe `title`, and the number of each id.
struct IdentifiedTexts {
  std::string file;
  std::vector<RetrievalData::Text> texts;
  std::unordered_map<std::string, Index> numbers;

  explicit IdentifiedTexts(const std::string& path) {
    JsonLines lines(path);
    file = lines.lines().name();
    for (Json value; lines.next(value);) {
      const JsonObject object = lines.object(value);
      std::string id = object.string("_id");
      if (!numbers.emplace(id, static_cast<Index>(texts.size())).second) object.fail("_id", "'" + id + "' stands twice");
      texts.push_back({std::move(id), stripped(object.string_or("title", "") + " " + object.string("text"))});
    }
    if (std::all_of(texts.begin(), texts.end(), [](const auto& text) { return text.text.empty(); }))
      throw FileError(file, "", "holds no texts");
  }

 private:
  /// Without what Python's str.strip() takes for white space, by which MTEB joins title and text.
  static std::string stripped(const std::string& text) {
    const auto is_space = [&](std::size_t at) {
      const char32_t c = tokenizing::decode_utf8(text, at).value;
      return tokenizing::is_whitespace(c) || (c >= 0x1C && c <= 0x1F);
    };
    std::size_t begin = 0, end = text.size();
    while (begin < end && is_space(begin)) begin += tokenizing::utf8_length(text[begin]);
    while (begin < end) {
      std::size_t last = end - 1;
      while ((static_cast<unsigned char>(text[last]) & 0xC0) == 0x80) --last;
      if (!is_space(last)) break;
      end = last;
    }
    return text.substr(begin, end - begin);
  }
};

}  // namespace detail

/// Reads the BEIR layout: corpus.jsonl (`_id`, `text`, maybe `title`), queries.jsonl (`_id`, `text`) and the judgements of
/// a split, qrels/SPLIT.tsv or qrels-SPLIT.tsv (columns `query-id`, `corpus-id`, `score`).
///
/// The text of a document is (title + " " + text) without white space at its ends. Queries that the split does not judge
/// belong to other splits and are left out; the others keep the order of queries.jsonl. Queries none of whose judgements
/// is above 0 stay, and score 0. Documents without text, as FiQA has some, stay: RetrievalTask never finds them.
/// Errors  FileError naming file, line and key: what TableReader and JsonLines throw, an id that stands twice, a query without
///         text, a judgement of an unknown query or document, one made twice, a score that is no whole number; no judgements
inline RetrievalData read_retrieval(const std::filesystem::path& directory, const std::string& split) {
  detail::IdentifiedTexts corpus(find_data_file(directory, {"corpus.jsonl"}));
  detail::IdentifiedTexts queries(find_data_file(directory, {"queries.jsonl"}));
  TableReader table(find_data_file(directory, {"qrels/" + split + ".tsv", "qrels-" + split + ".tsv"}),
                    {"query-id", "corpus-id", "score"});
  std::vector<std::vector<RetrievalData::Judgement>> judgements(queries.texts.size());
  std::set<std::pair<Index, Index>> seen;
  while (table.next()) {
    const std::string query_id(table.field(0)), document_id(table.field(1));
    const auto query = queries.numbers.find(query_id);
    if (query == queries.numbers.end()) table.fail("the query '" + query_id + "' is not in " + queries.file);
    const auto document = corpus.numbers.find(document_id);
    if (document == corpus.numbers.end()) table.fail("the document '" + document_id + "' is not in " + corpus.file);
    if (!seen.emplace(query->second, document->second).second)
      table.fail("the query '" + query_id + "' has judged '" + document_id + "' before");
    judgements[static_cast<std::size_t>(query->second)].push_back({document->second, table.integer(2, "score")});
  }
  if (seen.empty()) throw FileError(table.name(), "", "holds no judgements");
  RetrievalData data;
  data.documents = std::move(corpus.texts);
  for (std::size_t q = 0; q < queries.texts.size(); ++q) {
    if (judgements[q].empty()) continue;
    if (queries.texts[q].text.empty()) throw FileError(queries.file, "'" + queries.texts[q].id + "'", "has a text that is empty");
    data.queries.push_back(std::move(queries.texts[q]));
    data.judgements.push_back(std::move(judgements[q]));
  }
  return data;
}

}  // namespace embedpool::io
