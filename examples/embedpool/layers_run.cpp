#include "layers_run.hpp"

#include <algorithm>
#include <optional>

#include "command.hpp"
#include "embedded_table.hpp"
#include "embedpool/eval/layers/layer_cosine.hpp"
#include "embedpool/pooling/heads/key_weights.hpp"
#include "evaluation.hpp"
#include "progress.hpp"
#include "stop_signal.hpp"
#include "text_file.hpp"

namespace embedpool::program {
namespace {

/// The readers, with the mean of their tokens for those that hand on every token, and without those that read the prompt:
/// one state a layer and reader of each text.
AnyTokens one_state_each(AnyTokens tokens) {
  std::erase_if(tokens.readers, [](const TokenChoice& reader) { return reader.view == TokenView::prompt; });
  for (TokenChoice& reader : tokens.readers)
    if (reader.kind == TokenKind::all) reader.kind = TokenKind::mean;
  return tokens;
}

/// Reads the states of layers 0 to L side by side, as they are.
///
/// Errors  ShapeError when nothing but the prompt is read, which is no state of a text
Reading every_layer(const Reading& trained, Index layers) {
  Reading reading;
  reading.layers = {LayerRange{0, layers}};
  reading.tokens = one_state_each(trained.tokens);
  if (reading.tokens.readers.empty())
    throw ShapeError("layers: --pooling " + trained.tokens.to_string() + " reads the prompt alone, and no state of the texts");
  Concatenate side_by_side;
  side_by_side.count = reading.slots(layers);
  reading.head = side_by_side;
  reading.params = reading.head.init<float>(1, side_by_side.count);  // none
  reading.finishing.normalize = false;
  return reading;
}

/// Why the attention of this head over layers cannot be told; empty when it can.
std::string no_attention(const LayersOptions& options, const Reading& reading, Index layers) {
  if (options.head.empty()) return "No head was given with --trained.";
  if (reading.layers.count(layers) < 2) return "The trained head reads one layer.";
  if (one_state_each(reading.tokens) != reading.tokens)
    return "The trained head reads every token or the prompt, not one state of a layer.";
  return "";
}

/// The share of each layer in what the trained head takes from a text, given the states of all layers.
class LayerShares {
 public:
  LayerShares(const Reading& reading, Index layers, Index width) : reading_(reading), layers_(layers), width_(width) {
    const Index readers = reading.tokens.slots();
    for (Index layer = 0; layer <= layers; ++layer)
      for (Index r = 0; r < readers && reading.layers.wants(layer, layers); ++r) {
        source_.push_back(layer * readers + r);
        kinds_.push_back(reading.layers.slot(layer, layers) * readers + r);
        layer_of_.push_back(layer);
      }
  }

  /// Mean over texts, [L + 1]; empty when the head does not weigh its keys.
  /// Shapes  states [n, (L + 1) readers D]
  std::vector<double> operator()(Rows<const float> states, ExecutorRef executor) const {
    Matrix<double> shares = Matrix<double>::Zero(states.rows, layers_ + 1);
    std::vector<char> weighed(static_cast<std::size_t>(states.rows), 0);
    parallel_guarded(executor, states.rows, [&](Index text, Index) {
      Matrix<float> keys(static_cast<Index>(source_.size()), width_);
      for (std::size_t k = 0; k < source_.size(); ++k)
        std::copy_n(states.row_data(text) + source_[k] * width_, width_, keys.data() + static_cast<Index>(k) * width_);
      if (reading_.calibration) reading_.calibration->forward(kinds_, rows_of(keys));
      const auto weights = key_weights<float>(reading_.head, reading_.params, {rows_of(std::as_const(keys)), kinds_});
      if (!weights) return;
      weighed[static_cast<std::size_t>(text)] = 1;
      for (std::size_t k = 0; k < source_.size(); ++k)
        shares(text, layer_of_[k]) += static_cast<double>((*weights)(static_cast<Index>(k)));
    });
    if (std::find(weighed.begin(), weighed.end(), 0) != weighed.end()) return {};
    const RowVector<double> mean = shares.colwise().mean();
    return {mean.begin(), mean.end()};
  }

