#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>

#include "command.hpp"
#include "embedpool/io/atomic_folder.hpp"
#include "embedpool/io/hugging_face_config_writer.hpp"
#include "embedpool/io/hugging_face_weights_writer.hpp"
#include "embedpool/io/peft_adapter.hpp"
#include "embedpool/io/sentence_transformers_writer.hpp"
#include "embedpool/io/tokenizer/tokenizer_json_writer.hpp"
#include "settings.hpp"

namespace embedpool::program {
namespace {

namespace fs = std::filesystem;

struct MergeOptions {
  std::string model{}, trained{}, output{}, type = "f32";
  std::vector<std::string> adapters{};
};

void write_json(const fs::path& path, const io::Json& json, int indent = 2) {
  io::AtomicFile file(path);
  try {
    file.write(json.dump(indent) + "\n");
  } catch (const io::Json::exception&) {
    throw FileError(path.string(), "", "a text of the model is not valid UTF-8");
  }
  file.commit();
}

/// Copies a file or folder of the model, where it is there.
void copy_over(const fs::path& from, const fs::path& to) {
  std::error_code problem;
  if (!fs::exists(from, problem)) return;
  fs::create_directories(to.parent_path(), problem);
  fs::copy(from, to, fs::copy_options::recursive, problem);
  if (problem) throw FileError(from.string(), "copy", problem.message());
}

/// Files of a Hugging Face tokenizer, whatever its kind.
void copy_tokenizer(const fs::path& from, const fs::path& to) {
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
                           "vocab.json", "merges.txt", "vocab.txt", "tokenizer.model", "chat_template.jinja"})
    copy_over(from / name, to / name);
}

/// modules.json and all that it leads to, so that the merged model embeds as its base did.
void copy_sentence_transformers(const fs::path& from, const fs::path& to) {
  if (!fs::exists(from / "modules.json")) return;
  const auto modules = io::sentence_transformers_modules(io::read_json(from / "modules.json"), (from / "modules.json").string());
  for (const auto& module : modules)
    if (!module.folder.empty()) copy_over(from / module.folder, to / module.folder);
  for (const fs::directory_entry& entry : fs::directory_iterator(from))
    if (entry.path().filename().string().starts_with("sentence_") && entry.path().extension() == ".json")
      copy_over(entry.path(), to / entry.path().filename());
  copy_over(from / "config_sentence_transformers.json", to / "config_sentence_transformers.json");
  copy_over(from / "modules.json", to / "modules.json");
}

io::Json config_of(const Model& model, Format format) {
  if (model.is_gguf()) return io::hugging_face_config(*model.gguf(), format);
  return io::for_bare_model(io::read_json(fs::path(model.path()) / "config.json"), format);
}

void write_tokenizer(const Model& model, const fs::path& folder) {
  if (!model.is_gguf()) return copy_tokenizer(model.path(), folder);
  if (!model.has_tokenizer()) return;
  const io::HuggingFaceTokenizer made = io::hugging_face_tokenizer(*model.gguf());
  write_json(folder / "tokenizer.json", made.tokenizer, 1);
  write_json(folder / "tokenizer_config.json", made.config);
}

/// modules.json for what `settings` say, where it can say it.
void write_pooling(const Settings& settings, const Model& model, const fs::path& folder) {
  const std::string obstacle =
      io::sentence_transformers_obstacle(settings.config, own_mask(model), model.prepended(), model.appended());
  if (obstacle.empty())
    io::write_sentence_transformers(settings.config, folder);
  else
    std::fprintf(stderr, "embedpool: no modules.json for sentence-transformers, which does not know %s\n", obstacle.c_str());
}

