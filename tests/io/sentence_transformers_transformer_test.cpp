#include "embedpool/io/sentence_transformers_transformer.hpp"

#include <doctest/doctest.h>

#include "embedpool/io/saved_pooling.hpp"
#include "io/temporary_folder.hpp"

using namespace embedpool;
using io::Json;

namespace {

/// What a folder with these settings of its Transformer says; files that are empty are not there.
io::SentenceTransformersTransformer read(const std::string& settings, const std::string& tokenizer = "",
                                         const std::string& model = "") {
  const test::TemporaryFolder folder;
  if (!settings.empty()) folder.write("sentence_bert_config.json", settings);
  if (!tokenizer.empty()) folder.write("tokenizer_config.json", tokenizer);
  if (!model.empty()) folder.write("config.json", model);
  return io::sentence_transformers_transformer(folder / "");
}

/// The saved pooling of a folder with these modules, each in a folder named after its place and configured so.
io::SavedPooling saved(const std::vector<std::pair<std::string, std::string>>& modules) {
  const test::TemporaryFolder folder;
  Json list = Json::array();
  for (const auto& [kind, config] : modules) {
    const std::string path = std::to_string(list.size());
    if (!config.empty()) folder.write(path + "/config.json", config);
    list.push_back({{"path", path}, {"type", "sentence_transformers.models." + kind}});
  }
  folder.write("modules.json", list.dump());
  return io::sentence_transformers_pooling(folder / "");
}

}  // namespace

TEST_CASE("the longest text is that of the module, else of its tokenizer within the model's positions") {
  const std::string tokenizer = R"({"model_max_length": 50})";
  const std::string endless = R"({"model_max_length": 1000000000000000019884624838656})";
  const std::string model = R"({"max_position_embeddings": 64})";
  CHECK(read(R"({"max_seq_length": 100})", tokenizer, model).max_tokens == 100);
  CHECK(read("{}", tokenizer, model).max_tokens == 50);  // where newer versions keep it
  CHECK(read("", tokenizer, model).max_tokens == 50);
  CHECK(read("{}", R"({"model_max_length": 90})", model).max_tokens == 64);
  CHECK(read("{}", endless, model).max_tokens == 64);
  CHECK_FALSE(read("{}", endless).max_tokens);
  CHECK_FALSE(read("{}").max_tokens);
  CHECK(read(R"({"max_seq_length": 100, "tokenizer_args": {"model_max_length": 30}})", tokenizer, model).max_tokens == 30);
  CHECK(read(R"({"max_seq_length": 100, "processing_kwargs": {"text": {"max_length": 20}}})").max_tokens == 20);
  CHECK_THROWS_WITH_AS(read("{}", R"({"model_max_length": 0})"), doctest::Contains("model_max_length: must be"), FileError);
}

TEST_CASE("settings that change what the model is given or gives are named, others are passed over") {
  const auto unsupported = [](const std::string& settings) { return read(settings).unsupported; };
  CHECK(unsupported(R"({"transformer_task": "feature-extraction", "module_output_name": "token_embeddings", "unpad_inputs": true,
                        "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
                        "processing_kwargs": {"text": {"max_length": 20, "truncation": true, "padding": true}},
                        "model_args": {"torch_dtype": "bfloat16"}, "config_kwargs": {"use_cache": false},
                        "tokenizer_args": {"padding_side": "left"}})") == "");
  for (const auto& [settings, culprit] : std::initializer_list<std::pair<std::string, std::string>>{
           {R"({"modality_config": {"message": {}}})", "chat template"},
           {R"({"modality_config": {"text": {"method": "forward", "method_output_name": "logits"}}})", "modality_config.text"},
           {R"({"transformer_task": "text-generation"})", "transformer_task"},
           {R"({"module_output_name": "sentence_embedding"})", "module_output_name"},
           {R"({"config_args": {"is_causal": false}})", "config_args.is_causal"},
           {R"({"model_kwargs": {"quantization_config": {}}})", "model_kwargs.quantization_config"},
           {R"({"processor_kwargs": {"add_eos_token": true}})", "processor_kwargs.add_eos_token"},
           {R"({"processing_kwargs": {"common": {}}})", "processing_kwargs.common"},
           {R"({"processing_kwargs": {"text": {"add_special_tokens": false}}})", "text.add_special_tokens"}}) {
    const std::string said = unsupported(settings);
    CAPTURE(said);
    CHECK(said.find(culprit) != std::string::npos);
    CHECK(said.find("sentence_bert_config.json") != std::string::npos);
  }
}

TEST_CASE("vectors are normalised where a module of embeddings does it, behind the pooling") {
  CHECK(saved({{"Transformer", ""}, {"Pooling", "{}"}, {"Normalize", ""}}).normalized == true);
  const std::string embeddings = R"({"module_input_name": "sentence_embedding"})";
  CHECK(saved({{"Transformer", ""}, {"Pooling", "{}"}, {"Normalize", embeddings}}).normalized == true);
  const io::SavedPooling before = saved({{"Transformer", ""}, {"Normalize", ""}, {"Pooling", "{}"}});
  CHECK(before.normalized == false);
  CHECK(before.unsupported == "");
  for (const std::string config : {R"({"module_input_name": "token_embeddings"})", R"({"module_output_name": "unit"})"})
    CHECK(saved({{"Normalize", config}, {"Pooling", "{}"}}).unsupported.find("Normalize") != std::string::npos);
}

TEST_CASE("a model without pooling, and weights that go on behind a prompt, are named as what cannot be followed") {
  CHECK(saved({{"Transformer", ""}}).unsupported.find("Pooling") != std::string::npos);
  CHECK(saved({{"Transformer", ""}, {"Pooling", R"({"pooling_mode": "weightedmean"})"}}).unsupported == "");
  CHECK(saved({{"Transformer", ""}, {"Pooling", R"({"pooling_mode": ["mean", "weightedmean"], "include_prompt": false})"}})
            .unsupported.find("weightedmean") != std::string::npos);
}
