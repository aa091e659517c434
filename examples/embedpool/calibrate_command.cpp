#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "command.hpp"
#include "embedding_options.hpp"
#include "progress.hpp"
#include "settings.hpp"

namespace embedpool::program {
namespace {

struct CalibrateOptions : EmbeddingOptions {
  std::string input{}, output{};
};

/// Refuses a folder that holds more than a calibration: what was learned there would be lost.
void refuse_trained(const std::string& folder) {
  if (!std::filesystem::exists(std::filesystem::path(folder) / io::SavedEmbedder::config_name)) return;
  const io::EmbedderConfig there = io::read_embedder_config(std::filesystem::path(folder) / io::SavedEmbedder::config_name);
  if (there.adapter || !there.head_file.empty())
    throw FileError(folder, io::SavedEmbedder::config_name, "is of a trained embedder, which a calibration would replace; name another folder");
}

void calibrate(const CalibrateOptions& options) {
  refuse_trained(options.output);
  const Model model(options.model);
  Settings settings = resolve(options, model);
  if (options.verbose) std::fprintf(stderr, "embedpool: settings\n%s", describe(settings.config, model).c_str());
  TextInput input(options.input, options.input_format, model.decoder().config().vocabulary);
  TextEncoding encoding = text_encoding(options, settings, model);
  encoding.merge_equal = false;  // a text counts as often as it comes
  TextBatches batches(input, std::move(encoding));
  ForwardPass pass(decoder_of(settings, model), settings.config.mask, AnyCompute::parse(options.compute), options.threads,
                   options.device);
  CalibrationEstimator estimator(settings.reading.slots(model.decoder().layers()), model.decoder().width());
  Progress progress("calibrate", options.quiet);
  for (TextBatch batch; batches.next(batch);) {
    pass.calibrate(batch.batch, {&settings.reading, 1}, {&estimator, 1});
    progress.add(static_cast<Index>(batch.row.size()), batch.batch.segments().rows(), batches.fraction());
  }
  if (estimator.texts() < 2)
    throw FileError(input.name(), "", "a calibration needs at least 2 texts, got " + std::to_string(estimator.texts()));
  io::SavedEmbedder saved{settings.config, settings.reading.params, estimator.estimate<float>()};
  saved.config.calibration = io::CalibrationConfig{.texts = estimator.texts()};
  saved.write(options.output);
  progress.finish();
  batches.cut().report();
}

}  // namespace

void add_calibrate_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "calibrate", "centre and scale of the states, from a few hundred texts without labels, for embed --calibration");
  const auto options = std::make_shared<CalibrateOptions>();
  add_model_option(*command, *options);
  command
      ->add_option("--input", options->input,
                   "texts of the kind that will be embedded, as for `embedpool embed`; a few hundred are enough")
      ->required()->type_name("FILE|-");
  command
      ->add_option("--output", options->output,
                   "folder for embedder.json (mask, pooling, layers, template, appended ids, number of texts) and "
                   "calibration.safetensors; made when it is missing")
      ->required()->type_name("DIR");
  add_input_format_option(*command, *options);
  add_key_options(*command, *options);
  add_run_options(*command, *options);
  command->footer(
      "Example:\n"
      "  embedpool calibrate --model m.gguf --pooling last --template 'This sentence: \"{text}\" means in one word: \"' \\\n"
      "      --input some-texts.txt --output m.calibration\n"
      "  embedpool embed --model m.gguf --calibration m.calibration --input texts.txt --output vectors.npy");
  command->callback([options] { calibrate(*options); });
}

}  // namespace embedpool::program
