#include "model.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

#include "embedpool/io/load_decoder.hpp"
#include "embedpool/io/safetensors_model.hpp"
#include "embedpool/io/tokenizer/tokenizer.hpp"
#include "digest.hpp"

namespace embedpool::program {

Model::Model(const std::string& path) : path_(path) {
  std::error_code problem;
  if (std::filesystem::is_directory(path, problem)) {
    decoder_.emplace(io::load_decoder<float>(std::filesystem::path(path)));
    saved_pooling_ = io::sentence_transformers_pooling(path);
  } else {
    gguf_.emplace(io::GgufFile::open(path));
    decoder_.emplace(io::load_decoder<float>(*gguf_));
    saved_pooling_ = io::gguf_pooling(*gguf_);
  }
}

Model::~Model() = default;

std::string Model::digest() const {
  if (!digest_.empty()) return digest_;
  std::vector<std::filesystem::path> files;
  if (is_gguf()) files.emplace_back(path_);
  else
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      if (const auto kind = entry.path().extension(); kind == ".safetensors" || kind == ".json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  Digest digest;
  for (const auto& file : files) digest.add(io::MappedFile::open(file)->bytes());
  return digest_ = digest.text();
}

std::vector<std::string> Model::merged_adapters() const {
  if (is_gguf()) return {};
  const io::Json config = io::read_json(std::filesystem::path(path_) / "config.json");
  std::vector<std::string> merged;
  for (const io::Json& digest : config.value(merged_adapters_key, io::Json::array()))
    if (digest.is_string()) merged.push_back(digest.get<std::string>());
  return merged;
}

io::ModelFacts Model::facts() const {
  const DecoderConfig& config = decoder_->config();
  return {config.architecture, config.layers, config.width, config.vocabulary};
}

bool Model::has_tokenizer() const {
  if (gguf_) return gguf_->has("tokenizer.ggml.model");
  std::error_code problem;
  return std::filesystem::exists(std::filesystem::path(path_) / "tokenizer.json", problem);
}

const io::Tokenizer& Model::tokenizer() const {
  if (tokenizer_) return *tokenizer_;
  if (!has_tokenizer())
    throw FileError(path_, gguf_ ? "tokenizer.ggml.model" : "tokenizer.json",
                    "missing: the model has no tokenizer, so texts must come as JSON lines with \"tokens\"");
  auto tokenizer = std::make_unique<io::Tokenizer>(gguf_ ? io::Tokenizer::from_gguf(*gguf_)
                                                         : io::Tokenizer::from_directory(path_));
  const Index vocabulary = decoder_->config().vocabulary;
  if (tokenizer->size() > vocabulary)
    throw FileError(tokenizer->file(), "", "the tokenizer has ids up to " + std::to_string(tokenizer->size() - 1) +
                                               ", the model's embedding table has " + std::to_string(vocabulary) +
                                               " rows");
  tokenizer_ = std::move(tokenizer);
  return *tokenizer_;
}

std::string Model::tokenizer_problem() const {
  try {
    tokenizer();
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

// A tokenizer that cannot be used is reported when a text needs it; ids need none.
std::vector<TokenId> Model::prepended() const {
  return tokenizer_problem().empty() ? tokenizer().prefix_ids() : std::vector<TokenId>{};
}

std::vector<TokenId> Model::appended() const {
  return tokenizer_problem().empty() ? tokenizer().suffix_ids() : std::vector<TokenId>{};
}

std::vector<TokenId> Model::end_ids() const {
  if (tokenizer_problem().empty() && tokenizer().eos()) return {*tokenizer().eos()};
  return named_id("tokenizer.ggml.eos_token_id", "eos_token_id");
}

std::vector<TokenId> Model::begin_ids() const {
  if (tokenizer_problem().empty() && tokenizer().bos()) return {*tokenizer().bos()};
  return named_id("tokenizer.ggml.bos_token_id", "bos_token_id");
}

std::vector<TokenId> Model::named_id(const std::string& gguf_key, const std::string& config_key) const {
  const Index last = decoder_->config().vocabulary - 1;
  if (gguf_) return {static_cast<TokenId>(gguf_->integer(gguf_key, 0, last))};
  const std::filesystem::path path = std::filesystem::path(path_) / "config.json";
  const io::Json json = io::read_json(path);
  const io::JsonObject config(json, path.string());
  // Chat models list several ends of text; the first is the model's own.
  const io::Json& value = config.at(config_key);
  if (value.is_array() && !value.empty() && value[0].is_number_integer() && value[0].get<Index>() >= 0 &&
      value[0].get<Index>() <= last)
    return {value[0].get<TokenId>()};
  return {static_cast<TokenId>(config.integer(config_key, 0, last))};
}

Model::Tensors Model::tensors() const {
  Tensors result;
  std::map<std::string, Index> counts;
  const auto add = [&](const std::map<std::string, io::Tensor>& tensors) {
    for (const auto& [name, tensor] : tensors) {
      ++counts[tensor.type];
      ++result.count;
      result.values += tensor.size();
      result.bytes += static_cast<Index>(tensor.data.size());
    }
  };
  if (gguf_)
    add(gguf_->tensors());
  else
    add(io::SafetensorsModel::open(path_).tensors());
  result.formats.assign(counts.begin(), counts.end());
  return result;
}

}  // namespace embedpool::program
