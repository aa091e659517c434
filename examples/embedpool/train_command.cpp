#include <CLI/CLI.hpp>
#include <memory>

#include "command.hpp"
#include "training.hpp"

namespace embedpool::program {

void add_train_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "train", "LoRA and a pooling head under a contrastive loss, or the head alone on a frozen model");
  const auto options = std::make_shared<TrainOptions>();
  add_model_option(*command, *options);
  add_train_options(*command, *options);
  add_run_options(*command, *options);
  command->get_option("--compute")->description(
      "arithmetic of the linear maps where a frozen model is read: with --freeze-backbone, and for the head that is trained "
      "first. On the CPU LoRA takes f32, on a GPU it takes this");
  command->footer(
      "Examples:\n"
      "  embedpool train --model m.gguf --data pairs.jsonl.gz --output trained\n"
      "  embedpool train --model m.gguf --data pairs.jsonl.gz --freeze-backbone --steps 200 --batch 64 --output head\n"
      "  embedpool train --model m.gguf --data a.jsonl b.jsonl --design 5 --lora-rank 16 --steps 500 --output design5\n"
      "  embedpool train --model m.gguf --data taught.jsonl.gz --steps 240 --output distilled\n"
      "  embedpool embed --model m.gguf --trained trained --input texts.txt --output vectors.npy");
  command->callback([options] { train(*options, Model(options->model)); });
}

}  // namespace embedpool::program
