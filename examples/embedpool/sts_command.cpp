#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <memory>

#include "command.hpp"
#include "cut_texts.hpp"
#include "embedding_options.hpp"
#include "embedpool/eval/metrics/similarity.hpp"
#include "embedpool/eval/spearman.hpp"
#include "progress.hpp"
#include "scored_pairs.hpp"
#include "settings.hpp"

namespace embedpool::program {
namespace {

struct StsOptions : EmbeddingOptions {
  std::string pairs{}, calibration_texts{}, title{};
  std::vector<std::string> poolings{}, layer_lists{};
};

struct Row {
  std::string pooling, layers;
  Reading reading{};
  Matrix<float> raw{}, calibrated{};  // [texts, width]
};

/// Every pooling at every choice of layers; the settings' own where none are given.
std::vector<Row> readings_of(const StsOptions& options, const Model& model) {
  std::vector<Row> rows;
  const std::vector<std::string> none{""};
  for (const std::string& pooling : options.poolings.empty() ? none : options.poolings)
    for (const std::string& layers : options.layer_lists.empty() ? none : options.layer_lists) {
      EmbeddingOptions one = options;
      if (!pooling.empty()) one.pooling = pooling;
      if (!layers.empty()) one.layers = layers;
      const Settings settings = resolve(one, model);
      rows.push_back({settings.config.tokens.to_string(), settings.config.layers, settings.reading});
    }
  return rows;
}

void calibrate(std::vector<Row>& rows, const StsOptions& options, const Settings& settings, const Model& model,
               ForwardPass& pass) {
  std::vector<Reading> readings;
  std::vector<CalibrationEstimator> estimators;
  for (const Row& row : rows) {
    readings.push_back(row.reading);
    estimators.emplace_back(row.reading.slots(model.decoder().layers()), model.decoder().width());
  }
  TextInput input(options.calibration_texts, options.input_format, model.decoder().config().vocabulary);
  TextEncoding encoding = text_encoding(options, settings, model);
  encoding.merge_equal = false;
  TextBatches batches(input, std::move(encoding));
  Progress progress("calibrate", options.quiet);
  for (TextBatch batch; batches.next(batch);) {
    pass.calibrate(batch.batch, readings, estimators);
    progress.add(static_cast<Index>(batch.row.size()), batch.batch.segments().rows(), batches.fraction());
  }
  progress.finish();
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].reading.calibration = estimators[i].estimate<float>();
}

/// Raw and calibrated embeddings of all texts, from one pass.
void embed(std::vector<Row>& rows, const std::vector<std::string>& texts, const StsOptions& options,
           const Settings& settings, const Model& model, ForwardPass& pass) {
  std::vector<Reading> readings;
  for (const Row& row : rows) {
    readings.push_back(row.reading);
    readings.back().calibration.reset();
    if (row.reading.calibration) readings.push_back(row.reading);
  }
  const TextEncoding encoding = text_encoding(options, settings, model);
  Progress progress("embed", options.quiet);
  CutTexts cut;
  const auto lay_out = [&](const std::string& text) {
    try {
      io::LaidOutText laid_out = encoding.layout.lay_out(text, encoding.encode);
      cut.add(laid_out, encoding.layout.max_tokens, encoding.strict);
      return laid_out;
    } catch (const ShapeError& error) {
      throw FileError(options.pairs, "text '" + text.substr(0, 60) + "'", error.what());
    }
  };
  const Index count = static_cast<Index>(texts.size());
  for (Index first = 0; first < count;) {
    Batch batch;
    while (first + batch.segments().size() < count && batch.segments().rows() < options.batch_tokens) {
      const auto laid_out = lay_out(texts[static_cast<std::size_t>(first + batch.segments().size())]);
      batch.add(laid_out.ids, laid_out.shape);
    }
    const std::vector<Matrix<float>> embeddings = pass.embed(batch, readings);
    std::size_t next = 0;
    const auto keep = [&](Matrix<float>& all) {
      const Matrix<float>& part = embeddings[next++];
      if (all.rows() == 0) all.resize(count, part.cols());
      all.middleRows(first, part.rows()) = part;
    };
    for (Row& row : rows) {
      keep(row.raw);
      if (row.reading.calibration) keep(row.calibrated);
    }
    first += batch.segments().size();
    progress.add(batch.segments().size(), batch.segments().rows(),
                 static_cast<double>(first) / static_cast<double>(count));
  }
  progress.finish();
  if (!options.quiet) cut.report();
}

/// As evaluate scores them: equal texts tie at cosine 1, and cosines that are all equal score 0.
double score(const ScoredPairs& pairs, const Matrix<float>& embeddings) {
  const Rows<const float> rows = rows_of(embeddings);
  std::vector<double> cosines;
  for (const auto& [first, second] : pairs.texts_of_pair)
    cosines.push_back(cosine_similarity(rows.row(first), rows.row(second)));
  const double correlation = spearman(cosines, pairs.scores);
  return std::isnan(correlation) ? 0 : 100 * correlation;
}

void sts(const StsOptions& options) {
  const Model model(options.model);
  std::vector<Row> rows = readings_of(options, model);
  const Settings settings = resolve(options, model);
  const ScoredPairs pairs = ScoredPairs::read(options.pairs);
  if (std::ranges::all_of(pairs.scores, [&](double score) { return score == pairs.scores.front(); }))
    throw FileError(options.pairs, "", "all scores are equal: nothing can be ranked like them");
  ForwardPass pass(decoder_of(settings, model), settings.config.mask, AnyCompute::parse(options.compute), options.threads,
                   options.device);
  const bool calibrated = !options.calibration_texts.empty();
  if (calibrated) calibrate(rows, options, settings, model, pass);
  embed(rows, pairs.texts, options, settings, model, pass);

  const std::string title = !options.title.empty() ? options.title : settings.config.mask.to_string() + " mask";
  std::printf("%-32s %-12s %10s%s\n", title.c_str(), "layers", "as it is", calibrated ? "  calibrated" : "");
  for (const Row& row : rows) {
    std::printf("  %-30s %-12s %10.1f", row.pooling.c_str(), row.layers.c_str(), score(pairs, row.raw));
    if (calibrated) std::printf("  %10.1f", score(pairs, row.calibrated));
    std::printf("\n");
  }
}

}  // namespace

