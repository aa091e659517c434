#include <doctest/doctest.h>
#include <zlib.h>

#include "embedpool/io/task_data/read_bitext.hpp"
#include "embedpool/io/task_data/read_classification.hpp"
#include "embedpool/io/task_data/read_clustering.hpp"
#include "embedpool/io/task_data/read_pair_classification.hpp"
#include "embedpool/io/task_data/read_reranking.hpp"
#include "embedpool/io/task_data/read_retrieval.hpp"
#include "embedpool/io/task_data/read_sts.hpp"
#include "embedpool/io/task_data/read_summarization.hpp"
#include "io/temporary_folder.hpp"

using namespace embedpool;

namespace {

/// One folder of files, written as name, bytes, name, bytes ...
class Folder {
 public:
  explicit Folder(std::initializer_list<std::pair<std::string, std::string>> files) {
    for (const auto& file : files) folder_.write("set/" + file.first, file.second);
  }
  std::filesystem::path path() const { return folder_ / "set"; }

 private:
  test::TemporaryFolder folder_;
};

/// What `read` throws says all these things.
template <class Read>
void check_refused(const Read& read, std::initializer_list<std::string> parts) {
  std::string message;
  try {
    read();
  } catch (const FileError& error) {
    message = error.what();
  }
  CAPTURE(message);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(message.find(part) != std::string::npos);
  }
}

const std::string sts_header = "score\tsentence1\tsentence2\n";
const std::string pair_header = "label\tsentence1\tsentence2\n";
const std::string label_header = "label\ttext\n";
const std::string qrels_header = "query-id\tcorpus-id\tscore\n";
const std::string two_documents = R"({"_id": "d1", "title": " T", "text": "one "})" "\n" R"({"_id": "d2", "text": "two"})" "\n";
const std::string two_queries = R"({"_id": "q1", "text": "first"})" "\n" R"({"_id": "q2", "text": "second"})" "\n";

}  // namespace

