#include "embedpool/eval/sample/sample_items.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

#include "embedpool/eval/sample/chosen_items.hpp"

using namespace embedpool;

namespace {

std::string text(const std::string& what, Index i) { return what + " " + std::to_string(i); }

StsData sts_data(Index count) {
  StsData data;
  for (Index i = 0; i < count; ++i) data.pairs.push_back({text("a", i), text("b", i), i == count - 1 ? 5.0 : 1.0});
  return data;
}

/// Text i has label i % labels.
LabelledTexts labelled(Index count, Index labels) {
  LabelledTexts data;
  for (Index i = 0; i < count; ++i) {
    data.texts.push_back(text("t", i));
    data.labels.push_back(i % labels);
  }
  return data;
}

/// Query q judges documents q and q + 1, and no query judges those from 101 on.
RetrievalData retrieval_data() {
  RetrievalData data;
  for (Index i = 0; i < 1000; ++i) data.documents.push_back({text("d", i), text("document", i)});
  for (Index q = 0; q < 100; ++q) {
    data.queries.push_back({text("q", q), text("query", q)});
    data.judgements.push_back({{q, 1}, {q + 1, 0}});
  }
  return data;
}

std::set<Index> distinct(const std::vector<Index>& labels) { return {labels.begin(), labels.end()}; }

}  // namespace

TEST_CASE("a sample has as many items as it may, of the data, in their order") {
  for (const Index count : {3, 10, 57}) {
    const StsData all = sts_data(60), sample = sample_items(all, count);
    REQUIRE(static_cast<Index>(sample.pairs.size()) == count);
    std::size_t at = 0;
    for (const auto& pair : all.pairs)
      if (at < sample.pairs.size() && pair.first == sample.pairs[at].first) {
        CHECK(pair.second == sample.pairs[at].second);
        CHECK(pair.score == sample.pairs[at].score);
        ++at;
      }
    CHECK(at == sample.pairs.size());
  }
}

TEST_CASE("a sample is the same on every machine") {
  // Recorded: whoever changes the order changes all scores of samples that were ever compared.
  CHECK((detail::first_of(detail::random_order(1000), 6) == std::vector<Index>{53, 652, 660, 742, 821, 843}));
}

TEST_CASE("items that are chosen are rising, different, and hold a rare label while there is a place") {
  std::vector<Index> labels(100, 0);
  labels[97] = 1;
  for (Index count = 0; count <= 101; ++count) {
    const auto chosen = detail::items_of_every_label<Index>(labels, count);
    CHECK(static_cast<Index>(chosen.size()) == std::min<Index>(count, 100));
    CHECK(std::is_sorted(chosen.begin(), chosen.end()));
    CHECK(std::adjacent_find(chosen.begin(), chosen.end()) == chosen.end());
    CHECK((count < 2 || std::find(chosen.begin(), chosen.end(), 97) != chosen.end()));
  }
}

TEST_CASE("a larger sample holds the smaller one") {
  const auto order = detail::random_order(500);
  for (const Index count : {100, 499}) {
    const auto part = detail::random_order(count);
    std::vector<Index> left;
    for (const Index i : order)
      if (i < count) left.push_back(i);
    CHECK(part == left);
  }
  CHECK(std::set<Index>(order.begin(), order.end()).size() == 500);
}

TEST_CASE("no limit, and one that is no less than there are items, change nothing") {
  for (const Index limit : {0, 60, 61}) {
    CHECK(sample_items(sts_data(60), limit).pairs.size() == 60);
    CHECK(sample_items(ClusteringData{{labelled(60, 7)}}, limit).sets[0].texts == labelled(60, 7).texts);
    CHECK(sample_items(BitextData{labelled(60, 1).texts, labelled(60, 1).texts}, limit).second == labelled(60, 1).texts);
  }
  const RetrievalData all = sample_items(retrieval_data(), 100);
  CHECK(all.queries.size() == 100);
  CHECK(all.documents.size() == 1000);
}

TEST_CASE("limits that are too small for a clustering are refused") {
  for (const Index limit : {-1, 1, 2}) CHECK_THROWS_AS(sample_items(sts_data(60), limit), ShapeError);
}

TEST_CASE("scores of pairs still vary when one pair alone has another score") {
  for (const Index count : {3, 4, 30}) CHECK(sample_items(sts_data(2000), count).pairs.back().score == 5.0);
}

TEST_CASE("pair classification keeps both labels however rare one is") {
  PairClassificationData data;
  for (Index i = 0; i < 3000; ++i) data.pairs.push_back({text("a", i), text("b", i), i == 1234});
  const auto sample = sample_items(data, 20);
  int positive = 0;
  for (const auto& pair : sample.pairs) positive += pair.label;
  CHECK(sample.pairs.size() == 20);
  CHECK(positive == 1);
}

