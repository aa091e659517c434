#include "embedpool/io/tokenizer/tokenizer.hpp"
#include "settings.hpp"

namespace embedpool::program {

std::string spelled(const std::vector<TokenId>& ids, const Model& model) {
  std::string text;
  for (const TokenId id : ids) {
    if (!text.empty()) text += ", ";
    const bool known = model.tokenizer_problem().empty() && model.tokenizer().is_token(id);
    text += known ? std::string(model.tokenizer().token(id)) + " (" + std::to_string(id) + ")" : std::to_string(id);
  }
  return text.empty() ? "nothing" : text;
}

std::string describe(const io::EmbedderConfig& config, const Model& model) {
  std::string text;
  const auto line = [&](std::string name, const std::string& value) {
    name.resize(14, ' ');
    text += "  " + name + value + "\n";
  };
  const Index window = model.decoder().trained_window();
  const bool windowed = std::holds_alternative<Causal>(config.mask.choice) && window > 0;
  line("mask", config.mask.to_string() + (windowed ? ", in the model's window of " + std::to_string(window) : ""));
  line("pooling", config.tokens.to_string());
  line("layers", config.layers == "last" ? "last (" + std::to_string(config.model.layers) + ", after the final norm)"
                 : config.layers == "all" ? "all (1.." + std::to_string(config.model.layers) + ")"
                                          : config.layers);
  line("head", std::string(config.head.name()));
  line("calibration", config.calibration ? "from " + std::to_string(config.calibration->texts) + " texts" : "none");
  line("adapter", config.adapter ? "LoRA, merged into the weights" : "none");
  line("template", config.layout.prompt.to_string());
  line("prepended", spelled(config.layout.prepended, model));
  line("appended", spelled(config.layout.appended, model));
  for (const auto& [task, prompt] : config.prompts) line("task " + task, prompt);
  line("max tokens", config.layout.max_tokens > 0 ? std::to_string(config.layout.max_tokens) : "any number");
  const Index width = config.head.output_width(config.model.width);
  line("dimensions", std::to_string(config.finishing.dimensions > 0 ? config.finishing.dimensions : width) + " of " +
                         std::to_string(width));
  line("normalized", config.finishing.normalize ? "to length 1" : "no");
  return text;
}

}  // namespace embedpool::program
