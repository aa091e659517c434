#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "command.hpp"
#include "embedding_options.hpp"
#include "embedding_output.hpp"
#include "progress.hpp"
#include "settings.hpp"

namespace embedpool::program {
namespace {

struct EmbedOptions : EmbeddingOptions {
  std::string input{}, output = "-";
  std::optional<std::string> format{};
};

void embed(const EmbedOptions& options) {
  const Model model(options.model);
  Settings settings = resolve(options, model);
  if (options.verbose) std::fprintf(stderr, "embedpool: settings\n%s", describe(settings.config, model).c_str());
  TextInput input(options.input, options.input_format, model.decoder().config().vocabulary);
  TextBatches batches(input, text_encoding(options, settings, model));
  ForwardPass pass(decoder_of(settings, model), settings.config.mask, AnyCompute::parse(options.compute), options.threads,
                   options.device);
  pass.prepare(settings.reading);
  const auto output = EmbeddingOutput::open(options.output, options.format);
  Progress progress("embed", options.quiet);
  for (TextBatch batch; batches.next(batch);) {
    const auto embeddings = pass.embed(batch.batch, {&settings.reading, 1});
    output->write(embeddings.front(), batch.row, batch.ids);
    progress.add(static_cast<Index>(batch.row.size()), batch.batch.segments().rows(), batches.fraction());
  }
  output->commit();
  progress.finish();
  batches.cut().report();
}

}  // namespace

void add_embed_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("embed", "one vector for each text of a file");
  const auto options = std::make_shared<EmbedOptions>();
  add_model_option(*command, *options);
  command
      ->add_option("--input", options->input,
                   "texts, one a line; or JSON lines with \"text\" or \"tokens\" (an array of ids: no tokenizer is "
                   "needed, and nothing is put around them), and an \"id\" that is given back; plain or gzip; - for "
                   "standard input")
      ->required()->type_name("FILE|-");
  command
      ->add_option("--output", options->output,
                   "where vectors go, whole or not at all; - for standard output, when the last is there")
      ->type_name("FILE|-")->capture_default_str();
  command
      ->add_option("--format", options->format,
                   "npy (float32, a row a text) or jsonl ({\"index\":0,\"embedding\":[...]}). Default: npy when the output "
                   "ends in .npy, else jsonl")
      ->type_name("FORMAT")->check(CLI::IsMember({"npy", "jsonl"}));
  add_input_format_option(*command, *options);
  add_key_options(*command, *options);
  add_saved_options(*command, *options);
  add_run_options(*command, *options);
  command->footer(
      "Examples:\n"
      "  embedpool embed --model m.gguf --input texts.txt --output vectors.npy\n"
      "  embedpool embed --model m.gguf --pooling last --template 'This sentence: \"{text}\" means in one word: \"' \\\n"
      "      --input texts.jsonl\n"
      "  embedpool embed --model m.gguf --layers all --pooling last+mean@text --skip-first 1 --input - <texts.txt\n"
      "  embedpool embed --model m.gguf --calibration m.calibration --input texts.txt --output vectors.npy");
  command->callback([options] { embed(*options); });
}

}  // namespace embedpool::program
