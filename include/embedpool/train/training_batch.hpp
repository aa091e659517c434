#pragma once
#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/train/contrastive_texts.hpp"
#include "embedpool/train/training_data.hpp"

namespace embedpool {

namespace detail {
/// What the teacher makes of the texts of a batch, in their order; nothing where the examples have no teacher.
inline void add_teacher(const TrainingData& data, const std::vector<Index>& chosen, std::size_t negatives,
                        Matrix<float>& teacher) {
  const auto example = [&](Index i) -> const TrainingExample& { return data.examples[static_cast<std::size_t>(i)]; };
  const auto taught = std::count_if(chosen.begin(), chosen.end(), [&](Index i) { return !example(i).teacher.empty(); });
  if (taught == 0) return;
  require_equal("training batch", "examples with a teacher", static_cast<Index>(taught), static_cast<Index>(chosen.size()));
  const Index width = data.teacher_width;
  teacher.resize(static_cast<Index>(chosen.size() * (2 + negatives)), width);
  Index row = 0;
  const auto add = [&](Index i, std::size_t text) {
    const float* const values = example(i).teacher.data() + static_cast<Index>(text) * width;
    std::copy_n(values, width, teacher.row(row++).data());
  };
  for (const std::size_t text : {std::size_t(0), std::size_t(1)})
    for (const Index i : chosen) add(i, text);
  for (const Index i : chosen)
    for (std::size_t k = 0; k < negatives; ++k) add(i, 2 + k);
}
}  // namespace detail

/// The texts of a batch of examples, as ContrastiveTexts orders them. `text_of(string, group, is_query)` makes one: it
/// tokenizes, with the instruction of the group in front of queries, say.
///
/// Each query takes as many hard negatives as the query with the fewest has, and at most `most_negatives`. Equal positives
/// and hard negatives have equal document numbers, so that no loss takes a query's own positive, found elsewhere in the batch,
/// for one of its negatives. The texts of a scored pair are of equal rank: both are queries.
///
/// Errors  ShapeError when some examples have a score or a teacher's embeddings, and some have none
template <class Text, class TextOf>
ContrastiveTexts<Text> training_batch(const TrainingData& data, const std::vector<Index>& chosen, Index most_negatives,
                                      TextOf&& text_of) {
  const auto example = [&](Index i) -> const TrainingExample& { return data.examples[static_cast<std::size_t>(i)]; };
  std::size_t negatives = static_cast<std::size_t>(std::max<Index>(0, most_negatives));
  for (const Index i : chosen) negatives = std::min(negatives, example(i).negatives.size());
  ContrastiveTexts<Text> batch;
  batch.queries = static_cast<Index>(chosen.size());
  for (const Index i : chosen) batch.texts.push_back(text_of(example(i).query, example(i).group, true));
  for (const Index i : chosen)
    if (example(i).score) batch.scores.push_back(*example(i).score);
  const bool scored = !batch.scores.empty();
  if (scored) require_equal("training batch", "scores", static_cast<Index>(batch.scores.size()), batch.queries);
  std::map<std::string_view, std::int64_t> documents;
  const auto add_document = [&](const std::string& text, Index group) {
    batch.texts.push_back(text_of(text, group, scored));
    batch.documents.push_back(documents.emplace(text, static_cast<std::int64_t>(documents.size())).first->second);
  };
  for (const Index i : chosen) add_document(example(i).positive, example(i).group);
  for (const Index i : chosen)
    for (std::size_t k = 0; k < negatives; ++k) add_document(example(i).negatives[k], example(i).group);
  detail::add_teacher(data, chosen, negatives, batch.teacher);
  return batch;
}

}  // namespace embedpool