 private:
  const Reading& reading_;
  Index layers_, width_;
  std::vector<Index> source_, kinds_, layer_of_;  ///< of each key: its place in the states, its kind, its layer
};

/// What the task says of every layer. Layers are scored next to each other, each on one thread.
std::vector<TaskResult> score_layers(const Task& task, Rows<const float> states, Index layers, const std::string& what,
                                     bool quiet, ThreadPool& executor) {
  const StackedLayers stacked(states, layers);
  std::vector<TaskResult> results(static_cast<std::size_t>(layers));
  Progress progress(what, quiet);
  for (Index first = 0; first < layers; first += executor.workers()) {
    if (StopSignal::requested()) throw Interrupted();
    const Index count = std::min(executor.workers(), layers - first);
    parallel_guarded(executor, count, [&](Index i, Index) {
      SerialExecutor serial;
      const Matrix<float> of_layer = as_eigen(stacked.layer(first + i));  // tasks want rows without gaps
      results[static_cast<std::size_t>(first + i)] = task.evaluate(rows_of(of_layer), ExecutorRef(serial));
    });
    progress.add(0, 0, static_cast<double>(first + count) / static_cast<double>(layers),
                 "layer " + std::to_string(first + count) + " of " + std::to_string(layers));
  }
  progress.finish();
  return results;
}
std::vector<double> main_scores(const std::vector<TaskResult>& results) {
  std::vector<double> scores;
  for (const TaskResult& result : results) scores.push_back(result.main());
  return scores;
}

LayerSimilarity similarity_of(Rows<const float> states, Index layers, ExecutorRef executor) {
  const StackedLayers stacked(states, layers);
  return {mean_layer_cosine(stacked, executor), linear_cka(stacked, executor)};
}

/// `count` of the rows, or all where there are fewer, at equal distances.
Matrix<float> evenly_chosen(Rows<const float> rows, Index count) {
  count = std::min(count, rows.rows);
  Matrix<float> chosen(count, rows.cols);
  for (Index i = 0; i < count; ++i)
    std::copy_n(rows.row_data(i * rows.rows / count), rows.cols, chosen.data() + i * rows.cols);
  return chosen;
}

}  // namespace

LayersRun run_layers(const LayersOptions& options, const Model& model) {
  require_writable_folder(options.output);
  const std::vector<io::TaskFolder> folders = chosen_tasks(options.data, options.tasks);
  const StopSignal stop;
  LayersRun run;
  run.settings = resolve(options, model);
  run.layers = model.decoder().layers();
  const Index count = run.layers + 1;
  Settings all = run.settings;
  all.reading = every_layer(run.settings.reading, run.layers);
  run.state = all.reading.tokens.to_string();
  run.attention = no_attention(options, run.settings.reading, run.layers);
  if (options.verbose) std::fprintf(stderr, "embedpool: settings\n%s", describe(run.settings.config, model).c_str());

  ForwardPass pass(decoder_of(run.settings, model), all.config.mask, AnyCompute::parse(options.compute),
                   options.threads, options.device);
  pass.prepare(all.reading);
  ThreadPool executor(options.threads);
  const TextEncoding encoding = text_encoding(options, all, model);
  std::optional<LayerShares> shares;
  if (run.attention.empty()) shares.emplace(run.settings.reading, run.layers, model.decoder().width());
  const Index quota = std::max<Index>(1, options.similarity_texts / static_cast<Index>(folders.size()));
  Matrix<float> sample;
  for (const io::TaskFolder& folder : folders) {
    TaskByLayer& result = run.tasks.emplace_back();
    const std::string name =
        std::to_string(run.tasks.size()) + "/" + std::to_string(folders.size()) + " " + folder.name;
    TaskOptions protocol;
    protocol.most_items = options.max_items;
    protocol.classification.samples_per_label = 0;  // as many as MTEB takes on a set of that name
    EmbeddedTable texts(pass, all, encoding, instruction_of(folder, run.settings.config.prompts), options.quiet);
    const Task task = io::read_task(folder, texts.table, protocol);
    const Rows<const float> states = texts.embeddings(name);
    if (!options.quiet) texts.cut().report(name + ": ");
    result.folder = folder;
    result.texts = states.rows;
    const auto raw = score_layers(task, states, count, name + ": scores", options.quiet, executor);
    result.metric = raw.front().main_metric;
    result.raw = main_scores(raw);
    const Matrix<float> calibrated = standardised(StackedLayers(states, count));
    result.calibrated = main_scores(
        score_layers(task, rows_of(calibrated), count, name + ": calibrated scores", options.quiet, executor));
    if (shares) result.attention = (*shares)(states, ExecutorRef(executor));
    const Matrix<float> more = evenly_chosen(states, quota);
    sample.conservativeResize(sample.rows() + more.rows(), more.cols());
    sample.bottomRows(more.rows()) = more;
  }
  if (shares) {
    const std::string head = "The head " + std::string(run.settings.reading.head.name()) + " of " + options.head;
    run.attention = head + (run.tasks.front().attention.empty() ? " does not weigh its keys." : ".");
  }
  run.similarity_texts = sample.rows();
  run.raw = similarity_of(rows_of(std::as_const(sample)), count, ExecutorRef(executor));
  const Matrix<float> calibrated = standardised(StackedLayers(rows_of(std::as_const(sample)), count));
  run.standardised = similarity_of(rows_of(calibrated), count, ExecutorRef(executor));
  return run;
}

}  // namespace embedpool::program
