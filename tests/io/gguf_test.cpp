#include <doctest/doctest.h>

#include "embedpool/io/gguf.hpp"
#include "embedpool/io/tensor_values.hpp"
#include "io/damaged_files.hpp"

using namespace embedpool;

namespace {

/// Builds GGUF files value by value.
struct Builder {
  std::string bytes;
  template <class T>
  Builder& add(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }
  Builder& text(const std::string& value) {
    add<std::uint64_t>(value.size());
    bytes += value;
    return *this;
  }
  Builder& header(std::uint64_t tensors, std::uint64_t values, std::uint32_t version = 3) {
    bytes += "GGUF";
    return add(version).add(tensors).add(values);
  }
  Builder& tensor(const std::string& name, std::vector<std::uint64_t> extents, std::uint32_t type, std::uint64_t offset) {
    text(name).add<std::uint32_t>(static_cast<std::uint32_t>(extents.size()));
    for (const auto extent : extents) add(extent);
    return add(type).add(offset);
  }
  Builder& align(std::size_t to = 32) {
    bytes.resize((bytes.size() + to - 1) / to * to, '\0');
    return *this;
  }
};

io::GgufFile parse(const std::string& bytes) { return {std::as_bytes(std::span(bytes.data(), bytes.size())), "model.gguf"}; }

enum : std::uint32_t { U8 = 0, U32 = 4, I32 = 5, F32 = 6, Bool = 7, String = 8, Array = 9, U64 = 10 };

std::string valid_file() {
  Builder b;
  b.header(2, 7);
  b.text("general.architecture").add<std::uint32_t>(String).text("llama");
  b.text("layers").add<std::uint32_t>(U32).add<std::uint32_t>(3);
  b.text("negative").add<std::uint32_t>(I32).add<std::int32_t>(-4);
  b.text("eps").add<std::uint32_t>(F32).add<float>(0.5f);
  b.text("flag").add<std::uint32_t>(Bool).add<std::uint8_t>(1);
  b.text("words").add<std::uint32_t>(Array).add<std::uint32_t>(String).add<std::uint64_t>(2).text("ab").text("");
  b.text("scores").add<std::uint32_t>(Array).add<std::uint32_t>(F32).add<std::uint64_t>(2).add<float>(1).add<float>(-1);
  b.tensor("matrix", {2, 3}, 0, 0);
  b.tensor("blocks", {32}, 8, 32);
  b.align();
  for (int i = 0; i < 6; ++i) b.add<float>(static_cast<float>(i));
  b.align();
  b.bytes += std::string(34, '\0');
  return b.bytes;
}

}  // namespace

TEST_CASE("metadata and tensors are read with their types; shapes are outermost first") {
  const std::string bytes = valid_file();
  const auto file = parse(bytes);
  CHECK(file.string("general.architecture") == "llama");
  CHECK(file.integer("layers", 0, 10) == 3);
  CHECK(file.integer("negative", -10, 10) == -4);
  CHECK(file.number("eps") == 0.5);
  CHECK(file.boolean_or("flag", false));
  CHECK(file.strings("words").front() == "ab");
  CHECK(file.numbers("scores") == std::vector<double>{1, -1});
  CHECK(file.at("matrix").shape == std::vector<Index>{3, 2});
  CHECK(io::matrix_of<float>(file.at("matrix"))(2, 1) == 5.0f);
  CHECK(file.at("blocks").format == Format::Q8_0);
  CHECK_THROWS_WITH_AS(file.integer("layers", 4, 10), doctest::Contains("layers"), FileError);
  CHECK_THROWS_WITH_AS(file.integer("missing", 0, 1), "model.gguf: missing: missing", FileError);
  CHECK_THROWS_WITH_AS(file.string("layers"), doctest::Contains("must be a string"), FileError);
  CHECK_THROWS_WITH_AS(file.at("other"), doctest::Contains("tensor other"), FileError);
}

