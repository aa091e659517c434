#pragma once
#include "embedpool/core/error.hpp"
#include "embedpool/eval/sample/chosen_items.hpp"
#include "embedpool/eval/task_data.hpp"

namespace embedpool {

/// Samples of data sets, so that designs can be compared in minutes: at most so many items of a set, the same ones on every
/// machine, in their order in the set. Scores of samples are compared with each other, and are not those of the full sets.
///
/// The data of a sample is as valid as the data it was taken from. An item limit of 0, or one that is no less than there
/// are items, leaves the data as it is.
/// Errors  ShapeError when the limit is 1 or 2, too few for the smallest clustering, or negative

namespace detail {
inline bool is_sampled(Index most_items, std::size_t items) {
  if (most_items == 0) return false;
  require_in("sample_items", "items", most_items, 3, Index(1) << 32);
  return static_cast<std::size_t>(most_items) < items;
}
}  // namespace detail

/// Pairs, with two different scores among them.
inline StsData sample_items(StsData data, Index most_items) {
  if (!detail::is_sampled(most_items, data.pairs.size())) return data;
  std::vector<int> differs;
  for (const StsData::Pair& pair : data.pairs) differs.push_back(pair.score != data.pairs.front().score);
  const auto chosen = detail::items_of_every_label<int>(differs, most_items);
  return {detail::elements_at(std::move(data.pairs), chosen)};
}

/// Test texts, of every label while there are no more labels than places. The training set stays: how many of its texts are
/// embedded is a matter of the task's rounds.
inline ClassificationData sample_items(ClassificationData data, Index most_items) {
  if (!detail::is_sampled(most_items, data.test.texts.size())) return data;
  const auto chosen = detail::items_of_every_label<Index>(data.test.labels, most_items);
  data.test = {detail::elements_at(std::move(data.test.texts), chosen), detail::elements_at(data.test.labels, chosen)};
  return data;
}

/// Texts of each set, of every label while there are two places a label. With fewer places the labels that have the most
/// texts stay, half as many as places, since clusters of one text tell nothing. Labels are numbered anew, as they come.
inline ClusteringData sample_items(ClusteringData data, Index most_items) {
  for (LabelledTexts& set : data.sets) {
    if (!detail::is_sampled(most_items, set.texts.size())) continue;
    std::vector<Index> texts_of_label(1 + static_cast<std::size_t>(*std::max_element(set.labels.begin(), set.labels.end())));
    for (const Index label : set.labels) ++texts_of_label[static_cast<std::size_t>(label)];
    std::vector<Index> by_size(texts_of_label.size());
    std::iota(by_size.begin(), by_size.end(), Index(0));
    std::stable_sort(by_size.begin(), by_size.end(), [&](Index a, Index b) {
      return texts_of_label[static_cast<std::size_t>(a)] > texts_of_label[static_cast<std::size_t>(b)];
    });
    std::vector<bool> stays(by_size.size());
    for (std::size_t i = 0; i < by_size.size() && static_cast<Index>(i) < std::max<Index>(2, most_items / 2); ++i)
      stays[static_cast<std::size_t>(by_size[i])] = true;
    std::vector<Index> left;
    for (std::size_t i = 0; i < set.texts.size(); ++i)
      if (stays[static_cast<std::size_t>(set.labels[i])]) left.push_back(static_cast<Index>(i));
    set = {detail::elements_at(std::move(set.texts), left), detail::elements_at(set.labels, left)};
    const auto chosen = detail::items_of_every_label<Index>(set.labels, most_items);
    set = {detail::elements_at(std::move(set.texts), chosen), detail::elements_at(set.labels, chosen)};
    std::vector<Index> numbers(by_size.size(), -1);
    Index labels = 0;
    for (Index& label : set.labels) {
      Index& number = numbers[static_cast<std::size_t>(label)];
      if (number < 0) number = labels++;
      label = number;
    }
  }
  return data;
}

/// Pairs, of both labels.
inline PairClassificationData sample_items(PairClassificationData data, Index most_items) {
  if (!detail::is_sampled(most_items, data.pairs.size())) return data;
  std::vector<int> labels;
  for (const PairClassificationData::Pair& pair : data.pairs) labels.push_back(pair.label);
  const auto chosen = detail::items_of_every_label<int>(labels, most_items);
  return {detail::elements_at(std::move(data.pairs), chosen)};
}

/// Queries, each with all its candidates.
inline RerankingData sample_items(RerankingData data, Index most_items) {
  if (!detail::is_sampled(most_items, data.queries.size())) return data;
  const auto order = detail::random_order(static_cast<Index>(data.queries.size()));
  data.queries = detail::elements_at(std::move(data.queries), detail::first_of(order, most_items));
  return data;
}

/// Queries, and a smaller corpus: all documents that they judge, and random others up to ten documents a place. Fewer
/// documents are easier to search: scores are higher than on the full corpus, for every model.
///
/// A corpus of more than ten documents a place becomes smaller even where all queries stay.
inline RetrievalData sample_items(RetrievalData data, Index most_items) {
  constexpr Index documents_a_place = 10;
  if (detail::is_sampled(most_items, data.queries.size())) {
    const auto chosen = detail::first_of(detail::random_order(static_cast<Index>(data.queries.size())), most_items);
    data.queries = detail::elements_at(std::move(data.queries), chosen);
    data.judgements = detail::elements_at(std::move(data.judgements), chosen);
  }
  if (!detail::is_sampled(documents_a_place * most_items, data.documents.size())) return data;
  std::vector<bool> is_judged(data.documents.size());
  for (const auto& of_query : data.judgements)
    for (const RetrievalData::Judgement& judgement : of_query) is_judged[static_cast<std::size_t>(judgement.document)] = true;
  auto order = detail::random_order(static_cast<Index>(data.documents.size()));
  const auto others =
      std::stable_partition(order.begin(), order.end(), [&](Index i) { return is_judged[static_cast<std::size_t>(i)]; });
  const auto chosen = detail::first_of(order, std::max<Index>(others - order.begin(), documents_a_place * most_items));
  std::vector<Index> place(data.documents.size());
  for (std::size_t i = 0; i < chosen.size(); ++i) place[static_cast<std::size_t>(chosen[i])] = static_cast<Index>(i);
  data.documents = detail::elements_at(std::move(data.documents), chosen);
  for (auto& of_query : data.judgements)
    for (RetrievalData::Judgement& judgement : of_query) judgement.document = place[static_cast<std::size_t>(judgement.document)];
  return data;
}

/// Articles, one of them at least with ratings that vary.
inline SummarizationData sample_items(SummarizationData data, Index most_items) {
  if (!detail::is_sampled(most_items, data.articles.size())) return data;
  auto order = detail::random_order(static_cast<Index>(data.articles.size()));
  const auto varies = std::find_if(order.begin(), order.end(), [&](Index i) {
    const std::vector<double>& ratings = data.articles[static_cast<std::size_t>(i)].relevance;
    return std::any_of(ratings.begin(), ratings.end(), [&](double rating) { return rating != ratings.front(); });
  });
  if (varies != order.end()) std::rotate(order.begin(), varies, varies + 1);
  return {detail::elements_at(std::move(data.articles), detail::first_of(order, most_items))};
}

/// Pairs of sentences: a sentence is then searched among the sampled ones of the other language alone.
inline BitextData sample_items(BitextData data, Index most_items) {
  if (!detail::is_sampled(most_items, data.first.size())) return data;
  const auto chosen = detail::first_of(detail::random_order(static_cast<Index>(data.first.size())), most_items);
  return {detail::elements_at(std::move(data.first), chosen), detail::elements_at(std::move(data.second), chosen)};
}

}  // namespace embedpool
