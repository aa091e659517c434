#pragma once
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>

#include "embedpool/io/atomic_file.hpp"
#include "embedpool/io/embedder_config.hpp"
#include "embedpool/io/sentence_transformers.hpp"

namespace embedpool::io {

/// What keeps a sentence-transformers model from giving these embeddings, in words; empty when nothing does. Its texts
/// are a prompt and a text, inside the ids that the model's own tokenizer puts around them (`prepended`, `appended`); its
/// mask is the one that the model's configuration asks for (`own`); its poolings read the last layer.
inline std::string sentence_transformers_obstacle(const EmbedderConfig& config, const AnyMask& own,
                                                  const std::vector<TokenId>& prepended,
                                                  const std::vector<TokenId>& appended) {
  const auto& readers = config.tokens.readers;
  if (config.mask.to_string() != own.to_string())
    return "the mask " + config.mask.to_string() + " of a model whose own is " + own.to_string();
  if (config.layers != "last") return "the layers " + config.layers;
  const bool known = readers.size() == 1 && readers[0].skip_first == 0 &&
                     (readers[0].view == TokenView::whole || readers[0].view == TokenView::after_prompt) &&
                     std::any_of(std::begin(detail::sentence_transformers_modes),
                                 std::end(detail::sentence_transformers_modes),
                                 [&](const auto& mode) { return mode.kind == readers[0].kind; });
  // Behind a prompt, sentence-transformers goes on with the weights that the prompt began.
  const bool counts_alike =
      readers.size() != 1 || readers[0].kind != TokenKind::weighted_mean || readers[0].view == TokenView::whole;
  if (!known || !counts_alike) return "the pooling " + config.tokens.to_string();
  const auto* mean = std::get_if<LayerMean>(&config.head.variant());  // of one key: that key
  if (!std::holds_alternative<Identity>(config.head.variant()) && (mean == nullptr || mean->normalise_keys)) return "the head " + std::string(config.head.name());
  if (config.calibration) return "the calibration";
  if (config.finishing.dimensions != 0) return "the number of dimensions";
  const PromptTemplate& prompt = config.layout.prompt;
  if (prompt.copies() != 1 || !prompt.pieces()[1].empty()) return "the template " + prompt.to_string();
  if (config.layout.prepended != prepended || config.layout.appended != appended)
    return "ids around a text that the tokenizer does not put there";
  return {};
}

/// Writes modules.json and what its modules read, into a model's folder: Transformer, Pooling, and Normalize where
/// vectors are; the template's words as default prompt, those of tasks by name.
///
/// Requires  sentence_transformers_obstacle is empty
/// Errors    FileError with the system's reason
inline void write_sentence_transformers(const EmbedderConfig& config, const std::filesystem::path& folder) {
  const auto write = [&](const std::filesystem::path& name, const Json& json) {
    AtomicFile file(folder / name);
    file.write(json.dump(2) + "\n");
    file.commit();
  };
  const auto module = [](int number, const std::string& kind, const std::string& path) {
    return Json{{"idx", number}, {"name", std::to_string(number)}, {"path", path},
                {"type", "sentence_transformers.models." + kind}};
  };
  Json pooling = {{"word_embedding_dimension", config.model.width}, 
                  {"include_prompt", config.tokens.readers[0].view == TokenView::whole}};
  for (const auto& mode : detail::sentence_transformers_modes)
    pooling[mode.flag] = mode.kind == config.tokens.readers[0].kind;
  Json modules = Json::array({module(0, "Transformer", ""), module(1, "Pooling", "1_Pooling")});
  if (config.finishing.normalize) modules.push_back(module(2, "Normalize", "2_Normalize"));

  for (const char* name : {"1_Pooling", "2_Normalize"}) {
    std::error_code problem;
    std::filesystem::create_directories(folder / name, problem);
    if (problem) throw FileError((folder / name).string(), "create folder", problem.message());
  }
  write("1_Pooling/config.json", pooling);
  Json transformer = {{"do_lower_case", false}};
  if (config.layout.max_tokens > 0) transformer["max_seq_length"] = config.layout.max_tokens;
  write("sentence_bert_config.json", transformer);
  const std::string words = config.layout.prompt.pieces()[0];
  Json prompts = Json::object();
  for (const auto& [task, instruction] : config.prompts) prompts[task] = instruction + words;
  Json settings = {{"similarity_fn_name", "cosine"}, {"default_prompt_name", nullptr}};
  if (!words.empty()) {
    std::string name = "default";
    while (prompts.contains(name)) name += "_";
    prompts[name] = words;
    settings["default_prompt_name"] = name;
  }
  settings["prompts"] = prompts;
  write("config_sentence_transformers.json", settings);
  write("modules.json", modules);
}

}  // namespace embedpool::io
