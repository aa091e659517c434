#include "layers_report.hpp"

#include <algorithm>
#include <filesystem>

#include "embedpool/core/version.hpp"
#include "embedpool/eval/report/document.hpp"
#include "layers_tables.hpp"
#include "text_file.hpp"

namespace embedpool::program {
namespace {

void add_scores(report::Document& document, const LayersRun& run) {
  document.heading("Which layer scores best");
  document.table(best_layers(run));
  document.paragraph("Layer 0 is the embeddings, layer " + std::to_string(run.layers) +
                     " the last, after the final norm. Raw: the states as they are. Calibrated: each dimension of a "
                     "layer centred and scaled by the texts of the same data set, without labels; it shows what a "
                     "calibrated embedding could reach, and is a little better than one calibrated with other texts. "
                     "The best of many layers is a little too good as well: it was chosen on the scores that it is "
                     "given with.");
  document.heading("Score by layer");
  if (run.tasks.size() > 1)
    document.figure("Mean of the main scores x 100 of all data sets, by layer.", report::draw(mean_chart(run)));
  std::vector<char> drawn(run.tasks.size(), 0);
  for (std::size_t first = 0; first < run.tasks.size(); ++first) {
    if (drawn[first]) continue;
    // Those of a kind together, four data sets a chart: eight lines are as many as an eye keeps apart.
    const TaskKind kind = run.tasks[first].folder.kind;
    std::vector<std::size_t> together;
    for (std::size_t task = first; task < run.tasks.size() && together.size() < 4; ++task)
      if (!drawn[task] && run.tasks[task].folder.kind == kind) together.push_back(task), drawn[task] = 1;
    const std::string title = std::string(name_of(kind)) + ": " + run.tasks[together.front()].metric;
    document.figure("Main score x 100 by layer: calibrated solid, raw dashed.",
                    report::draw(score_chart(run, title, together)));
  }
}

void add_similarity(report::Document& document, const LayersRun& run) {
  document.heading("How alike the layers are");
  document.paragraph("Measured on " + std::to_string(run.similarity_texts) +
                     " texts of the data sets above. The cosine says whether the states of the same text point the same "
                     "way in two layers. Linear CKA (Kornblith and others 2019) says whether two layers place the same "
                     "texts near each other; a rotation between them does not count. Both follow the few dimensions "
                     "with the largest values, which all texts of an untuned decoder may share: raw similarities then "
                     "speak of those alone. Standardised states have mean 0 and deviation 1 in each dimension, so that "
                     "all dimensions count.");
  const auto figure = [&](const char* caption, const std::string& title, const Matrix<double>& values, double low) {
    document.figure(caption, report::draw(similarity_map(values, title, low)));
  };
  const auto lowest = [](const Matrix<double>& values) { return std::min(0.0, values.minCoeff()); };
  figure("Mean cosine between the raw states of the same text.", "Cosine, raw", run.raw.cosine, lowest(run.raw.cosine));
  figure("Mean cosine between the standardised states of the same text.", "Cosine, standardised",
         run.standardised.cosine, lowest(run.standardised.cosine));
  figure("Linear CKA of the raw states.", "Linear CKA, raw", run.raw.cka.similarity, 0);
  figure("Linear CKA of the standardised states.", "Linear CKA, standardised", run.standardised.cka.similarity, 0);
  document.table(neighbours_table(run));
  document.paragraph(
      "What chance gives is the mean of CKA over all orders of the texts of one layer. It falls with more texts "
      "(--similarity-texts); a CKA near it says that the layers have nothing to do with each other. A layer with the "
      "same state for all texts, such as the embedding of an appended token, has similarity 0 with every layer, itself "
      "included.");
}

void add_attention(report::Document& document, const LayersRun& run) {
  document.heading("Where the trained head looks");
  document.paragraph(run.attention);
  if (run.tasks.front().attention.empty()) return;
  document.figure("Share of attention on the key of each layer: mean over queries, heads and texts, by data set.",
                  report::draw(attention_map(run)));
  document.table(attention_table(run));
  document.paragraph(
      "Shares are weights before the value projection: they say where the head looks, not how much comes of it. What "
      "stands beside the attention, such as a mean of the keys as residual, is not in them. A layer that the head does "
      "not read has 0. Learned layer weights are the same for every data set.");
}

void add_repetition(report::Document& document, const LayersOptions& options, const LayersRun& run) {
  document.heading("How to repeat this");
  document.code(options.command);
  const io::EmbedderConfig& config = run.settings.config;
  document.list(
      {"embedpool " + std::to_string(EMBEDPOOL_VERSION_MAJOR) + "." + std::to_string(EMBEDPOOL_VERSION_MINOR) + "." +
           std::to_string(EMBEDPOOL_VERSION_PATCH) + ", arithmetic " + options.compute,
       "mask " + config.mask.to_string() + ", state of a layer: " + run.state,
       "template " + config.layout.prompt.to_string() + ", " + std::to_string(config.layout.prepended.size()) +
           " ids in front, " + std::to_string(config.layout.appended.size()) + " behind",
       options.max_items == 0
           ? "all items of each data set"
           : "at most " + std::to_string(options.max_items) + " items of each data set, always the same"});
}

io::Json to_json(const Matrix<double>& matrix) {
  io::Json rows = io::Json::array();
  for (Index i = 0; i < matrix.rows(); ++i)
    rows.push_back(std::vector<double>(matrix.row(i).begin(), matrix.row(i).end()));
  return rows;
}
io::Json to_json(const LayerSimilarity& similarity) {
  return {{"cosine", to_json(similarity.cosine)},
          {"linear_cka", to_json(similarity.cka.similarity)},
          {"linear_cka_chance", to_json(similarity.cka.chance)}};
}
io::Json to_json(const LayersOptions& options, const LayersRun& run) {
  io::Json tasks = io::Json::array();
  for (const TaskByLayer& task : run.tasks) {
    tasks.push_back({{"task", task.folder.name},
                     {"kind", std::string(name_of(task.folder.kind))},
                     {"split", task.folder.split},
                     {"metric", task.metric},
                     {"texts", task.texts},
                     {"raw", task.raw},
                     {"calibrated", task.calibrated}});
    if (!task.attention.empty()) tasks.back()["attention"] = task.attention;
  }
  return {{"model", options.model},
          {"trained", options.head},
          {"compute", options.compute},
          {"max_items", options.max_items},
          {"settings", io::to_json(run.settings.config)},
          {"state", run.state},
          {"layers", run.layers},
          {"tasks", std::move(tasks)},
          {"similarity",
           {{"texts", run.similarity_texts}, {"raw", to_json(run.raw)}, {"standardised", to_json(run.standardised)}}}};
}

}  // namespace

void write_layers_report(const LayersOptions& options, const LayersRun& run) {
  std::filesystem::path path =
      std::filesystem::path(options.head.empty() ? options.model : options.head).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  report::Document document("The layers of " + path.filename().string());
  add_scores(document, run);
  add_similarity(document, run);
  if (!options.head.empty()) add_attention(document, run);
  document.heading("All scores");
  document.table(scores_table(run));
  add_repetition(document, options, run);
  const std::filesystem::path output(options.output);
  write_text_file(output / "layers.json", io::json_text(to_json(options, run), 1) + "\n");
  write_text_file(output / "layers.csv", report::to_csv(tidy_rows(run)));
  write_text_file(output / "layers.md", document.markdown());
  write_text_file(output / "layers.html", document.html());
}

}  // namespace embedpool::program
