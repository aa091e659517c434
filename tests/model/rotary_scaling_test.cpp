#include "embedpool/model/rotary_scaling.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "embedpool/io/gguf_decoder_config.hpp"
#include "embedpool/io/hugging_face_rotary.hpp"
#include "io/tokenizer/gguf_metadata.hpp"

using namespace embedpool;

namespace {

/// Both sides are a power and a few quotients in double.
void check_close(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-13));
}

io::HuggingFaceRotary read(const std::string& config) {
  static io::Json json;
  json = io::parse_json(config, "test");
  return io::read_rotary(io::JsonObject(json, "test"));
}

}  // namespace

TEST_CASE("plain frequencies are powers of theta") {
  check_close(rotary_frequencies(10000, 4), {1, 0.01});
  check_close(rotary_frequencies(16, 8), {1, 0.5, 0.25, 0.125});
}

TEST_CASE("linear scaling divides every frequency") {
  check_close(rotary_frequencies(16, 8, {RotaryScalingKind::linear, 4}), {0.25, 0.125, 0.0625, 0.03125});
}

TEST_CASE("llama3 scaling leaves short waves, divides long ones, and blends between") {
  // P f / 2 pi for f = 1, 1/2, 1/4, 1/8 is 8, 4, 2, 1 when P = 16 pi.
  RotaryScaling scaling{RotaryScalingKind::llama3, 10, 16 * std::numbers::pi};
  scaling.low_frequency_factor = 1.5;
  scaling.high_frequency_factor = 3.5;
  const double share = (2 - 1.5) / (3.5 - 1.5);
  check_close(rotary_frequencies(16, 8, scaling), {1, 0.5, (1 - share) * 0.025 + share * 0.25, 0.0125});
}

TEST_CASE("yarn scaling blends straight in the index, between those that turn beta_fast and beta_slow times") {
  // Index i turns P 16^(-2 i / 8) / 2 pi = 8 2^-i times when P = 16 pi: 8 times at 0, once at 3.
  RotaryScaling scaling{RotaryScalingKind::yarn, 10, 16 * std::numbers::pi};
  scaling.beta_fast = 8;
  scaling.beta_slow = 1;
  scaling.whole_indices = false;
  check_close(rotary_frequencies(16, 8, scaling),
              {1, 0.5 * (2.0 / 3 + 1.0 / 30), 0.25 * (1.0 / 3 + 2.0 / 30), 0.0125});
  // Whole indices: from 1.6 down to 1, from 2.4 up to 3.
  scaling.beta_fast = 8 * std::exp2(-1.6);
  scaling.beta_slow = 8 * std::exp2(-2.4);
  scaling.whole_indices = true;
  check_close(rotary_frequencies(16, 8, scaling), {1, 0.5, 0.25 * 0.55, 0.0125});
  CHECK(yarn_amplitude(std::exp(5.0)) == doctest::Approx(1.5));
  CHECK(yarn_amplitude(1) == 1);
}

TEST_CASE("a configuration is understood in both of its spellings") {
  CHECK(read(R"({})").theta == 10000);
  CHECK(read(R"({"rope_theta": 7, "rope_scaling": null})").theta == 7);
  CHECK(read(R"({"rope_parameters": {"rope_theta": 7, "rope_type": "default"}})").theta == 7);
  for (const std::string config : {R"({"rope_theta": 7, "rope_scaling": {"type": "linear", "factor": 3}})",
                                   R"({"rope_parameters": {"rope_theta": 7, "rope_type": "linear", "factor": 3}})"}) {
    CHECK(read(config).scaling.kind == RotaryScalingKind::linear);
    CHECK(read(config).scaling.factor == 3);
    CHECK(read(config).theta == 7);
  }
}

