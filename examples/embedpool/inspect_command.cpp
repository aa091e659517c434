#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <memory>
#include <numbers>

#include "command.hpp"
#include "embedding_options.hpp"
#include "embedpool/io/tokenizer/tokenizer_description.hpp"
#include "settings.hpp"

namespace embedpool::program {
namespace {

struct InspectOptions : EmbeddingOptions {
  std::vector<std::string> folders{};
  bool json = false;
};

io::Json tensors_json(const Model& model) {
  const Model::Tensors tensors = model.tensors();
  io::Json formats = io::Json::object();
  for (const auto& [format, count] : tensors.formats) formats[format] = count;
  return {{"count", tensors.count}, {"values", tensors.values}, {"bytes", tensors.bytes}, {"formats", formats}};
}

io::Json rotary_json(const DecoderConfig& config) {
  // The longest wave tells base and scaling together, whatever file they came from.
  const double slowest = config.inverse_frequencies.back();
  return {{"style", config.rotary_style == RotaryStyle::halves ? "halves" : "interleaved"},
          {"dimensions", config.head_dim},
          {"longest_wave_tokens", slowest > 0 ? io::Json(std::round(2 * std::numbers::pi / slowest)) : io::Json()},
          {"amplitude", config.rotary_amplitude}};
}

io::Json architecture_json(const DecoderConfig& config) {
  io::Json json = {{"name", config.architecture},
                   {"layers", config.layers},
                   {"width", config.width},
                   {"heads", config.heads},
                   {"kv_heads", config.kv_heads},
                   {"head_dim", config.head_dim},
                   {"feed_forward_width", config.feed_forward_width},
                   {"vocabulary", config.vocabulary},
                   {"context_length", config.context_length},
                   {"norm_epsilon", config.norm_epsilon},
                   {"tied_embeddings", config.tied_embeddings},
                   {"query_key_value_bias", config.query_key_value_bias},
                   {"query_key_norm", config.query_key_norm},
                   {"sliding_window", config.sliding_window},
                   {"rotary", rotary_json(config)}};
  if (config.experts > 0) json["experts"] = {{"count", config.experts}, {"per_token", config.experts_per_token}};
  return json;
}

io::Json named_ids(const std::vector<TokenId>& ids, const Model& model) {
  return {{"ids", ids}, {"spelled", spelled(ids, model)}};
}

io::Json tokenizer_json(const Model& model) {
  if (const std::string problem = model.tokenizer_problem(); !problem.empty()) return {{"problem", problem}};
  io::Json json = io::Json::object();
  for (const auto& [name, value] : io::description_of(model.tokenizer())) json[name] = value;
  return json;
}

io::Json saved_pooling_json(const Model& model) {
  const io::SavedPooling& own = model.saved_pooling();
  io::Json json = io::Json::object();
  if (own.tokens) json["pooling"] = own.tokens->to_string();
  if (own.concatenated) json["concatenated"] = true;
  if (own.normalized) json["normalized"] = *own.normalized;
  if (own.max_tokens) json["max_tokens"] = *own.max_tokens;
  if (own.dimensions > 0) json["dimensions"] = own.dimensions;
  if (!own.unsupported.empty()) json["unsupported"] = own.unsupported;
  if (!own.source.empty()) json["source"] = own.source;
  return json;
}

/// The settings in effect, or why there are none: a model whose saved configuration cannot be followed is still shown.
io::Json settings_json(const EmbeddingOptions& options, const Model& model) {
  try {
    const Settings settings = resolve(options, model);
    io::Json json = io::to_json(settings.config);
    json.erase("embedpool_embedder");
    json.erase("model");
    json["pooling_source"] = settings.pooling_source;
    return json;
  } catch (const Error& error) {
    return {{"problem", error.what()}};
  }
}

void print_architecture(const DecoderConfig& c) {
  std::printf("architecture  %s: %td layers, width %td, %td heads of %td (%td for keys and values), feed-forward %td\n",
              c.architecture.c_str(), c.layers, c.width, c.heads, c.head_dim, c.kv_heads, c.feed_forward_width);
  if (c.experts > 0) std::printf("              %td experts, %td of them for a token\n", c.experts, c.experts_per_token);
  std::printf("              vocabulary %td%s, context %s tokens\n", c.vocabulary,
              c.tied_embeddings ? ", embeddings tied" : "",
              c.context_length > 0 ? std::to_string(c.context_length).c_str() : "of unknown length,");
  if (c.query_key_value_bias || c.query_key_norm)
    std::printf("              %s%s%s\n", c.query_key_value_bias ? "biases on q, k and v" : "",
                c.query_key_value_bias && c.query_key_norm ? ", " : "", c.query_key_norm ? "RMSNorm of q and k" : "");
  std::printf("window        %s\n", c.sliding_window > 0
                                         ? ("causal, 0 <= i - j < " + std::to_string(c.sliding_window)).c_str()
                                         : "none");
  const io::Json rotary = rotary_json(c);
  std::printf("rotary        %s, %td dimensions, longest wave %s tokens\n", rotary["style"].get<std::string>().c_str(),
              c.head_dim, rotary["longest_wave_tokens"].dump().c_str());
}

void print_tensors(const Model& model) {
  const Model::Tensors tensors = model.tensors();
  std::printf("tensors       %td, %.1f M values in %.1f MB:", tensors.count, static_cast<double>(tensors.values) / 1e6,
              static_cast<double>(tensors.bytes) / 1e6);
  for (const auto& [format, count] : tensors.formats) std::printf(" %s %td", format.c_str(), count);
  std::printf("\n");
}

void print_tokenizer(const Model& model) {
  if (const std::string problem = model.tokenizer_problem(); !problem.empty()) {
    std::printf("tokenizer     none that can be used: %s\n", problem.c_str());
    return;
  }
  std::printf("tokenizer\n");
  for (const auto& [name, value] : io::description_of(model.tokenizer()))
    std::printf("  %-20s %s\n", name.c_str(), value.c_str());
}

void print_saved_pooling(const Model& model) {
  const io::SavedPooling& own = model.saved_pooling();
  std::printf("saved pooling %s", own.tokens ? own.tokens->to_string().c_str() : "none");
  if (own.concatenated) std::printf(", side by side");
  if (own.normalized) std::printf(", %s", *own.normalized ? "normalized" : "not normalized");
  if (own.max_tokens) std::printf(", at most %td tokens", *own.max_tokens);
  if (own.dimensions > 0) std::printf(", the first %td dimensions", own.dimensions);
  if (!own.unsupported.empty()) std::printf(", and %s, which is not supported", own.unsupported.c_str());
  if (!own.source.empty()) std::printf(" (%s)", own.source.c_str());
  std::printf("\n");
}

void print_settings(const EmbeddingOptions& options, const Model& model) {
  try {
    const Settings settings = resolve(options, model);
    std::printf("embedpool embed would use (pooling: %s)\n%s", settings.pooling_source.c_str(),
                describe(settings.config, model).c_str());
  } catch (const Error& error) {
    std::printf("embedpool embed would refuse: %s\n", error.what());
  }
}

void inspect(const InspectOptions& options) {
  const Model model(options.model);
  if (options.json) {
    io::Json json = {{"path", options.model},
                     {"file", model.is_gguf() ? "GGUF" : "safetensors"},
                     {"architecture", architecture_json(model.decoder().config())},
                     {"tensors", tensors_json(model)},
                     {"tokenizer", tokenizer_json(model)},
                     {"prepended", named_ids(model.prepended(), model)},
                     {"appended", named_ids(model.appended(), model)},
                     {"saved_pooling", saved_pooling_json(model)},
                     {"settings", settings_json(options, model)}};
    for (const std::string& folder : options.folders)
      json["folders"][folder] = io::to_json(io::SavedEmbedder::read(folder).config);
    std::printf("%s\n", io::json_text(json, 2).c_str());
    return;
  }
  std::printf("model         %s (%s)\n", options.model.c_str(), model.is_gguf() ? "GGUF" : "safetensors");
  print_architecture(model.decoder().config());
  print_tensors(model);
  print_tokenizer(model);
  print_saved_pooling(model);
  print_settings(options, model);
  for (const std::string& folder : options.folders) {
    const io::SavedEmbedder saved = io::SavedEmbedder::read(folder);
    const bool fits = saved.config.model == model.facts();
    std::printf("%s%s\n%s", folder.c_str(), fits ? "" : " (of another model)", describe(saved.config, model).c_str());
  }
}

}  // namespace

void add_inspect_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "inspect", "what a model is, what stands around its texts, and which pooling its own files ask for");
  const auto options = std::make_shared<InspectOptions>();
  add_model_option(*command, *options);
  command
      ->add_option("--trained,--head,--calibration", options->folders,
                   "saved folders to describe as well: of `embedpool train` or `embedpool calibrate`; the flag may be given several times")
      ->type_name("DIR")->allow_extra_args(false);
  command->add_flag("--json", options->json, "as one JSON object");
  command->footer("Example:\n  embedpool inspect --model m.gguf");
  command->callback([options] { inspect(*options); });
}

}  // namespace embedpool::program
