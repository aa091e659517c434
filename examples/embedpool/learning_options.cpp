#include "learning_options.hpp"

#include <CLI/CLI.hpp>
#include <map>

#include "number_checks.hpp"

namespace embedpool::program {

void add_learning_options(CLI::App& command, LearningOptions& learning) {
  const std::string group = "Learning";
  const auto number = [&](const char* name, auto& value, const std::string& help, const char* type) {
    return command.add_option(name, value, help)->type_name(type)->capture_default_str()->group(group);
  };
  const auto by_recipe = [&](const char* name, auto& value, const std::string& help, const char* type) {
    return command.add_option(name, value, help)->type_name(type)->group(group);
  };
  number("--steps", learning.steps, "steps in all", "N")->check(positive_number());
  by_recipe("--batch", learning.batch, "queries a step. Default: 16; from a teacher 48", "N")->check(positive_number());
  number("--accumulate", learning.accumulate,
         "batches a step, each with negatives of its own; their gradients are averaged", "N")->check(positive_number());
  number("--chunk", learning.chunk,
         "texts that go through the model at once; a batch of more is embedded twice, with the memory of this many "
         "(a gradient cache). 0: the whole batch", "N")->check(non_negative_number());
  by_recipe("--lr", learning.rate, "peak learning rate of the adapter. Default: 0.0005; from a teacher 0.0015", "X")
      ->check(non_negative_number());
  command
      .add_option("--head-lr", learning.head_rate,
                  "of the head. Default: 0.01 for a mix of layers, which is few weights, 0.001 for heads with matrices")
      ->type_name("X")->check(non_negative_number())->group(group);
  number("--warmup", learning.warmup, "steps until the peak; the first of them has rate 0", "N")->check(non_negative_number());
  static const std::map<std::string, Schedule::Decay> decays{
      {"constant", Schedule::Decay::constant}, {"linear", Schedule::Decay::linear}, {"cosine", Schedule::Decay::cosine}};
  command
      .add_option_function<std::string>(
          "--schedule", [&learning](const std::string& name) { learning.decay = decays.at(name); },
          "after that: linear, cosine or constant. Default: linear")
      ->type_name("NAME")->check(CLI::IsMember({"linear", "cosine", "constant"}))->group(group);
  number("--weight-decay", learning.weight_decay, "of matrices, decoupled", "X")->check(non_negative_number());
  number("--clip", learning.longest_gradient, "longest gradient; 0: any", "X")->check(non_negative_number());
  command
      .add_option("--loss", learning.loss,
                  "infonce: a query's negatives are the other documents of the batch; qwen3: as Qwen3-Embedding, the other queries "
                  "too, and documents among themselves, hard negatives for their own query alone, margin 0.1; triplet: its hard "
                  "negatives alone shall be further from a query than its positive, by --triplet-margin")
      ->type_name("NAME")->check(CLI::IsMember({"infonce", "qwen3", "triplet"}))->capture_default_str()->group(group);
  number("--triplet-margin", learning.triplet_margin, "of --loss triplet: of distances between vectors of length 1", "X")
      ->check(positive_number());
  command
      .add_option("--scored-loss", learning.scored_loss,
                  "of batches of scored pairs, beside --loss for the others: cosent and angle (pairs with higher scores shall "
                  "be more alike), cosine-mse (the cosine shall be the score, in [-1, 1])")
      ->type_name("NAME")->check(CLI::IsMember({"cosent", "angle", "cosine-mse"}))->capture_default_str()->group(group);
  by_recipe("--temperature", learning.temperature,
            "cosines are divided by it, but in cosine-mse. Default: 0.05; from a teacher 0.15", "X")
      ->check(positive_number());
  command.add_flag("--learn-temperature", learning.learn_temperature, "the temperature is a parameter of the head")
      ->group(group);
  command.add_flag("--symmetric", learning.symmetric, "documents look for their query as well")->group(group);
  command
      .add_option("--false-negative-margin", learning.false_negative_margin,
                  "what is nearer than the positive by more than this is no negative")
      ->type_name("X")->check(non_negative_number())->group(group);
  command
      .add_option("--matryoshka", learning.matryoshka,
                  "train the first N dimensions as embeddings of their own, for each N; the whole vector is always one")
      ->type_name("N")->check(positive_number())->group(group);
  by_recipe("--self-weight", learning.self_weight,
            "beside a teacher LoRA learns from the model itself as it was before, which counts so many times as much: it keeps "
            "what it knows. Default: 0.5 where LoRA begins with a trained head, else 0", "X")
      ->check(non_negative_number());
  number("--seed", learning.seed, "of the order of the data, the adapter, the head and dropout", "N")
      ->check(natural_number());
}

}  // namespace embedpool::program