TEST_CASE("a table finds its columns by name, in any order, plain or compressed") {
  const Folder folder({{"test.tsv", "sentence2\tnote\tscore\tsentence1\nb\tx\t1.5\ta\nd\ty\t-2e1\tc\n"}});
  const StsData data = io::read_sts(folder.path(), "test");
  REQUIRE(data.pairs.size() == 2);
  CHECK(data.pairs[1].first == "c");
  CHECK(data.pairs[1].second == "d");
  CHECK(data.pairs[1].score == -20);

  const std::string bytes = sts_header + "1\ta\tb\n2\tc\td\n";
  const std::filesystem::path packed = folder.path() / "dev.tsv.gz";
  gzFile file = gzopen(packed.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  CHECK(io::read_sts(folder.path(), "dev").pairs.size() == 2);
}

TEST_CASE("a missing file is named with its directory") {
  const Folder folder({{"train.tsv", label_header + "a\tx\nb\ty\n"}});
  check_refused([&] { io::read_sts(folder.path(), "test"); }, {folder.path().string(), "test.tsv"});
  check_refused([&] { io::read_classification(folder.path(), "test"); }, {"test.tsv"});
  check_refused([&] { io::read_retrieval(folder.path(), "test"); }, {"corpus.jsonl"});
}

TEST_CASE("tables that are no tables are refused with file and line") {
  const auto refused = [](const std::string& bytes, std::initializer_list<std::string> parts) {
    const Folder folder({{"test.tsv", bytes}});
    check_refused([&] { io::read_sts(folder.path(), "test"); }, parts);
  };
  refused("", {"test.tsv", "is empty"});
  refused("score\tsentence1\n", {"line 1", "no column 'sentence2'"});
  refused("score\tsentence1\tsentence2\tscore\n", {"line 1", "'score' twice"});
  refused(sts_header + "1\ta\tb\n2\tc\n", {"line 3", "2 fields", "3"});
  refused(sts_header + "1\ta\tb\n\n", {"line 3", "1 fields"});
  refused(sts_header + "1\ta\tb\nhigh\tc\td\n", {"line 3", "no number", "high"});
  refused(sts_header + "nan\ta\tb\n", {"line 2", "no number"});
  refused(sts_header + "1.5x\ta\tb\n", {"line 2", "no number"});
  refused(sts_header + "1\t \tb\n", {"line 2", "sentence1 is empty"});
  refused(sts_header + "1\ta\tb\n", {"fewer than two"});
  refused(sts_header + "1\ta\tb\n1\tc\td\n", {"all scores are equal"});
}

TEST_CASE("classification numbers the labels of the training set in their order, and refuses others") {
  const Folder folder({{"train.tsv", label_header + "z\t1\na\t2\nz\t3\n"}, {"test.tsv", label_header + "a\tx\nz\ty\n"},
                       {"dev.tsv", label_header + "a\tx\nq\ty\n"}, {"none.tsv", label_header}});
  const ClassificationData data = io::read_classification(folder.path(), "test");
  CHECK(data.label_names == std::vector<std::string>{"a", "z"});
  CHECK(data.train.labels == std::vector<Index>{1, 0, 1});
  CHECK(data.test.labels == std::vector<Index>{0, 1});
  check_refused([&] { io::read_classification(folder.path(), "dev"); }, {"dev.tsv", "line 3", "'q'"});
  check_refused([&] { io::read_classification(folder.path(), "none"); }, {"none.tsv", "no texts"});
  const Folder one({{"train.tsv", label_header + "a\t1\na\t2\n"}, {"test.tsv", label_header + "a\tx\n"}});
  check_refused([&] { io::read_classification(one.path(), "test"); }, {"train.tsv", "label 'a'"});
}

TEST_CASE("clustering reads a table as one set and JSON lines as many, and refuses trivial sets") {
  const Folder folder({{"test.tsv", label_header + "b\t1\na\t2\nb\t3\n"},
                       {"sets.jsonl", R"({"sentences": ["x", "y", "z"], "labels": ["a", "b", "a"]})" "\n"
                                      R"({"sentences": ["u", "v", "w"], "labels": [7, 8, 8]})" "\n"},
                       {"each.tsv", label_header + "a\t1\nb\t2\nc\t3\n"}, {"one.tsv", label_header + "a\t1\na\t2\n"},
                       {"short.jsonl", "\n" R"({"sentences": ["x", "y"], "labels": ["a"]})" "\n"},
                       {"few.jsonl", R"({"sentences": ["x", "y"], "labels": ["a", "b"]})" "\n"}});
  CHECK(io::read_clustering(folder.path(), "test").sets.at(0).labels == std::vector<Index>{0, 1, 0});
  const ClusteringData sets = io::read_clustering(folder.path(), "sets");
  CHECK(sets.sets.size() == 2);
  CHECK(sets.sets[1].labels == std::vector<Index>{0, 1, 1});
  check_refused([&] { io::read_clustering(folder.path(), "each"); }, {"each.tsv", "3 texts for 3 clusters"});
  check_refused([&] { io::read_clustering(folder.path(), "one"); }, {"one.tsv", "label 'a'"});
  check_refused([&] { io::read_clustering(folder.path(), "short"); }, {"short.jsonl", "line 2", "labels"});
  check_refused([&] { io::read_clustering(folder.path(), "few"); }, {"few.jsonl", "line 1", "2 texts for 2 clusters"});
}

TEST_CASE("pair classification takes labels 0 and 1, and both") {
  const Folder folder({{"test.tsv", pair_header + "1\ta\tb\n0\tc\td\n"}, {"dev.tsv", pair_header + "1\ta\tb\n2\tc\td\n"},
                       {"one.tsv", pair_header + "1\ta\tb\n"}, {"none.tsv", pair_header}});
  CHECK(io::read_pair_classification(folder.path(), "test").pairs[0].label == 1);
  check_refused([&] { io::read_pair_classification(folder.path(), "dev"); }, {"dev.tsv", "line 3", "'2'"});
  check_refused([&] { io::read_pair_classification(folder.path(), "one"); }, {"all labels are 1"});
  check_refused([&] { io::read_pair_classification(folder.path(), "none"); }, {"no pairs"});
}

TEST_CASE("reranking counts the queries that it leaves out, and refuses lists that are none") {
  const Folder folder({{"test.jsonl", R"({"query": "q", "positive": ["a"], "negative": ["b", "c"]})" "\n"
                                      R"({"query": ["r", "s"], "positive": ["a"], "negative": ["b"]})" "\n"
                                      R"({"query": "q", "positive": [], "negative": ["b"]})" "\n"},
                       {"dev.jsonl", R"({"query": "q", "positive": ["a"], "negative": [3]})" "\n"},
                       {"lost.jsonl", R"({"query": "q", "positive": ["a"]})" "\n"},
                       {"none.jsonl", R"({"query": "q", "positive": ["a"], "negative": []})" "\n"}});
  const RerankingData data = io::read_reranking(folder.path(), "test");
  CHECK(data.queries.size() == 2);
  CHECK(data.queries[1].wordings == std::vector<std::string>{"r", "s"});
  CHECK(data.left_out == 1);
  check_refused([&] { io::read_reranking(folder.path(), "dev"); }, {"dev.jsonl", "line 1", "negative"});
  check_refused([&] { io::read_reranking(folder.path(), "lost"); }, {"line 1", "negative", "missing"});
  check_refused([&] { io::read_reranking(folder.path(), "none"); }, {"no query"});
}

TEST_CASE("retrieval reads both layouts of judgements, joins titles and leaves out queries of other splits") {
  const Folder folder({{"corpus.jsonl", two_documents}, {"queries.jsonl", two_queries},
                       {"qrels/test.tsv", qrels_header + "q2\td1\t2\nq2\td2\t0\n"}, {"qrels-dev.tsv", qrels_header + "q1\td2\t1\n"}});
  const RetrievalData data = io::read_retrieval(folder.path(), "test");
  REQUIRE(data.queries.size() == 1);
  CHECK(data.queries[0].id == "q2");
  CHECK(data.documents[0].text == "T one");
  CHECK(data.documents[1].text == "two");
  REQUIRE(data.judgements[0].size() == 2);
  CHECK(data.judgements[0][0].document == 0);
  CHECK(data.judgements[0][0].grade == 2);
  CHECK(io::read_retrieval(folder.path(), "dev").queries[0].text == "first");
}

TEST_CASE("texts of retrieval lose the white space at their ends that Python takes for it, and nothing else") {
  const Folder folder({{"corpus.jsonl", R"({"_id": "d1", "title": "\u00a0", "text": "\u3000a \u00a0b\u00a0\u200b\u2028\u001f"})" "\n"},
                       {"queries.jsonl", two_queries}, {"qrels-test.tsv", qrels_header + "q2\td1\t2\n"}});
  const RetrievalData data = io::read_retrieval(folder.path(), "test");
  CHECK(data.documents[0].text == "a \u00a0b\u00a0\u200b");
}

TEST_CASE("retrieval refuses ids that stand twice and judgements of what is not there, by line") {
  const auto refused = [](const std::string& corpus, const std::string& queries, const std::string& qrels,
                          std::initializer_list<std::string> parts) {
    const Folder folder({{"corpus.jsonl", corpus}, {"queries.jsonl", queries}, {"qrels-test.tsv", qrels_header + qrels}});
    check_refused([&] { io::read_retrieval(folder.path(), "test"); }, parts);
  };
  refused(two_documents + two_documents, two_queries, "q1\td1\t1\n", {"corpus.jsonl", "line 3", "'d1' stands twice"});
  refused(two_documents, two_queries + two_queries, "q1\td1\t1\n", {"queries.jsonl", "line 3", "'q1' stands twice"});
  refused(two_documents, two_queries, "q1\td1\t1\nq3\td1\t1\n", {"qrels-test.tsv", "line 3", "query 'q3'"});
  refused(two_documents, two_queries, "q1\td9\t1\n", {"line 2", "document 'd9'"});
  refused(two_documents, two_queries, "q1\td1\t1\nq1\td1\t2\n", {"line 3", "before"});
  refused(two_documents, two_queries, "q1\td1\tyes\n", {"line 2", "no whole number"});
  refused(two_documents, two_queries, "q1\td1\t1.5\n", {"line 2", "no whole number"});
  refused(two_documents, two_queries, "", {"no judgements"});
  refused(R"({"_id": 7, "text": "x"})", two_queries, "q1\td1\t1\n", {"corpus.jsonl", "line 1", "_id", "string"});
  refused(R"({"_id": "7"})", two_queries, "q1\td1\t1\n", {"corpus.jsonl", "line 1", "text", "missing"});
}

TEST_CASE("summarization wants a rating for each machine summary, and ratings that vary") {
  const auto line = [](const std::string& ratings) {
    return R"({"human_summaries": ["h"], "machine_summaries": ["a", "b", "c"], "relevance": )" + ratings + "}\n";
  };
  const Folder folder({{"test.jsonl", line("[1, 2.5, 3]") + line("[1, 1, 1]")}, {"short.jsonl", line("[1, 2]")},
                       {"text.jsonl", line("[1, \"2\", 3]")}, {"flat.jsonl", line("[1, 1, 1]")}});
  const SummarizationData data = io::read_summarization(folder.path(), "test");
  CHECK(data.articles.size() == 2);
  CHECK(data.articles[0].relevance == std::vector<double>{1, 2.5, 3});
  check_refused([&] { io::read_summarization(folder.path(), "short"); }, {"line 1", "relevance", "2 numbers"});
  check_refused([&] { io::read_summarization(folder.path(), "text"); }, {"line 1", "relevance", "no number"});
  check_refused([&] { io::read_summarization(folder.path(), "flat"); }, {"flat.jsonl", "vary"});
}

TEST_CASE("bitext mining reads pairs of sentences") {
  const Folder folder({{"test.tsv", "sentence1\tsentence2\na\tb\nc\td\n"}, {"one.tsv", "sentence1\tsentence2\na\tb\n"}});
  CHECK(io::read_bitext(folder.path(), "test").second == std::vector<std::string>{"b", "d"});
  check_refused([&] { io::read_bitext(folder.path(), "one"); }, {"fewer than two"});
}