TEST_CASE("rope_scaling beside rope_parameters stands in their place, as transformers has it") {
  const std::string newer = R"("rope_parameters": {"rope_theta": 7, "rope_type": "default"})";
  const std::string older = R"(, "rope_scaling": {"rope_type": "linear", "factor": 3})";
  CHECK(read("{" + newer + older + "}").scaling.factor == 3);
  CHECK(read("{" + newer + older + "}").theta == 10000);  // the base in rope_parameters goes with them
  CHECK(read("{" + newer + older + R"(, "rope_theta": 5})").theta == 5);
  CHECK(read("{" + newer + R"(, "rope_scaling": {}})").theta == 7);  // says nothing
  CHECK(read("{" + newer + R"(, "rope_scaling": null})").theta == 7);
}

TEST_CASE("an original length beside the rotary settings counts before theirs, and the model's length stands for both") {
  for (const std::string kind : {R"("yarn")", R"("llama3", "low_freq_factor": 1, "high_freq_factor": 4)"}) {
    CAPTURE(kind);
    const std::string rope = R"("rope_parameters": {"factor": 4, "rope_type": )" + kind;
    const std::string own = R"(, "original_max_position_embeddings": 128})", length = R"(, "max_position_embeddings": 512)";
    const auto positions = [](const std::string& config) { return read("{" + config + "}").scaling.original_positions; };
    CHECK(positions(rope + own + length) == 128);
    CHECK(positions(rope + own + length + R"(, "original_max_position_embeddings": 64)") == 64);
    CHECK(positions(rope + "}" + length + R"(, "original_max_position_embeddings": 64)") == 64);
    CHECK(positions(rope + "}" + length) == 512);
  }
}

TEST_CASE("yarn's amplitude and length come from the configuration, or from what stands for them") {
  const std::string start = R"({"max_position_embeddings": 512, "rope_scaling": {"rope_type": "yarn", "factor": 4)";
  const auto plain = read(start + "}}").scaling;
  CHECK(plain.original_positions == 512);
  CHECK(plain.amplitude == doctest::Approx(0.1 * std::log(4.0) + 1));
  CHECK(plain.beta_fast == 32);
  CHECK(plain.beta_slow == 1);
  const auto full = read(start + R"(, "original_max_position_embeddings": 128, "attention_factor": 1.25, "beta_fast": 16,
                                     "beta_slow": 2, "truncate": false}})").scaling;
  CHECK(full.original_positions == 128);
  CHECK(full.amplitude == 1.25);
  CHECK(full.beta_fast == 16);
  CHECK(full.beta_slow == 2);
  CHECK(!full.whole_indices);
  const auto two = read(start + R"(, "mscale": 2, "mscale_all_dim": 0.5}})").scaling;
  CHECK(two.amplitude == doctest::Approx((0.2 * std::log(4.0) + 1) / (0.05 * std::log(4.0) + 1)));
  for (const std::string scales : {R"("mscale": 0, "mscale_all_dim": 0.5)", R"("mscale": 2, "mscale_all_dim": 0)"})
    CHECK(read(start + ", " + scales + "}}").scaling.amplitude == plain.amplitude);  // 0 says nothing
}

TEST_CASE("a GGUF file that names a factor and no kind means linear, its newer key counts, and a factor of 0 is none") {
  const auto scaling = [](const testing::GgufMetadata& metadata) {
    const std::string bytes = metadata.bytes();
    return io::detail::read_rotary_scaling(testing::GgufMetadata::read(bytes), "llama.");
  };
  using File = testing::GgufMetadata;
  CHECK(scaling(File{}).kind == RotaryScalingKind::none);
  for (const char* key : {"llama.rope.scaling.factor", "llama.rope.scale_linear"}) {
    const RotaryScaling linear = scaling(File{}.real(key, 4));
    CHECK(linear.kind == RotaryScalingKind::linear);
    CHECK(linear.factor == 4);
  }
  CHECK(scaling(File{}.real("llama.rope.scaling.factor", 4).real("llama.rope.scale_linear", 2)).factor == 4);
  CHECK(scaling(File{}.real("llama.rope.scaling.factor", 0)).factor == 1);
  CHECK(scaling(File{}.text("llama.rope.scaling.type", "none").real("llama.rope.scaling.factor", 4)).kind == RotaryScalingKind::none);
}
