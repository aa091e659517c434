#include "train_options.hpp"

#include <CLI/CLI.hpp>

#include "embedpool/pooling/any_head.hpp"
#include "number_checks.hpp"

namespace embedpool::program {
namespace {

void add_data_options(CLI::App& command, TrainOptions& options) {
  const std::string group = "Data";
  command
      .add_option("--data", options.data,
                  "JSON lines, plain or gzip: \"query\", \"positive\", and maybe \"negative\" or \"negatives\" (a text or a "
                  "list), \"task\" and \"teacher\" (a list of the embeddings that another model gives of these texts: their "
                  "similarities are learned); or scored pairs: \"sentence1\", \"sentence2\", \"score\" (higher: more alike) and "
                  "maybe \"task\"")
      ->required()->type_name("FILE")->group(group);
  command
      .add_option("--examples", options.examples, "so many of the examples, at equal distances. 0: all")
      ->type_name("N")->check(non_negative_number())->capture_default_str()->group(group);
  CLI::Option* held_out = command
      .add_option("--held-out", options.held_out,
                  "data that is not trained on; its loss is measured on the way, on 16 batches of it at most")
      ->type_name("FILE")->group(group);
  command.add_option("--held-out-every", options.held_out_every, "steps between two looks at held-out data")
      ->type_name("N")->check(positive_number())->capture_default_str()->group(group)->needs(held_out);
  command
      .add_option("--instruction", options.instructions,
                  "TASK=TEXT: what stands in front of the queries of a task of the data, and of `embedpool embed --task TASK`; for a "
                  "kind of data sets, such as sts, `embedpool evaluate` puts it in front of their queries")
      ->type_name("TASK=TEXT")->group(group);
  command
      .add_option("--no-in-batch-negatives", options.learning.without_in_batch,
                  "tasks whose queries take their own hard negatives alone: where another query's answer may well be "
                  "right, as with class labels")
      ->type_name("TASK")->group(group);
  command
      .add_flag_function("--mixed-batches,!--one-task-batches",
                         [&options](std::int64_t count) { options.learning.mixed = count > 0; },
                         "a batch may hold several tasks, or one alone. Default: one; from a teacher several")
      ->group(group);
  command.add_option("--negatives", options.learning.most_negatives, "hard negatives a query takes at most; in a batch all take as "
                     "many as the query with the fewest has")
      ->type_name("N")->check(non_negative_number())->capture_default_str()->group(group);
  command.add_flag("--skip-bad-lines", options.skip_bad_lines, "count lines that are no examples, instead of refusing them")
      ->group(group);
}

void add_head_options(CLI::App& command, TrainOptions& options) {
  const std::string group = "Head";
  HeadOptions& head = options.head_options;
  std::string names;
  for (const std::string_view name : AnyHead::names) names += (names.empty() ? "" : ", ") + std::string(name);
  command.add_option("--head", head.kind, "what makes one vector of a text's keys: " + names + ". Default: identity, and layer-mix where "
                     "several layers or kinds of tokens are read")->type_name("NAME")->group(group);
  command.add_option("--head-queries", head.queries, "learned queries (latents) of an attention head. Default: 8")
      ->type_name("N")->check(positive_number())->group(group);
  command.add_option("--head-heads", head.heads, "its attention heads. Default: width / 64, or fewer where these do not divide the width")
      ->type_name("N")->check(positive_number())->group(group);
  command.add_option("--head-dim", head.head_dim, "width of each of them. Default: 64")
      ->type_name("N")->check(positive_number())->group(group);
  command.add_option("--head-feed-forward", head.feed_forward, "inner width of its feed-forward. Default: the model's width")
      ->type_name("N")->check(positive_number())->group(group);
  command
      .add_flag("--head-published-start", head.published_start,
                "begin at random as published, instead of at the plain mean of the keys")
      ->group(group);
  command
      .add_flag_callback("--no-layer-table", [&head] { head.layer_table = false; },
                         "keys of several layers get no learned vector each (the W of arXiv 2409.02727)")
      ->group(group);
  command.add_flag_callback("--no-calibration", [&options] { options.calibrate = false; }, "leave keys as they are")
      ->group(group);
  command
      .add_option("--calibration-texts", options.calibration_texts,
                  "how many texts of the data give the centre and scale of each layer's keys before training")
      ->type_name("N")->check(decimal())->check(CLI::Range(2, 1 << 24))->capture_default_str()->group(group);
  command
      .add_option("--start-from", options.head,
                  "folder that `embedpool train` wrote: its settings, calibration, head and adapter are where this "
                  "training begins")
      ->type_name("DIR")->group(group);
  for (const char* name : {"--head", "--head-queries", "--head-heads", "--head-dim", "--head-feed-forward",
                           "--head-published-start", "--no-layer-table", "--no-calibration", "--calibration-texts"})
    command.get_option(name)->excludes(command.get_option("--start-from"));
  command.get_option("--no-calibration")->excludes(command.get_option("--calibration-texts"));
}

void add_lora_options(CLI::App& command, TrainOptions& options) {
  const std::string group = "Backbone";
  CLI::Option* freeze = command.add_flag("--freeze-backbone", options.freeze_backbone,
                                         "train the head alone: every text goes through the model once, those of the calibration "
                                         "twice, then steps take milliseconds")
      ->group(group);
  command
      .add_option("--head-steps", options.head_steps,
                  "steps of the head alone before LoRA begins, on 1,000 examples, in the folder head of the output. "
                  "Default: 192 where no flag says what is read, else 0")
      ->type_name("N")->check(non_negative_number())->group(group)->excludes(freeze)->excludes(command.get_option("--start-from"));
  command.add_option("--key-cache", options.key_cache, "with it: file that keeps what the model made of the texts; in a folder each set of texts and way of reading "
                     "them has a file of its own")
      ->type_name("PATH")->needs(freeze)->group(group);
  const auto describes = [&options](const std::string&) { options.describes_adapter = true; };
  command.add_option("--lora-rank", options.lora.rank, "rank of the LoRA pairs")
      ->type_name("R")->check(positive_number())->capture_default_str()->group(group)->excludes(freeze)->each(describes);
  command.add_option("--lora-alpha", options.lora.alpha, "they count alpha / rank times")
      ->type_name("X")->check(positive_number())->capture_default_str()->group(group)->excludes(freeze)->each(describes);
  command.add_flag("--rslora", options.lora.rank_stabilised, "alpha / sqrt(rank) times instead")
      ->group(group)->excludes(freeze)->each(describes);
  const auto share = [](double value) { return value >= 0 && value <= 0.99; };
  command.add_option("--lora-dropout", options.learning.dropout, "share of a pair's inputs that a step drops")
      ->type_name("X")->check(number_check("FLOAT in [0 - 0.99]", "from 0 to 0.99", share))->capture_default_str()->group(group)->excludes(freeze);
  static const std::map<std::string, DecoderTensor> maps{
      {"q_proj", DecoderTensor::query},   {"k_proj", DecoderTensor::key},  {"v_proj", DecoderTensor::value},
      {"o_proj", DecoderTensor::output},  {"gate_proj", DecoderTensor::gate}, {"up_proj", DecoderTensor::up},
      {"down_proj", DecoderTensor::down}};
  command
      .add_option_function<std::vector<std::string>>(
          "--lora-targets",
          [&options](const std::vector<std::string>& names) {
            options.lora.targets.clear();
            for (const std::string& name : names) options.lora.targets.insert(maps.at(name));
          },
          "linear maps with a pair: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj. Default: all")
      ->type_name("NAME")->check(CLI::IsMember(maps))->group(group)->excludes(freeze)->each(describes);
  command.add_option("--lora-first-layer", options.lora.first_layer, "blocks below this one, from 0, stay as they are")
      ->type_name("K")->check(non_negative_number())->capture_default_str()->group(group)->excludes(freeze)->each(describes);
  command
      .add_option("--kept-blocks", options.learning.kept_blocks,
                  "blocks that keep their activations for the way back; the others are computed again: less memory, more "
                  "time. Default: all")
      ->type_name("N")->check(non_negative_number())->group(group)->excludes(freeze);
}

}  // namespace

void add_train_options(CLI::App& command, TrainOptions& options) {
  command
      .add_option("--output", options.output,
                  "folder for the adapter (PEFT's files), head, calibration, embedder.json, checkpoint and log.jsonl")
      ->required()->type_name("DIR");
  command
      .add_option("--design", options.design,
                  "one of the five of arXiv 2409.02727: 1 last token, 2 attention to the last layer, 3 to all layers, "
                  "under the causal mask; 4 and 5 are 2 and 3 under the bidirectional mask. Attention is the head perceiver, "
                  "which begins at the mean of its keys. Default: a calibrated mix of "
                  "all layers, of a prompt's last token and the text's mean")
      ->type_name("1..5")->check(CLI::Range(1, 5));
  command.add_flag("--resume", options.resume, "go on from the checkpoint in the folder, with the same flags");
  command.add_option("--checkpoint-every", options.checkpoint_every, "steps between two checkpoints")
      ->type_name("N")->check(positive_number())->capture_default_str();
  add_data_options(command, options);
  add_key_options(command, options);
  command.get_option("--layers")->description("read several: all (1..L), or numbers and ranges as in 1,4,8-12; the head makes "
                                              "one vector of their keys (default: --head layer-mix)");
  CLI::Option* pooling = command.get_option("--pooling");
  pooling->description(pooling->get_description() + ". Where no flag says what is read: last+mean@text of all layers");
  command.get_option("--max-tokens")->description("longer texts are cut in training, prompt and template included: steps cost "
                                                  "by the token. Default: 64. What is saved keeps the model's own limit");
  add_head_options(command, options);
  add_lora_options(command, options);
  add_learning_options(command, options.learning);
}

}  // namespace embedpool::program
