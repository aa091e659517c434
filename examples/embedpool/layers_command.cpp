#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "command.hpp"
#include "command_line.hpp"
#include "layers_report.hpp"
#include "number_checks.hpp"

namespace embedpool::program {

void add_layers_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "layers",
      "what each layer of a model holds: scores by layer, how alike the layers are, and which of them a trained head "
      "attends to");
  const auto options = std::make_shared<LayersOptions>();
  add_model_option(*command, *options);
  command->add_option("--data", options->data, "folder with data sets, as `embedpool evaluate` takes it")
      ->required()
      ->type_name("DIR");
  add_task_options(*command, options->tasks, options->max_items);
  command
      ->add_option("--similarity-texts", options->similarity_texts,
                   "layers are compared on at most about N texts, the same number of each data set")
      ->check(decimal())->check(CLI::Range(Index(2), Index(1) << 20))
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--output", options->output, "folder for layers.html, layers.md, layers.csv and layers.json")
      ->required()
      ->type_name("DIR");
  add_key_options(*command, *options);
  for (const char* choice : {"--layer", "--layers"}) command->remove_option(command->get_option(choice));  // it reads every layer
  command
      ->add_option("--trained", options->head,
                   "folder that `embedpool train` wrote: the adapter is merged into the model, and where the head "
                   "weighs several layers, the report says how. Its settings hold, and its instructions for the queries of a "
                   "data set or its kind; a flag that says otherwise is refused")
      ->type_name("DIR");
  add_run_options(*command, *options);
  command->footer(
      "Every text goes through the model once, and its pooled state is kept of every layer, 0 the embeddings, L the last\n"
      "after the final norm. Scores are given raw and calibrated: each dimension centred and scaled by the texts of the data\n"
      "set itself, without their labels. Memory grows with texts x layers x width of the largest\n"
      "data set. A run that is stopped writes nothing.\n\n"
      "Examples:\n"
      "  embedpool layers --model m.gguf --data data --tasks sts --output layers\n"
      "  embedpool layers --model m.gguf --data data --pooling last --append-eos --max-items 100 --output eos-layers\n"
      "  embedpool layers --model m.gguf --trained design5 --data data --output design5-layers");
  command->callback([options, command] {
    options->command = command_line(*command);
    const Model model(options->model);
    write_layers_report(*options, run_layers(*options, model));
    std::printf("%s\n", (std::filesystem::path(options->output) / "layers.html").string().c_str());
  });
}

}  // namespace embedpool::program
