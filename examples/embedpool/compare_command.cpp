#include <CLI/CLI.hpp>
#include <memory>

#include "command.hpp"
#include "command_line.hpp"
#include "compare_report.hpp"
#include "evaluation.hpp"
#include "number_checks.hpp"

namespace embedpool::program {

void add_compare_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "compare", "trains several designs with the same data and budget, scores all of them, and says which differ");
  const auto options = std::make_shared<CompareOptions>();
  add_model_option(*command, *options);
  command->add_option("--data", options->data, "folder with data sets, as `embedpool evaluate` takes it")
      ->required()
      ->type_name("DIR");
  command
      ->add_option(
          "--output", options->output,
          "folder for report.html, report.md, scores.csv, pairs.csv and all that is trained. A run that was cut off "
          "goes on with what is there")
      ->required()
      ->type_name("DIR");
  const std::string systems = "Systems", budget = "Budget";
  CLI::Option* designs = command
                             ->add_option("--designs", options->designs,
                                          "of arXiv 2409.02727, as in `embedpool train --design`. Default: 1,2,3,4,5")
                             ->type_name("N,...")
                             ->delimiter(',')
                             ->check(CLI::Range(1, 5))
                             ->group(systems);
  command
      ->add_option(
          "--config", options->config,
          "JSON: {\"systems\": [{\"name\": \"A\", \"flags\": [flags of `embedpool train`], \"untrained\": false}], "
          "\"flags\": [of all]}. Not among them: what is the same for every system, as --model, --seed, --compute")
      ->type_name("FILE")
      ->group(systems)
      ->excludes(designs);
  command
      ->add_option("--train-data", options->train_data,
                   "as --data of `embedpool train`. Default: DIR/train/*.jsonl.gz and .jsonl")
      ->type_name("FILE")
      ->group(systems);
  CLI::Option* steps =
      command->add_option("--steps", options->steps, "steps of each training. Default: those of the flags, else 100")
          ->type_name("N")
          ->check(positive_number())
          ->group(budget);
  command
      ->add_option("--minutes", options->minutes,
                   "about so long a training of the slowest system, all others as many steps; a few steps of each are "
                   "timed first")
      ->type_name("M")
      ->check(positive_number())
      ->group(budget)
      ->excludes(steps);
  command->add_option("--seeds", options->seeds, "trainings of each system, with seeds 0 to N - 1")
      ->type_name("N")
      ->check(decimal())->check(CLI::Range(Index(1), Index(1000)))
      ->capture_default_str()
      ->group(budget);
  add_task_options(*command, options->tasks, options->max_items);
  command
      ->add_option("--evaluate-max-tokens", options->evaluated_tokens,
                   "texts of data sets are cut there. Default: what the model was made for")
      ->type_name("N")
      ->check(positive_number());
  add_run_options(*command, *options);
  command->footer(
      "Examples:\n"
      "  embedpool compare --model m.gguf --data data --minutes 10 --seeds 3 --output comparison\n"
      "  embedpool compare --model m.gguf --data data --config examples/comparisons/quick.json --max-items 100 "
      "--output quick");
  command->callback([options, command] {
    options->command = command_line(*command);
    const ComparedRun run = run_comparison(*options);
    write_comparison_report(*options, run);
    std::printf("%s/report.html\n", options->output.c_str());
  });
}

}  // namespace embedpool::program
