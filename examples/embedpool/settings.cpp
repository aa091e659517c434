#include "settings.hpp"

#include <algorithm>

#include "embedpool/io/tokenizer/tokenizer.hpp"
#include "saved_folder.hpp"

namespace embedpool::program {
namespace {

/// A flag's text as a pooling: "+" or "," between readers.
AnyTokens parse_pooling(const EmbeddingOptions& options, std::string names) {
  std::replace(names.begin(), names.end(), '+', ',');
  AnyTokens tokens = AnyTokens::parse(names, options.skip_first.value_or(0));
  if (options.exclude_prompt)
    for (TokenChoice& reader : tokens.readers)
      if (reader.view == TokenView::whole) reader.view = TokenView::text;
  return tokens;
}

std::string flagged_layers(const EmbeddingOptions& options, Index layers) {
  if (options.layers) return canonical_layers(AnyLayers::parse(*options.layers), layers);
  const Index layer = *options.layer < 0 ? layers + 1 + *options.layer : *options.layer;
  require_in("--layer", "layer", *options.layer, -layers - 1, layers);
  return canonical_layers({OneLayer{layer}}, layers);
}

/// The model's own configuration and the defaults, before any saved folder or flag.
io::EmbedderConfig own_settings(const EmbeddingOptions& options, const Model& model, std::string& pooling_source) {
  const io::SavedPooling& own = model.saved_pooling();
  const bool asked = options.pooling.has_value() || !options.head.empty() || !options.calibration.empty();
  if (!own.unsupported.empty() && !asked)
    throw FileError(own.source, "", "asks for " + own.unsupported + ", which is not supported; say --pooling");
  io::EmbedderConfig config;
  config.model = model.facts();
  config.mask = own_mask(model);
  config.tokens = own.tokens.value_or(AnyTokens{{{.kind = TokenKind::mean}}});
  pooling_source = own.tokens ? own.source : "the default for models that save no pooling";
  if (own.concatenated && !asked) {
    Concatenate head;
    head.count = config.tokens.slots();
    config.head = head;
  }
  // A saved pooling that leaves vectors as they are is followed; what saves none gets unit vectors.
  config.finishing.normalize = own.normalized.value_or(true);
  if (own.dimensions < config.head.output_width(model.decoder().width())) config.finishing.dimensions = own.dimensions;
  if (own.prompts.default_name) config.layout.prompt = io::PromptTemplate::prompt(own.prompts.default_prompt());
  config.layout.max_tokens = own.max_tokens.value_or(model.decoder().config().context_length);
  return config;
}

/// Checks one flag against a saved folder. `flagged` is what the flag asks for, `saved` what the folder has.
template <class T, class Show>
void settle(const std::string& folder, const std::string& key, const std::string& flag, const T& flagged, T& saved,
            bool is_saved, Show&& show) {
  const bool equal = show(flagged) == show(saved);
  if (is_saved && !equal)
    throw FileError(folder, key, "was made with " + show(saved) + "; " + flag + " asks for " + show(flagged));
  saved = flagged;
}

/// What --append-eos means for this model: the ids that its own configuration appends, else its end-of-text id.
std::vector<TokenId> flagged_ids(bool wanted, std::vector<TokenId> own, const Model& model, bool at_end) {
  if (!wanted) return {};
  if (!own.empty()) return own;
  return at_end ? model.end_ids() : model.begin_ids();
}

[[noreturn]] void unknown_task(const std::string& folder, const std::string& task,
                               const std::map<std::string, std::string>& prompts,
                               const std::map<std::string, std::string>& own) {
  std::string known;
  for (const auto* names : {&prompts, &own})
    for (const auto& [name, prompt] : *names) known += (known.empty() ? "" : ", ") + name;
  throw FileError(folder, "prompts",
                  "has no task '" + task.substr(0, 80) + "'; " + (known.empty() ? "it names none" : "it names " + known));
}

/// What decides the keys: mask, pooling, layers, template, ids in front and behind.
void apply_key_flags(const EmbeddingOptions& options, const Model& model, Settings& settings) {
  io::EmbedderConfig& config = settings.config;
  const std::string folder = saved_folder(options);
  const bool saved = !folder.empty();
  const Index layers = model.decoder().layers();
  const auto same = [](const std::string& text) { return text; };
  if (options.mask)
    settle(folder, "mask", "--mask", AnyMask::parse(*options.mask), config.mask, saved,
           [](const AnyMask& mask) { return mask.to_string(); });
  if (options.pooling || options.skip_first || options.exclude_prompt) {
    // Without --pooling the other two change the pooling that holds anyway.
    std::string names = options.pooling.value_or(config.tokens.to_string());
    settle(folder, "pooling", options.pooling ? "--pooling" : options.skip_first ? "--skip-first" : "--exclude-prompt",
           parse_pooling(options, std::move(names)), config.tokens, saved,
           [](const AnyTokens& tokens) { return tokens.to_string(); });
    if (options.pooling) settings.pooling_source = "--pooling";
  }
  if (options.layer || options.layers)
    settle(folder, "layers", options.layer ? "--layer" : "--layers", flagged_layers(options, layers), config.layers,
           saved, same);
  if (options.prompt || options.text_template)
    settle(folder, "template", options.prompt ? "--prompt" : "--template",
           options.prompt ? io::PromptTemplate::prompt(*options.prompt)
                          : io::PromptTemplate::parse(*options.text_template),
           config.layout.prompt, saved, [](const io::PromptTemplate& prompt) { return "'" + prompt.to_string() + "'"; });
  if (options.append_eos)
    settle(folder, "appended_ids", *options.append_eos ? "--append-eos" : "--no-append-eos",
           flagged_ids(*options.append_eos, model.appended(), model, true), config.layout.appended, saved, ids_text);
  else if (!saved)
    config.layout.appended = model.appended();
  if (options.prepend_bos)
    settle(folder, "prepended_ids", *options.prepend_bos ? "--prepend-bos" : "--no-prepend-bos",
           flagged_ids(*options.prepend_bos, model.prepended(), model, false), config.layout.prepended, saved, ids_text);
  else if (!saved)
    config.layout.prepended = model.prepended();
  settings.append_to_tokens = options.append_eos.value_or(false);
}

void apply_instructions(const EmbeddingOptions& options, const Model& model, io::EmbedderConfig& config) {
  const std::string folder = saved_folder(options);
  const bool saved = !folder.empty();
  for (const auto& [task, text] : parse_instructions(options.instructions)) {
    const auto [known, is_new] = config.prompts.try_emplace(task, text);
    settle(folder, "prompts", "--instruction " + task, text, known->second, saved && !is_new,
           [](const std::string& prompt) { return "'" + prompt + "'"; });
  }
  if (!options.task) return;
  if (const auto prompt = config.prompts.find(*options.task); prompt != config.prompts.end()) {
    config.layout.prompt = config.layout.prompt.behind(prompt->second);
    return;
  }
  // A prompt that the model's own files name stands in place of their default, not in front of it.
  const bool own_words = !saved && !options.prompt && !options.text_template;
  const auto named = own_words ? model.saved_pooling().prompts.by_name : std::map<std::string, std::string>{};
  const auto prompt = named.find(*options.task);
  if (prompt == named.end()) unknown_task(saved ? folder : model.path(), *options.task, config.prompts, named);
  config.layout.prompt = io::PromptTemplate::prompt(prompt->second);
}

}  // namespace

// A window that was made for the causal mask holds to both sides without it, |i - j| <= W, as transformers has it.
AnyMask own_mask(const Model& model) {
  const Index window = model.decoder().trained_window();
  if (!model.decoder().config().bidirectional) return {};
  return window > 0 ? AnyMask{BidirectionalWindow{window}} : AnyMask{Bidirectional{}};
}

std::map<std::string, std::string> parse_instructions(const std::vector<std::string>& flags) {
  std::map<std::string, std::string> instructions;
  for (const std::string& flag : flags) {
    const std::size_t mark = flag.find('=');
    if (mark == std::string::npos || mark == 0) throw ShapeError("--instruction " + flag + ": must be TASK=TEXT");
    const std::string task = flag.substr(0, mark);
    if (!instructions.try_emplace(task, flag.substr(mark + 1)).second)
      throw ShapeError("--instruction " + flag + ": '" + task + "' has one already");
  }
  return instructions;
}

Settings resolve(const EmbeddingOptions& options, const Model& model) {
  Settings settings;
  io::EmbedderConfig& config = settings.config;
  config = own_settings(options, model, settings.pooling_source);
  if (!saved_folder(options).empty()) take_saved(options, model, settings);
  apply_key_flags(options, model, settings);
  apply_instructions(options, model, config);

  // The last steps do not change what keys mean, so flags simply hold.
  if (options.max_tokens) config.layout.max_tokens = *options.max_tokens;
  if (options.normalize) config.finishing.normalize = *options.normalize;
  if (options.dimensions) config.finishing.dimensions = *options.dimensions;

  Reading& reading = settings.reading;
  reading.layers = AnyLayers::parse(config.layers);
  reading.tokens = config.tokens;
  reading.head = config.head;
  reading.finishing = config.finishing;
  if (saved_folder(options).empty()) reading.params = config.head.init<float>(model.decoder().width(), reading.slots(model.decoder().layers()));
  const Index width = config.head.output_width(model.decoder().width());
  require_in("--dimensions", "dimensions", config.finishing.dimensions, 0, width);
  return settings;
}

Decoder<float> decoder_of(const Settings& settings, const Model& model) {
  return settings.adapter ? merged(model.decoder(), *settings.adapter) : model.decoder();
}

TextEncoding text_encoding(const EmbeddingOptions& options, const Settings& settings, const Model& model) {
  TextEncoding encoding;
  encoding.layout = settings.config.layout;
  encoding.tokens_layout.max_tokens = settings.config.layout.max_tokens;
  if (settings.append_to_tokens) encoding.tokens_layout.appended = settings.config.layout.appended;
  encoding.encode = [&model](const std::string& text) { return model.tokenizer().encode(text); };
  encoding.batch_tokens = options.batch_tokens;
  encoding.strict = options.strict;
  return encoding;
}

}  // namespace embedpool::program
