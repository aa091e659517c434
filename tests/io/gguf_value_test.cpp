#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "embedpool/io/byte_reader.hpp"
#include "embedpool/io/gguf_tensor_type.hpp"
#include "embedpool/io/gguf_value.hpp"
#include "embedpool/io/read_gguf_value.hpp"

using namespace embedpool;

namespace {

/// Bytes of values one after the other.
struct Bytes {
  std::string data;
  template <class T>
  Bytes& add(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    data.append(bytes, sizeof(T));
    return *this;
  }
  Bytes& text(const std::string& value) {
    add<std::uint64_t>(value.size());
    data += value;
    return *this;
  }
  io::ByteReader reader() const { return {std::as_bytes(std::span(data.data(), data.size())), "file"}; }
  io::GgufValue value() const {
    io::ByteReader at = reader();
    return io::detail::read_gguf_value(at, "key");
  }
};

using Type = io::detail::GgufType;

}  // namespace

TEST_CASE("a reader gives values in order, and names what does not fit into the file") {
  const Bytes bytes = Bytes{}.add<std::uint16_t>(513).add<float>(2.5f).add<char>('x');
  io::ByteReader reader = bytes.reader();
  CHECK(reader.read<std::uint16_t>("a") == 513);
  CHECK(reader.read<float>("b") == 2.5f);
  CHECK(reader.position() == 6);
  CHECK(reader.left() == 1);
  CHECK_THROWS_WITH_AS(reader.read<std::uint32_t>("the length"),
                       doctest::Contains("the file ends at byte 7, 4 bytes were needed from byte 6"), FileError);
  CHECK(reader.read_text(1, "c") == "x");  // what failed was not passed over
}

TEST_CASE("metadata values of every type are read, integers widened") {
  CHECK(std::get<std::int64_t>(Bytes{}.add<std::uint32_t>(Type::I8).add<std::int8_t>(-3).value()) == -3);
  CHECK(std::get<std::int64_t>(Bytes{}.add<std::uint32_t>(Type::U16).add<std::uint16_t>(65535).value()) == 65535);
  CHECK(std::get<std::uint64_t>(Bytes{}.add<std::uint32_t>(Type::U64).add<std::uint64_t>(~0ull).value()) == ~0ull);
  CHECK(std::get<double>(Bytes{}.add<std::uint32_t>(Type::F32).add<float>(0.25f).value()) == 0.25);
  CHECK(std::get<bool>(Bytes{}.add<std::uint32_t>(Type::Bool).add<std::uint8_t>(1).value()));
  CHECK(std::get<std::string_view>(Bytes{}.add<std::uint32_t>(Type::String).text("llama").value()) == "llama");
  const Bytes numbers = Bytes{}.add<std::uint32_t>(Type::Array).add<std::uint32_t>(Type::I32).add<std::uint64_t>(2)
                            .add<std::int32_t>(-1).add<std::int32_t>(7);
  CHECK(std::get<std::vector<std::int64_t>>(numbers.value()) == std::vector<std::int64_t>{-1, 7});
  const Bytes nested = Bytes{}.add<std::uint32_t>(Type::Array).add<std::uint32_t>(Type::Array).add<std::uint64_t>(1)
                           .add<std::uint32_t>(Type::String).add<std::uint64_t>(1).text("deep");
  CHECK(std::get<io::GgufNestedArray>(nested.value()).count == 1);
}

TEST_CASE("values that cannot be are refused with the key") {
  CHECK_THROWS_WITH_AS(Bytes{}.add<std::uint32_t>(Type::Bool).add<std::uint8_t>(2).value(), doctest::Contains("got 2"), FileError);
  CHECK_THROWS_WITH_AS(Bytes{}.add<std::uint32_t>(99).value(), doctest::Contains("unknown value type 99"), FileError);
  const Bytes huge = Bytes{}.add<std::uint32_t>(Type::Array).add<std::uint32_t>(Type::U8).add<std::uint64_t>(1ull << 60);
  CHECK_THROWS_WITH_AS(huge.value(), doctest::Contains("do not fit into the 0 bytes that are left"), FileError);
}

TEST_CASE("tensor types have ggml's sizes, and a format where kernels know it") {
  const io::GgufTensorType* type = io::find_gguf_tensor_type(3);
  REQUIRE(type != nullptr);
  CHECK(type->name == "Q4_1");
  CHECK(type->block_bytes == 20);
  CHECK(type->format == Format::Q4_1);
  CHECK_FALSE(io::find_gguf_tensor_type(16)->format.has_value());  // IQ2_XXS: named, not decoded
  CHECK(io::find_gguf_tensor_type(4) == nullptr);                  // removed from ggml
  for (std::uint32_t number = 0; number < 64; ++number)
    if (const io::GgufTensorType* known = io::find_gguf_tensor_type(number)) CHECK(known->number == number);
}