TEST_CASE("classification keeps every label that it has a place for, and the training set") {
  ClassificationData data;
  data.train = labelled(40, 10);
  data.test = labelled(2000, 10);
  for (Index i = 0; i < 1000; ++i) data.test.labels[static_cast<std::size_t>(i)] = 0;
  CHECK(distinct(sample_items(data, 10).test.labels).size() == 10);
  CHECK(distinct(sample_items(data, 4).test.labels).size() == 4);
  const ClassificationData sample = sample_items(data, 500);
  CHECK(sample.train.texts == data.train.texts);
  // About as many of each label as the data has: 1100 of 2000 are 275 of 500, with a standard deviation of 11.
  CHECK(std::count(sample.test.labels.begin(), sample.test.labels.end(), 0) == doctest::Approx(275).epsilon(0.16));
  for (std::size_t i = 0; i < sample.test.texts.size(); ++i) {
    const auto at = static_cast<std::size_t>(std::stoi(sample.test.texts[i].substr(2)));
    CHECK(sample.test.labels[i] == data.test.labels[at]);
  }
}

TEST_CASE("clustering keeps more texts than labels, two labels at least, and numbers them as they come") {
  LabelledTexts uneven = labelled(60, 20);
  for (Index i = 40; i < 60; ++i) uneven.labels[static_cast<std::size_t>(i)] = 19;  // the only label of more than two texts
  for (const LabelledTexts& data : {labelled(60, 20), labelled(60, 2), labelled(60, 59), uneven})
    for (Index limit = 3; limit < 60; ++limit) {
      const LabelledTexts sample = sample_items(ClusteringData{{data, data}}, limit).sets[1];
      const auto labels = static_cast<Index>(distinct(sample.labels).size());
      CAPTURE(limit);
      REQUIRE(sample.texts.size() == sample.labels.size());
      CHECK(static_cast<Index>(sample.texts.size()) <= limit);
      CHECK(static_cast<Index>(sample.texts.size()) > labels);
      CHECK(labels >= 2);
      CHECK(labels == std::min<Index>(static_cast<Index>(distinct(data.labels).size()), std::max<Index>(2, limit / 2)));
      CHECK(*std::max_element(sample.labels.begin(), sample.labels.end()) == labels - 1);
      CHECK(sample.labels[0] == 0);
      std::map<Index, Index> renamed;  // texts are together as they were
      for (std::size_t i = 0; i < sample.texts.size(); ++i) {
        const Index before = data.labels[static_cast<std::size_t>(std::stoi(sample.texts[i].substr(2)))];
        CHECK(renamed.emplace(sample.labels[i], before).first->second == before);
      }
    }
}

TEST_CASE("retrieval keeps the documents that queries judge, and others up to ten a place") {
  const RetrievalData all = retrieval_data(), sample = sample_items(all, 5);
  REQUIRE(sample.queries.size() == 5);
  REQUIRE(sample.judgements.size() == 5);
  CHECK(sample.documents.size() == 50);
  std::set<std::string> ids;
  for (const auto& document : sample.documents) ids.insert(document.id);
  CHECK(ids.size() == 50);
  for (std::size_t q = 0; q < 5; ++q) {
    const Index before = std::stoi(sample.queries[q].id.substr(2));
    REQUIRE(sample.judgements[q].size() == 2);
    for (std::size_t j = 0; j < 2; ++j) {
      const auto& judged = sample.documents[static_cast<std::size_t>(sample.judgements[q][j].document)];
      CHECK(judged.id == text("d", before + static_cast<Index>(j)));
      CHECK(sample.judgements[q][j].grade == (j == 0 ? 1 : 0));
    }
  }
  RetrievalData widely = all;  // more judged documents than places for documents
  for (Index d = 0; d < 1000; ++d) widely.judgements[0].push_back({d, 1});
  widely.queries.resize(3);
  widely.judgements.resize(3);
  CHECK(sample_items(widely, 3).documents.size() == 1000);
}

TEST_CASE("a corpus of more than ten documents a place shrinks where all queries stay") {
  RetrievalData data = retrieval_data();
  data.queries.resize(4);
  data.judgements.resize(4);
  const RetrievalData sample = sample_items(data, 20);
  CHECK(sample.queries.size() == 4);
  CHECK(sample.documents.size() == 200);
}

TEST_CASE("reranking keeps queries with their candidates") {
  RerankingData data;
  for (Index q = 0; q < 50; ++q) data.queries.push_back({{text("q", q)}, {text("p", q)}, {text("n", q), text("m", q)}});
  data.left_out = 2;
  const RerankingData sample = sample_items(data, 7);
  CHECK(sample.left_out == 2);
  REQUIRE(sample.queries.size() == 7);
  for (const auto& query : sample.queries) {
    CHECK(query.positives[0] == "p" + query.wordings[0].substr(1));
    CHECK(query.negatives[1] == "m" + query.wordings[0].substr(1));
  }
}

TEST_CASE("summarization keeps an article whose ratings vary") {
  SummarizationData data;
  for (Index i = 0; i < 400; ++i) data.articles.push_back({{text("h", i)}, {"a", "b", "c"}, {1, 1, i == 399 ? 2.0 : 1.0}});
  const SummarizationData sample = sample_items(data, 3);
  REQUIRE(sample.articles.size() == 3);
  CHECK(sample.articles.back().human[0] == text("h", 399));
}

TEST_CASE("bitext mining keeps translations together") {
  BitextData data;
  for (Index i = 0; i < 90; ++i) data.first.push_back(text("a", i)), data.second.push_back(text("b", i));
  const BitextData sample = sample_items(data, 11);
  REQUIRE(sample.first.size() == 11);
  for (std::size_t i = 0; i < 11; ++i) CHECK(sample.second[i] == "b" + sample.first[i].substr(1));
}
