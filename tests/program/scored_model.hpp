#pragma once
#include <string>

#include "program/program.hpp"

namespace embedpool::test {

/// A small model and small data sets, for tests of the commands that score.
struct ScoredModel {
  Folder folder{};
  std::string model = (folder / "model").string();
  std::string data = (folder / "data").string();

  /// With an STS set of 12 pairs and a clustering set of 12 texts with 2 labels.
  explicit ScoredModel(const LlamaSizes& sizes = {}) {
    write_llama(model, sizes);
    write_byte_tokenizer(model, false);
    std::string labelled = "label\ttext\n";
    for (int i = 0; i < 12; ++i) labelled += std::string(i % 2 ? "odd" : "even") + "\ta " + word(i) + "\n";
    write("sts/Pairs/test.tsv", pairs());
    write("clustering/Words/test.tsv", labelled);
  }
  /// A query whose words one of two documents has.
  void write_retrieval() const {
    write("retrieval/Find/corpus.jsonl",
          "{\"_id\": \"d1\", \"title\": \"\", \"text\": \"a bb\"}\n{\"_id\": \"d2\", \"text\": \"x y z\"}\n");
    write("retrieval/Find/queries.jsonl", "{\"_id\": \"q1\", \"text\": \"a bb\"}\n");
    write("retrieval/Find/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\n");
  }
  static std::string pairs() {
    std::string pairs = "score\tsentence1\tsentence2\n";
    for (int i = 0; i < 12; ++i) pairs += std::to_string(i % 5) + "\ta " + word(i) + "\tthe " + word(i) + "\n";
    return pairs;
  }
  static std::string word(int i) {
    return std::string(1 + static_cast<std::size_t>(i % 4), static_cast<char>('a' + i % 25));
  }
  /// A file of the data.
  std::string write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((folder / ("data/" + name)).parent_path());
    return folder.write("data/" + name, content);
  }
  nlohmann::json json(const std::string& name) const { return nlohmann::json::parse(read_file(folder / name)); }
};

}  // namespace embedpool::test
