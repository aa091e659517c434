#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "command.hpp"
#include "embedding_options.hpp"
#include "embedpool/eval/nearest_neighbours.hpp"
#include "number_checks.hpp"
#include "progress.hpp"
#include "settings.hpp"

namespace embedpool::program {
namespace {

struct NearestOptions : EmbeddingOptions {
  std::string corpus{}, queries{};
  Index top = 3;
};

struct Embedded {
  std::vector<std::string> texts{};
  std::vector<float> values{};
  Index width = 0;

  Rows<float> rows() { return {values.data(), static_cast<Index>(texts.size()), width, width}; }
};

Embedded embed(const std::string& path, const NearestOptions& options, const Reading& reading, TextEncoding encoding,
               const Model& model, ForwardPass& pass, Progress& progress) {
  Embedded result;
  TextInput input(path, options.input_format, model.decoder().config().vocabulary);
  encoding.keep_texts = true;
  TextBatches batches(input, std::move(encoding));
  for (TextBatch batch; batches.next(batch);) {
    const Matrix<float> vectors = pass.embed(batch.batch, {&reading, 1}).front();
    result.width = vectors.cols();
    result.texts.insert(result.texts.end(), batch.texts.begin(), batch.texts.end());
    for (const Index row : batch.row)
      result.values.insert(result.values.end(), vectors.row(row).begin(), vectors.row(row).end());
    progress.add(static_cast<Index>(batch.row.size()), batch.batch.segments().rows(), batches.fraction());
  }
  l2_normalize(result.rows());
  batches.cut().report(path + ": ");
  return result;
}

void nearest(const NearestOptions& options) {
  if (options.corpus == "-" || options.queries == "-") throw ShapeError("nearest: corpus and queries must be files");
  const Model model(options.model);
  Settings settings = resolve(options, model);
  ForwardPass pass(decoder_of(settings, model), settings.config.mask, AnyCompute::parse(options.compute), options.threads,
                   options.device);
  pass.prepare(settings.reading);
  Progress progress("embed", options.quiet);
  const TextEncoding of_queries = text_encoding(options, settings, model);
  TextEncoding of_corpus = of_queries;
  if (options.task) {
    NearestOptions without_task = options;
    without_task.task.reset();
    of_corpus = text_encoding(without_task, resolve(without_task, model), model);
  }
  Embedded corpus = embed(options.corpus, options, settings.reading, of_corpus, model, pass, progress);
  Embedded queries = embed(options.queries, options, settings.reading, of_queries, model, pass, progress);
  progress.finish();
  ThreadPool executor(options.threads);
  const auto nearest = nearest_neighbours(queries.rows(), corpus.rows(), options.top, executor);
  for (std::size_t q = 0; q < nearest.size(); ++q) {
    std::printf("%s\n", queries.texts[q].c_str());
    for (const Neighbour& neighbour : nearest[q])
      std::printf("  %5.2f  %s\n", static_cast<double>(neighbour.score),
                  corpus.texts[static_cast<std::size_t>(neighbour.row)].c_str());
  }
}

}  // namespace

void add_nearest_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("nearest", "the texts of a file that are nearest to each query, by cosine");
  const auto options = std::make_shared<NearestOptions>();
  add_model_option(*command, *options);
  command->add_option("--corpus", options->corpus, "texts to look through, as for `embedpool embed`")
      ->required()->type_name("FILE");
  command->add_option("--queries", options->queries, "texts to look for")->required()->type_name("FILE");
  command->add_option("--top", options->top, "how many to show for each query")
      ->type_name("N")->check(positive_number())->capture_default_str();
  add_input_format_option(*command, *options);
  add_key_options(*command, *options);
  add_saved_options(*command, *options);
  command->remove_option(command->get_option("--no-normalize"));  // cosines do not see it
  command->get_option("--task")->description(
      "the queries are of this task: what it was trained with as --instruction goes in front of them, and of no other text");
  add_run_options(*command, *options);
  command->footer("Example:\n  embedpool nearest --model m.gguf --corpus texts.txt --queries queries.txt");
  command->callback([options] { nearest(*options); });
}

}  // namespace embedpool::program