void add_sts_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "sts", "how well poolings rank sentence pairs: Spearman x 100 of cosine similarity and people's scores");
  const auto options = std::make_shared<StsOptions>();
  add_model_option(*command, *options);
  command
      ->add_option("--pairs", options->pairs,
                   "tab-separated file, plain or gzip, whose first line names the columns score, sentence1, sentence2")
      ->required()->type_name("FILE");
  command
      ->add_option("--calibration-texts", options->calibration_texts,
                   "texts as for `embedpool calibrate`: every pooling is scored with and without calibration")
      ->type_name("FILE");
  command->add_option("--title", options->title, "first words of the table")->type_name("S");
  add_key_options(*command, *options);
  command->remove_option(command->get_option("--pooling"));
  command->remove_option(command->get_option("--layers"));
  command->add_option("--pooling", options->poolings, "as in `embedpool embed`; several are read in the same pass")
      ->type_name("NAME[+NAME]")->group("Pooling");
  command->add_option("--layers", options->layer_lists, "as in `embedpool embed`, or last; each with each pooling")
      ->type_name("LIST")->excludes("--layer")->group("Pooling");
  add_run_options(*command, *options);
  command->footer(
      "Example:\n"
      "  embedpool sts --model m.gguf --pairs pairs.tsv --pooling last mean --layers last 11 all \\\n"
      "      --calibration-texts some-texts.txt");
  command->callback([options] { sts(*options); });
}

}  // namespace embedpool::program