TEST_CASE("every hostile file is refused with file, place and cause") {
  const auto refuses = [](const Builder& b, const char* cause) {
    CHECK_THROWS_WITH_AS(parse(b.bytes), doctest::Contains(cause), FileError);
    CHECK_THROWS_WITH_AS(parse(b.bytes), doctest::Contains("model.gguf"), FileError);
  };
  refuses(Builder{"GGML"}, "not a GGUF");
  refuses(Builder{}.header(0, 0, 1), "version");
  refuses(Builder{}.header(0, 0, 0x03000000), "big-endian");
  refuses(Builder{}.header(std::uint64_t(1) << 60, 0), "tensor count");
  refuses(Builder{}.header(0, std::uint64_t(1) << 60), "metadata count");
  refuses(Builder{}.header(0, 1).add<std::uint64_t>(std::uint64_t(1) << 62).add<std::uint64_t>(0), "metadata key 0");
  refuses(Builder{}.header(0, 1).text("key").add<std::uint32_t>(77).add<std::uint64_t>(0), "value type 77");
  refuses(Builder{}.header(0, 1).text("key").add<std::uint32_t>(Array).add<std::uint32_t>(U8).add<std::uint64_t>(1 << 30), "key");
  refuses(Builder{}.header(0, 1).text("key").add<std::uint32_t>(Bool).add<std::uint8_t>(2), "true (1) or false (0)");
  refuses(Builder{}.header(0, 1).text("key").add<std::uint32_t>(Array).add<std::uint32_t>(U64).add<std::uint64_t>(1).add(~std::uint64_t(0)),
          "too large");
  refuses(Builder{}.header(0, 1).text(std::string(65536, 'k')).add<std::uint32_t>(U8).add<std::uint8_t>(0), "longer than");
  refuses(Builder{}.header(0, 1).text("key").add<std::uint32_t>(Array).add<std::uint32_t>(Array).add<std::uint64_t>(1)
              .add<std::uint32_t>(U32).add(~std::uint64_t(0)), "do not fit");
  Builder nested;
  nested.header(0, 1).text("key").add<std::uint32_t>(Array);
  for (int depth = 0; depth < 20; ++depth) nested.add<std::uint32_t>(Array).add<std::uint64_t>(1);
  refuses(nested.add<std::uint32_t>(U8).add<std::uint64_t>(0), "nested too deeply");
  refuses(Builder{}.header(0, 2).text("k").add<std::uint32_t>(U32).add<std::uint32_t>(1).text("k").add<std::uint32_t>(U32).add<std::uint32_t>(1),
          "twice");
  refuses(Builder{}.header(1, 0).tensor("t", {1, 1, 1, 1, 1}, 0, 0), "5 dimensions");
  refuses(Builder{}.header(1, 0).tensor("t", {std::uint64_t(1) << 40, std::uint64_t(1) << 40}, 0, 0), "overflows");
  refuses(Builder{}.header(1, 0).tensor("t", {4}, 0, 0).align(), "is the file complete");
  refuses(Builder{}.header(1, 0).tensor("t", {4}, 0, std::uint64_t(1) << 63).align(), "is the file complete");
  // An extent of 0 first: the product of all is 0, but those of some overflow.
  refuses(Builder{}.header(1, 0).tensor("t", {0, std::uint64_t(1) << 40, std::uint64_t(1) << 40}, 0, 0), "overflows");
  refuses(Builder{}.header(1, 0).tensor("t", {4}, 0, 8).align(), "no multiple");
  refuses(Builder{}.header(2, 0).tensor("a", {16}, 0, 0).tensor("b", {4}, 0, 32).align().align(256), "shares bytes with tensor a");
  refuses(Builder{}.header(1, 0).tensor("t", {256}, 16, 0).align(), "is the file complete");  // listed types have sizes too
  refuses(Builder{}.header(1, 0).tensor("t", {33}, 8, 0).align(), "whole number");
  refuses(Builder{}.header(2, 0).tensor("t", {0}, 0, 0).tensor("t", {0}, 0, 0), "twice");
  refuses(Builder{}.header(0, 1).text("general.alignment").add<std::uint32_t>(U32).add<std::uint32_t>(24), "power of two");
  refuses(Builder{}.header(0, 1).text("general.alignment").add<std::uint32_t>(U32).add<std::uint32_t>(0), "general.alignment");
}

TEST_CASE("arrays of arrays are passed over, and what stands behind them is read") {
  Builder b;
  b.header(0, 2).text("table").add<std::uint32_t>(Array).add<std::uint32_t>(Array).add<std::uint64_t>(2);
  b.add<std::uint32_t>(String).add<std::uint64_t>(2).text("a").text("bc");
  b.add<std::uint32_t>(U32).add<std::uint64_t>(1).add<std::uint32_t>(7);
  b.text("behind").add<std::uint32_t>(U32).add<std::uint32_t>(5);
  const auto file = parse(b.bytes);
  CHECK(file.integer("behind", 0, 10) == 5);
  CHECK(file.has("table"));
  CHECK_THROWS_WITH_AS(file.strings("table"), doctest::Contains("table: must be an array of strings"), FileError);
}

TEST_CASE("names from a hostile file stay one line of bounded length in messages") {
  const std::string name = "a\nb\x1b[2J" + std::string(5000, 'x');
  try {
    parse(Builder{}.header(1, 0).tensor(name, {4}, 0, 0).align().bytes);
    FAIL("the file is too short for its tensor");
  } catch (const FileError& error) {
    const std::string message = error.what();
    CHECK(message.find("a\\x0ab\\x1b[2J") != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
    CHECK(message.size() < 2000);
  }
}

TEST_CASE("integer tensors and types that kernels cannot decode are listed by name with their bytes") {
  Builder b;
  b.header(2, 0).tensor("numbers", {2}, 26, 0).tensor("blocks", {256}, 16, 32).align();
  b.add<std::int32_t>(-5).add<std::int32_t>(6).align();
  b.bytes += std::string(66, '\0');
  const auto file = parse(b.bytes);
  CHECK(io::integers_of(file.at("numbers")) == std::vector<std::int64_t>{-5, 6});
  CHECK(file.at("blocks").data.size() == 66);
  CHECK_THROWS_WITH_AS(file.at("blocks").weight(), doctest::Contains("IQ2_XXS"), FileError);
}

TEST_CASE("a tensor of an unknown type is listed, and refused only when its weights are asked for") {
  Builder b;
  b.header(1, 0).tensor("t", {4}, 99, 0).align();
  const auto file = parse(b.bytes);
  CHECK(file.at("t").type == "ggml type 99");
  CHECK_THROWS_WITH_AS(file.at("t").weight(), doctest::Contains("ggml type 99"), FileError);
  CHECK_THROWS_WITH_AS(io::matrix_of<float>(file.at("t")), doctest::Contains("ggml type 99"), FileError);
  // Its size is unknown, so that its shape may claim anything: nothing is reserved for it.
  const auto huge = parse(Builder{}.header(1, 0).tensor("t", {std::uint64_t(1) << 60}, 99, 0).align().bytes);
  CHECK_THROWS_WITH_AS(io::integers_of(huge.at("t")), doctest::Contains("ggml type 99"), FileError);
}

TEST_CASE("damaged files are loaded or refused, never anything else") {
  const std::string valid = valid_file();
  test::check_damaged_files(valid, valid.size() - 70, "model.gguf", [](auto bytes) { io::GgufFile(bytes, "model.gguf"); });
}
