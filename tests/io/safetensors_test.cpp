#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "embedpool/io/safetensors.hpp"
#include "embedpool/io/safetensors_writer.hpp"
#include "embedpool/io/tensor_values.hpp"
#include "io/damaged_files.hpp"

using namespace embedpool;

namespace {

std::string file_of(const std::string& header, const std::string& data) {
  std::string text(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) text[i] = static_cast<char>((header.size() >> (8 * i)) & 0xff);
  return text + header + data;
}

io::SafetensorsFile parse(const std::string& file) {
  return {std::as_bytes(std::span(file.data(), file.size())), "weights.safetensors"};
}

const std::string two_tensors =
    R"({"__metadata__":{"kind":"test"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
    R"("b":{"dtype":"I32","shape":[2],"data_offsets":[8,16]}})";

std::string two_tensors_data() {
  const float a[] = {1.5f, -2.0f};
  const std::int32_t b[] = {7, -8};
  std::string data(16, '\0');
  std::memcpy(data.data(), a, 8);
  std::memcpy(data.data() + 8, b, 8);
  return data;
}

}  // namespace

TEST_CASE("tensors and metadata are found where the header says") {
  const std::string bytes = file_of(two_tensors, two_tensors_data());
  const auto file = parse(bytes);
  CHECK(file.metadata().at("kind") == "test");
  CHECK(io::matrix_of<double>(file.at("a")) == (Matrix<double>(2, 1) << 1.5, -2.0).finished());
  CHECK(io::integers_of(file.at("b")) == std::vector<std::int64_t>{7, -8});
  CHECK(file.find("c") == nullptr);
  CHECK_THROWS_WITH_AS(file.at("c"), "weights.safetensors: tensor c: missing", FileError);
  CHECK_THROWS_WITH_AS(file.at("b").weight(), doctest::Contains("I32"), FileError);
  CHECK_THROWS_WITH_AS(file.at("a").require_shape({1, 2}), doctest::Contains("[1, 2], got [2, 1]"), FileError);
}

TEST_CASE("an empty file of no tensors is valid") { CHECK(parse(file_of("{}", "")).tensors().empty()); }

TEST_CASE("every hostile header is refused with file, place and cause") {
  const auto refuses = [](const std::string& header, const std::string& data, const char* cause) {
    CAPTURE(header);
    CHECK_THROWS_WITH_AS(parse(file_of(header, data)), doctest::Contains(cause), FileError);
    CHECK_THROWS_WITH_AS(parse(file_of(header, data)), doctest::Contains("weights.safetensors"), FileError);
  };
  const auto tensor = [](const std::string& entry) { return "{\"t\":" + entry + "}"; };
  refuses("[]", "", "JSON object");
  refuses("{", "", "JSON");
  refuses(std::string(100000, '['), "", "nested too deeply");
  refuses(tensor(R"({"dtype":"F31","shape":[1],"data_offsets":[0,4]})"), "1234", "F31");
  refuses(tensor(R"({"shape":[1],"data_offsets":[0,4]})"), "1234", "dtype");
  refuses(tensor(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"), "1234", "shape");
  refuses(tensor(R"({"dtype":"F32","shape":[1.5],"data_offsets":[0,4]})"), "1234", "shape");
  refuses(tensor(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]})"), "1234", "overflow");
  refuses(tensor(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]})"), "1234", "overflow");
  refuses(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,8]})"), "1234", "outside the data");
  refuses(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})"), "1234", "outside the data");
  refuses(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})"), "1234", "data_offsets");
  refuses(tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"), "1234", "needs 8");
  refuses(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"), "12345", "belong to no tensor");
  refuses(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[3],"data_offsets":[2,5]}})", "12345",
          "shares bytes");
  refuses(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})", "12345",
          "hole");
  refuses(R"({"__metadata__":{"a":1}})", "", "__metadata__");
  // Silently taking the last of two would hide a tensor, or let two programs read the same file differently.
  refuses(R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}})", "1",
          "'t' stands twice");
  refuses(R"({"t":{"dtype":"U8","shape":[1],"shape":[2],"data_offsets":[0,1]}})", "1", "'shape' stands twice");
  refuses(tensor(R"({"dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0]})"), "", "overflow");
  refuses(tensor(R"({"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]})"), "1", "at most 8");
  CHECK_THROWS_WITH_AS(parse("1234567"), doctest::Contains("header length"), FileError);
  CHECK_THROWS_WITH_AS(parse(std::string(8, '\xff')), doctest::Contains("larger"), FileError);
  CHECK_THROWS_WITH_AS(parse(file_of("{}", "").substr(0, 9)), doctest::Contains("inside the header"), FileError);
}

