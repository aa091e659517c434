#pragma once
// Running the built program, and small models for it to run on.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "embedpool/core/matrix.hpp"
#include "embedpool/io/safetensors_writer.hpp"

namespace embedpool::test {

/// A folder that lives as long as the test.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "embedpool-test-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

  std::string write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return (path_ / name).string();
  }
  /// Names of everything in the folder, so that half-written files are seen.
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

struct Outcome {
  int status;
  std::string output, error;
};

/// One argument for the shell, whatever it holds.
inline std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

/// Runs `embedpool ARGUMENTS`, `input` on its standard input.
inline Outcome run(const std::vector<std::string>& arguments, const std::string& input = "") {
  const char* program = std::getenv("EMBEDPOOL_PROGRAM");
  REQUIRE_MESSAGE(program != nullptr, "EMBEDPOOL_PROGRAM must name the program under test");
  const Folder folder;
  std::string command = quoted(program);
  for (const std::string& argument : arguments) command += " " + quoted(argument);
  command += " <" + quoted(folder.write("in", input)) + " >" + quoted((folder / "out").string()) + " 2>" +
             quoted((folder / "err").string());
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(folder / "out"), read_file(folder / "err")};
}

/// The embeddings of JSON lines, in order; index and count are checked.
inline std::vector<std::vector<float>> embeddings(const std::string& jsonl) {
  std::vector<std::vector<float>> rows;
  std::istringstream lines(jsonl);
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    CHECK(json.at("index").get<std::size_t>() == rows.size());
    rows.push_back(json.at("embedding").get<std::vector<float>>());
  }
  return rows;
}

/// The rows of a float32 .npy file of version 1.0, its header checked.
inline Matrix<float> read_npy(const std::filesystem::path& path) {
  const std::string content = read_file(path);
  REQUIRE(content.size() >= 10);
  REQUIRE(content.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
  const std::size_t header =
      static_cast<unsigned char>(content[8]) + 256u * static_cast<unsigned char>(content[9]);
  const std::string text = content.substr(10, header);
  CHECK((10 + header) % 64 == 0);
  CHECK(text.find("'descr': '<f4'") != std::string::npos);
  CHECK(text.find("'fortran_order': False") != std::string::npos);
  long rows = 0, cols = 0;
  REQUIRE(std::sscanf(text.c_str() + text.find("'shape': (") + 10, "%ld, %ld", &rows, &cols) == 2);
  REQUIRE(content.size() == 10 + header + static_cast<std::size_t>(rows * cols) * sizeof(float));
  Matrix<float> values(rows, cols);
  std::memcpy(values.data(), content.data() + 10 + header, static_cast<std::size_t>(rows * cols) * sizeof(float));
  return values;
}

/// Sizes of a random Llama; small enough that a forward pass takes no time.
struct LlamaSizes {
  Index width = 16, layers = 2, heads = 2, kv_heads = 1, feed_forward = 24, vocabulary = 480, context = 64;
};

/// Writes config.json and model.safetensors of a Llama with random weights.
inline void write_llama(const std::filesystem::path& folder, const LlamaSizes& sizes, unsigned seed = 1) {
  std::filesystem::create_directories(folder);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.2f);
  io::SafetensorsWriter writer;
  const auto matrix = [&](const std::string& name, Index rows, Index cols) {
    Matrix<float> values(rows, cols);
    for (Index i = 0; i < values.size(); ++i) values.data()[i] = normal(random);
    writer.add(name, values);
  };
  const auto gain = [&](const std::string& name) { writer.add(name, Matrix<float>(Matrix<float>::Ones(1, sizes.width)), true); };
  const Index head_dim = sizes.width / sizes.heads;
  matrix("model.embed_tokens.weight", sizes.vocabulary, sizes.width);
  for (Index layer = 0; layer < sizes.layers; ++layer) {
    const std::string at = "model.layers." + std::to_string(layer) + ".";
    gain(at + "input_layernorm.weight");
    gain(at + "post_attention_layernorm.weight");
    matrix(at + "self_attn.q_proj.weight", sizes.width, sizes.width);
    matrix(at + "self_attn.k_proj.weight", sizes.kv_heads * head_dim, sizes.width);
    matrix(at + "self_attn.v_proj.weight", sizes.kv_heads * head_dim, sizes.width);
    matrix(at + "self_attn.o_proj.weight", sizes.width, sizes.width);
    matrix(at + "mlp.gate_proj.weight", sizes.feed_forward, sizes.width);
    matrix(at + "mlp.up_proj.weight", sizes.feed_forward, sizes.width);
    matrix(at + "mlp.down_proj.weight", sizes.width, sizes.feed_forward);
  }
  gain("model.norm.weight");
  writer.write(folder / "model.safetensors");
  const nlohmann::json config = {{"model_type", "llama"},
                                 {"architectures", {"LlamaForCausalLM"}},
                                 {"hidden_size", sizes.width},
                                 {"num_hidden_layers", sizes.layers},
                                 {"num_attention_heads", sizes.heads},
                                 {"num_key_value_heads", sizes.kv_heads},
                                 {"intermediate_size", sizes.feed_forward},
                                 {"vocab_size", sizes.vocabulary},
                                 {"max_position_embeddings", sizes.context},
                                 {"rms_norm_eps", 1e-5},
                                 {"rope_theta", 10000.0},
                                 {"hidden_act", "silu"},
                                 {"tie_word_embeddings", true},
                                 {"bos_token_id", 1},
                                 {"eos_token_id", 2}};
  std::ofstream(folder / "config.json") << config.dump();
}

