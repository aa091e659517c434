#include "embedpool/io/json.hpp"
#include "model/golden_support.hpp"
#include "program/program.hpp"

using namespace embedpool;
using namespace embedpool::test;

namespace {

std::string token_lines(const Batch& batch) {
  std::string lines;
  for (Index b = 0; b < batch.segments().size(); ++b) {
    const auto ids = batch.ids().subspan(static_cast<std::size_t>(batch.segments().offset(b)),
                                         static_cast<std::size_t>(batch.segments().shape(b).tokens));
    lines += io::Json{{"tokens", std::vector<TokenId>(ids.begin(), ids.end())}}.dump() + "\n";
  }
  return lines;
}

/// The flag for a mask by the golden files' name, for a model trained with window W (0: none).
std::string flag_of(const std::string& mask, Index window) {
  const std::string w = std::to_string(window);
  if (mask == "causal_nowindow") return "window:1000000";
  if (mask == "causal_window_le") return "window-inclusive:" + w;
  if (mask == "bidirectional_window_le") return "bidirectional-window:" + w;
  if (mask == "bidirectional_window_lt") return "bidirectional-window-exclusive:" + w;
  return mask;
}

/// What last-token and mean pooling of golden states give.
Matrix<double> pooled(const Matrix<double>& states, const Segments& segments, const std::string& pooling) {
  Matrix<double> result(segments.size(), states.cols());
  for (Index b = 0; b < segments.size(); ++b) {
    const auto rows = states.middleRows(segments.offset(b), segments.shape(b).tokens);
    if (pooling == "last")
      result.row(b) = rows.row(rows.rows() - 1);
    else
      result.row(b) = rows.colwise().mean();
  }
  return result;
}

void check_model(const std::string& model, const io::SafetensorsFile& cases) {
  CAPTURE(model);
  const Folder folder;
  const Batch batch = batch_of(cases);
  const std::string input = folder.write("texts.jsonl", token_lines(batch));
  const Outcome inspected = run({"inspect", "--model", model, "--json"});
  REQUIRE_MESSAGE(inspected.status == 0, inspected.error);
  const auto facts = nlohmann::json::parse(inspected.output);
  const Index layers = facts.at("architecture").at("layers").get<Index>();
  const Index window = facts.at("architecture").at("sliding_window").get<Index>();
  int compared = 0;
  for (const std::string& mask : masks_of(cases))
    for (const Index layer : {Index(1), layers}) {
      const io::Tensor* tensor = cases.find(mask + ".hidden." + std::to_string(layer));
      if (tensor == nullptr) continue;
      const Matrix<double> states = matrix<double>(*tensor);
      for (const std::string pooling : {"last", "mean"}) {
        CAPTURE(mask);
        CAPTURE(layer);
        CAPTURE(pooling);
        const Outcome outcome =
            run({"embed", "--model", model, "--mask", flag_of(mask, window), "--layer", std::to_string(layer), "--pooling",
                 pooling, "--no-normalize", "--input", input, "--output", (folder / "out.npy").string()});
        REQUIRE_MESSAGE(outcome.status == 0, outcome.error);
        const Matrix<double> got = read_npy(folder / "out.npy").cast<double>();
        CHECK(largest_difference(got, pooled(states, batch.segments(), pooling)) < hidden_state_tolerance(states));
        ++compared;
      }
    }
  CHECK(compared > 0);
}

}  // namespace

TEST_CASE("the program pools the golden states of every decoder, under every mask that the files have") {
  int models = 0;
  for (const auto& folder : entries(golden_directory() / "models")) {
    if (!std::filesystem::exists(folder / "cases.safetensors")) continue;
    const auto cases = io::SafetensorsFile::open(folder / "cases.safetensors");
    if (cases.find("causal.hidden.0") == nullptr) continue;  // not a decoder
    check_model(folder.string(), cases);
    ++models;
  }
  CHECK(models > 0);
}

TEST_CASE("the program pools the golden states of GGUF files") {
  int models = 0;
  for (const auto& file : entries(golden_directory() / "gguf", ".gguf")) {
    const auto cases = std::filesystem::path(file).replace_extension(".cases.safetensors");
    if (!std::filesystem::exists(cases)) continue;
    check_model(file.string(), io::SafetensorsFile::open(cases));
    ++models;
  }
  CHECK(models > 0);
}