TEST_CASE("damaged files are loaded or refused, never anything else") {
  const std::string valid = file_of(two_tensors, two_tensors_data());
  test::check_damaged_files(valid, 8 + two_tensors.size(), "weights.safetensors",
                            [](auto bytes) { io::SafetensorsFile(bytes, "weights.safetensors"); });
}

TEST_CASE("what the writer wrote reads back, and equal contents give equal bytes") {
  const auto path = std::filesystem::temp_directory_path() / ("embedpool_" + std::to_string(getpid()) + ".safetensors");
  const Matrix<double> wide = Matrix<double>::Random(3, 5);
  const Matrix<float> narrow = Matrix<float>::Random(1, 7);
  const std::vector<std::int64_t> numbers{1, -2, 3};
  const std::vector<std::int32_t> small{-7, 8};
  const std::vector<std::uint8_t> bytes{0, 255};
  const auto write = [&] {
    io::SafetensorsWriter writer;
    writer.add_metadata("a", "b\"\n");
    writer.add("wide", wide);
    writer.add("narrow", narrow, true);
    writer.add("numbers", {3}, std::span<const std::int64_t>(numbers));
    CHECK_THROWS_AS(writer.add("wide", wide), ShapeError);
    writer.add("small", {1, 2}, std::span<const std::int32_t>(small));
    writer.add("bytes", {2}, std::span<const std::uint8_t>(bytes));
    CHECK_THROWS_AS(writer.add("short", {4}, std::span<const std::int64_t>(numbers)), ShapeError);
    CHECK_THROWS_WITH_AS(writer.add("negative", {-1, -3}, std::span<const std::int64_t>(numbers)), doctest::Contains("negative"), ShapeError);
    CHECK_THROWS_AS(writer.add("huge", {Index(1) << 62, 4, 3}, std::span<const std::int64_t>(numbers)), ShapeError);
    CHECK_THROWS_AS(writer.add("__metadata__", {3}, std::span<const std::int64_t>(numbers)), ShapeError);
    writer.write(path);
    std::ifstream stream(path, std::ios::binary);
    return (std::stringstream() << stream.rdbuf()).str();
  };
  const std::string first = write();
  CHECK(write() == first);
  const auto file = io::SafetensorsFile::open(path);
  CHECK(file.metadata().at("a") == "b\"\n");
  CHECK(io::matrix_of<double>(file.at("wide")) == wide);
  CHECK(io::matrix_of<float>(file.at("narrow")) == narrow);
  CHECK(file.at("narrow").shape == std::vector<Index>{7});
  CHECK(io::integers_of(file.at("numbers")) == numbers);
  CHECK(io::integers_of(file.at("small")) == std::vector<std::int64_t>{-7, 8});
  CHECK(file.at("small").shape == std::vector<Index>{1, 2});
  CHECK(io::integers_of(file.at("bytes")) == std::vector<std::int64_t>{0, 255});
  std::filesystem::remove(path);
}

TEST_CASE("a name that is no UTF-8 is refused before anything is written") {
  const auto path = std::filesystem::temp_directory_path() / ("embedpool_" + std::to_string(getpid()) + "_name.safetensors");
  io::SafetensorsWriter writer;
  writer.add("\xff", Matrix<float>(Matrix<float>::Ones(1, 1)));
  CHECK_THROWS_WITH_AS(writer.write(path), doctest::Contains("UTF-8"), FileError);
  CHECK(!std::filesystem::exists(path));
}

TEST_CASE("missing files and folders are refused by name") {
  CHECK_THROWS_WITH_AS(io::SafetensorsFile::open("/no/such.safetensors"), doctest::Contains("/no/such.safetensors"), FileError);
  CHECK_THROWS_WITH_AS(io::SafetensorsFile::open(std::filesystem::temp_directory_path()), doctest::Contains("regular file"), FileError);
}
