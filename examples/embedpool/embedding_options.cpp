#include "embedding_options.hpp"

#include <CLI/CLI.hpp>

#include "number_checks.hpp"

namespace embedpool::program {
namespace {

void add_switch(CLI::App& command, const std::string& on, const std::string& off, std::optional<bool>& value,
                const std::string& group, const std::string& help) {
  CLI::Option* yes = nullptr;
  if (!on.empty()) yes = command.add_flag_callback(on, [&value] { value = true; }, help)->group(group);
  CLI::Option* no = command.add_flag_callback(off, [&value] { value = false; }, yes ? "the contrary" : help)->group(group);
  if (yes) no->excludes(yes);
}

}  // namespace

void add_model_option(CLI::App& command, EmbeddingOptions& options) {
  command.add_option("--model", options.model, "a GGUF file, or a Hugging Face directory with safetensors")
      ->required()
      ->type_name("PATH");
}

void add_key_options(CLI::App& command, EmbeddingOptions& options) {
  const std::string masks = "Mask", poolings = "Pooling", texts = "Text";
  command
      .add_option("--mask", options.mask,
                  "which tokens a token sees: causal (the model's own sliding window applies), bidirectional, window:N "
                  "(0 <= i - j < N), bidirectional-window:N (|i - j| <= N), prefix (the prompt bidirectional, the text "
                  "causal). Default: what the model's own configuration says, else causal")
      ->type_name("MASK")->group(masks);
  command
      .add_option("--pooling", options.pooling,
                  "how token states become keys: last, first, mean, weighted-mean, max, mean-sqrt, unit-mean, all; "
                  "several at once with + between them. Behind each: @text (the text's own tokens, without the prompt), "
                  "@prompt (what stands before the text; no key where nothing does), "
                  "@second-copy (of a template with {text} twice), @after-prompt, @skip:K, as in last+mean@text. Default: what the "
                  "model's saved configuration says, else mean")
      ->type_name("NAME[+NAME]")->group(poolings);
  CLI::Option* layer = command
      .add_option("--layer", options.layer,
                  "read one layer: 0 the embeddings, L the last after the final norm; negative counts from the end, -1 "
                  "is the last. Default: the last")
      ->type_name("K")->check(decimal())->group(poolings);
  command
      .add_option("--layers", options.layers,
                  "read several: all (1..L), or numbers and ranges as in 1,4,8-12; the head makes one vector of their "
                  "keys (default: their mean)")
      ->type_name("LIST")->group(poolings)->excludes(layer);
  command
      .add_option("--skip-first", options.skip_first,
                  "leave the first K tokens of the input out of every reading (the first token of an untuned decoder "
                  "carries a huge activation)")
      ->type_name("K")->check(non_negative_number())->group(poolings);
  command.add_flag("--exclude-prompt", options.exclude_prompt, "the same as @text behind every name of --pooling")
      ->group(poolings);
  CLI::Option* prompt = command.add_option("--prompt", options.prompt, "written in front of every text")
      ->type_name("S")->group(texts);
  command
      .add_option("--template", options.text_template,
                  "written around every text, for which {text} stands: 'This sentence: \"{text}\" means in one word: \"'. "
                  "Twice for echo embeddings, read with --pooling mean@second-copy")
      ->type_name("S")->group(texts)->excludes(prompt);
  add_switch(command, "--append-eos", "--no-append-eos", options.append_eos, texts,
             "append the end-of-text id. Default: what the model's own configuration says; plain decoders append "
             "nothing. Texts that come as ids get nothing unless --append-eos is given");
  add_switch(command, "--prepend-bos", "--no-prepend-bos", options.prepend_bos, texts,
             "put the beginning-of-text id in front. Default: what the model's own configuration says; never in front "
             "of texts that come as ids");
  command
      .add_option("--max-tokens", options.max_tokens,
                  "longer texts are cut at their end (prompt, template and appended ids stay) and counted on standard "
                  "error. Default: what the model was made for")
      ->type_name("N")->check(positive_number())->group(texts);
  command.add_flag("--strict", options.strict, "refuse texts that are too long, instead of cutting them")->group(texts);
}

void add_saved_options(CLI::App& command, EmbeddingOptions& options) {
  const std::string group = "Vector";
  command
      .add_option("--trained,--head", options.head,
                  "folder that `embedpool train` wrote: adapter, head, calibration. Its settings hold; a flag that says "
                  "otherwise is refused")
      ->type_name("DIR")->check(not_empty())->group(group);
  command
      .add_option("--task", options.task,
                  "the texts are queries of this task: what it was trained with as --instruction goes in front of them, or the "
                  "prompt of this name that a sentence-transformers model saves")
      ->type_name("NAME")->group(group);
  command
      .add_option("--calibration", options.calibration,
                  "folder that `embedpool calibrate` wrote. Its mask, pooling, layers, prompt and appended ids hold; a "
                  "flag that says otherwise is refused")
      ->type_name("DIR")->check(not_empty())->group(group);
  add_switch(command, "", "--no-normalize", options.normalize, group,
             "leave vectors as they are, instead of dividing each by its length");
  command.add_option("--dimensions", options.dimensions, "keep the first N dimensions, before normalisation")
      ->type_name("N")->check(positive_number())->group(group);
}

void add_run_options(CLI::App& command, EmbeddingOptions& options) {
  const std::string group = "Work";
  command
      .add_option("--compute", options.compute,
                  "arithmetic of the linear maps. f32 is the reference; int8 takes the integers of quantised weights as "
                  "they are and rounds activations to 8 bits: about twice as fast; bf16 is for machines with bfloat16 "
                  "instructions")
      ->type_name("TYPE")->check(CLI::IsMember({"f32", "bf16", "int8"}))->capture_default_str()->group(group);
  command
      .add_option("--device", options.device,
                  "cpu, or cuda: the model, readers and heads on an NVIDIA GPU, by f32 or bf16, for programs that were built "
                  "with it")
      ->type_name("NAME")->check(CLI::IsMember({"cpu", "cuda"}))->capture_default_str()->group(group);
  command.add_option("--threads", options.threads, "threads to use. Default: the cores. Results do not depend on it")
      ->type_name("N")->check(decimal())->check(CLI::Range(1, 4096))->group(group);
  command
      .add_option("--batch-tokens", options.batch_tokens,
                  "about so many tokens go through the model together: speed and memory, never results")
      ->type_name("N")->check(decimal())->check(CLI::Range(1, 1 << 24))->capture_default_str()->group(group);
  command.add_flag("--quiet", options.quiet, "no progress on standard error")->group(group);
  command.add_flag("--verbose", options.verbose, "print the settings in effect on standard error")->group(group);
}

void add_task_options(CLI::App& command, std::vector<std::string>& tasks, Index& max_items) {
  command.add_option("--tasks", tasks, "names of data sets, or kinds such as sts. Default: all")
      ->type_name("NAME");
  command
      .add_option("--max-items", max_items,
                  "sample at most N items of each data set (pairs, texts, queries with ten documents each ...), always "
                  "the same ones: minutes in place of hours, and scores to compare with each other alone. 0: all")
      ->check(decimal())->check(CLI::IsMember({0}) | CLI::Range(Index(3), Index(1) << 32))
      ->capture_default_str()
      ->type_name("N");
}

void add_input_format_option(CLI::App& command, EmbeddingOptions& options) {
  command
      .add_option_function<std::string>(
          "--input-format",
          [&options](const std::string& name) {
            options.input_format = name == "jsonl" ? InputFormat::jsonl : InputFormat::lines;
          },
          "lines or jsonl. Default: jsonl when the file's name ends in .jsonl or .jsonl.gz, or its first line is an object "
          "with text or tokens")
      ->type_name("FORMAT")->check(CLI::IsMember({"lines", "jsonl"}));
}

}  // namespace embedpool::program