void merge(const MergeOptions& options) {
  const Format format = options.type == "bf16" ? Format::BF16 : options.type == "f16" ? Format::F16 : Format::F32;
  io::AtomicFolder folder(options.output);
  const Model model(options.model);
  EmbeddingOptions reading;
  reading.model = options.model;
  reading.head = options.trained;
  std::vector<LoraAdapter<float>> adapters;
  std::set<std::string> digests;
  for (const std::string& name : options.adapters) {
    const LoraAdapter<float>& adapter = adapters.emplace_back(io::load_peft_adapter<float>(name, model.decoder().config()));
    require_not_merged(adapter, name, model);
    if (!digests.insert(digest_of(adapter)).second) throw FileError(name, "adapter_model.safetensors", "is to be merged twice");
  }
  std::optional<Settings> settings;
  if (!options.trained.empty() || model.saved_pooling().unsupported.empty()) settings = resolve(reading, model);
  if (settings && settings->adapter) adapters.push_back(*std::move(settings->adapter));

  io::Json config = config_of(model, format);
  io::Json merged = model.merged_adapters();
  for (const LoraAdapter<float>& adapter : adapters) merged.push_back(digest_of(adapter));
  config[Model::merged_adapters_key] = std::move(merged);
  write_json(folder.path() / "config.json", config);
  write_tokenizer(model, folder.path());
  if (options.trained.empty()) {
    if (!model.is_gguf()) copy_sentence_transformers(model.path(), folder.path());
    else if (settings && model.saved_pooling().tokens) write_pooling(*settings, model, folder.path());
  } else {
    io::SavedEmbedder saved{settings->config, settings->reading.params, settings->reading.calibration};
    saved.config.adapter = false;
    saved.config.model.architecture = config.at("model_type").get<std::string>();
    saved.write(folder.path());
    write_pooling(*settings, model, folder.path());
  }
  const float gain_offset = model.decoder().config().architecture == "gemma" ? 1.0f : 0.0f;
  io::write_hugging_face_weights<float>(model.decoder(), adapters, gain_offset, format,
                                        folder.path() / "model.safetensors");
  folder.commit();
  std::printf("embedpool embed --model %s%s --input texts.txt --output vectors.npy\n", options.output.c_str(),
              options.trained.empty() ? "" : (" --trained " + options.output).c_str());
}

}  // namespace

void add_merge_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "merge", "a Hugging Face model (safetensors) with what was trained merged into its weights, for any program");
  const auto options = std::make_shared<MergeOptions>();
  command->add_option("--model", options->model, "the model that was trained: a GGUF file, or a Hugging Face directory")
      ->required()->type_name("PATH");
  CLI::Option* trained =
      command
          ->add_option("--trained", options->trained,
                       "folder that `embedpool train` wrote. Head, calibration and settings go into the new folder as "
                       "well, for embed --trained")
          ->type_name("DIR");
  command
      ->add_option("--adapter", options->adapters,
                   "folders of LoRA adapters in PEFT's files, from whatever program; several are merged one after the other")
      ->type_name("DIR")->excludes(trained);
  command
      ->add_option("--output", options->output,
                   "folder for model.safetensors, config.json and the tokenizer, which appears whole or not at all; it "
                   "must not hold anything yet")
      ->required()->type_name("DIR");
  command
      ->add_option("--dtype", options->type,
                   "type of the values. f32 keeps every bit of the merge; bf16 and f16, rounded to nearest, take half as much")
      ->type_name("TYPE")->check(CLI::IsMember({"f32", "bf16", "f16"}))->capture_default_str();
  command->footer(
      "The output matrix of a language model (lm_head), which embeddings do not need, is not written, and the new\n"
      "config.json ties the embeddings in its place. A tokenizer.json is made from GGUF files with byte-level BPE.\n"
      "A modules.json for sentence-transformers is written where one can say what was trained.\n"
      "Examples:\n"
      "  embedpool merge --model m.gguf --trained trained --output merged\n"
      "  embedpool embed --model merged --trained merged --input texts.txt --output vectors.npy\n"
      "  embedpool merge --model m --adapter mntp simcse --dtype bf16 --output merged");
  command->callback([options] {
    if (options->trained.empty() && options->adapters.empty())
      throw CLI::RequiredError("--trained or --adapter");
    merge(*options);
  });
}

}  // namespace embedpool::program