/// A byte-level tokenizer of 256 bytes, BOS 256 and EOS 257: every byte is a token, so ids can be counted by eye.
/// With `closing` its own post-processor appends the EOS.
inline void write_byte_tokenizer(const std::filesystem::path& folder, bool closing) {
  nlohmann::json vocabulary = nlohmann::json::object();
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const int point = printable ? byte : next++;
    std::string letter;  // UTF-8 of a code point below U+0800
    if (point < 0x80)
      letter += static_cast<char>(point);
    else
      (letter += static_cast<char>(0xC0 | point >> 6)) += static_cast<char>(0x80 | (point & 0x3F));
    vocabulary[letter] = byte;
  }
  nlohmann::json added = nlohmann::json::array();
  for (const auto& [name, id] : {std::pair{"<s>", 256}, {"</s>", 257}})
    added.push_back({{"id", id}, {"content", name}, {"single_word", false}, {"lstrip", false}, {"rstrip", false},
                     {"normalized", false}, {"special", true}});
  nlohmann::json tokenizer = {
      {"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", added}, {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}}},
      {"post_processor", nullptr},
      {"decoder", {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}}},
      {"model", {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}, {"continuing_subword_prefix", nullptr},
                 {"end_of_word_suffix", nullptr}, {"fuse_unk", false}, {"byte_fallback", false}, {"ignore_merges", false},
                 {"vocab", vocabulary}, {"merges", nlohmann::json::array()}}}};
  if (closing)
    tokenizer["post_processor"] = {
        {"type", "TemplateProcessing"},
        {"single", {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, {{"SpecialToken", {{"id", "</s>"}, {"type_id", 0}}}}}},
        {"pair", {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "B"}, {"type_id", 1}}}}}},
        {"special_tokens", {{"</s>", {{"id", "</s>"}, {"ids", {257}}, {"tokens", {"</s>"}}}}}}};
  std::ofstream(folder / "tokenizer.json") << tokenizer.dump();
  std::ofstream(folder / "tokenizer_config.json") << R"({"bos_token": "<s>", "eos_token": "</s>"})";
}

/// Status 2, nothing on standard output, and one line of the agreed form that holds every part.
inline void check_refused(const Outcome& outcome, const std::vector<std::string>& parts) {
  CAPTURE(outcome.error);
  CHECK(outcome.status == 2);
  CHECK(outcome.output == "");
  CHECK(outcome.error.starts_with("embedpool: error: "));
  CHECK(outcome.error.ends_with("\n"));
  CHECK(std::count(outcome.error.begin(), outcome.error.end(), '\n') == 1);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(outcome.error.find(part) != std::string::npos);
  }
}

}  // namespace embedpool::test
