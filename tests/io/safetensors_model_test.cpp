#include "embedpool/io/safetensors_model.hpp"

#include <doctest/doctest.h>

#include "embedpool/io/safetensors_writer.hpp"
#include "embedpool/io/tensor_values.hpp"
#include "io/damaged_files.hpp"
#include "io/temporary_folder.hpp"

using namespace embedpool;

namespace {

void write_tensor(const std::filesystem::path& path, const std::string& name, float value) {
  io::SafetensorsWriter writer;
  writer.add(name, Matrix<float>(Matrix<float>::Constant(1, 2, value)));
  writer.write(path);
}

float value_of(const io::SafetensorsModel& model, const char* name) { return io::matrix_of<float>(model.at(name))(0, 1); }

const char* index_name = "model.safetensors.index.json";

}  // namespace

TEST_CASE("tensors come from the shard that the index lists, whatever else a shard holds") {
  const test::TemporaryFolder folder;
  write_tensor(folder / "one.safetensors", "a", 1);
  write_tensor(folder / "two.safetensors", "b", 2);
  write_tensor(folder / "unused.safetensors", "c", 3);
  folder.write(index_name, R"({"metadata": {"total_size": 16}, "weight_map": {"a": "one.safetensors", "b": "two.safetensors"}})");
  const auto model = io::SafetensorsModel::open(folder / "");
  CHECK(model.tensors().size() == 2);
  CHECK(value_of(model, "a") == 1);
  CHECK(value_of(model, "b") == 2);
  CHECK(model.find("c") == nullptr);
  CHECK_THROWS_WITH_AS(model.at("c"), doctest::Contains("model.safetensors.index.json: tensor c: missing"), FileError);
  write_tensor(folder / "model.safetensors", "single", 4);  // counts before the index
  CHECK(value_of(io::SafetensorsModel::open(folder / ""), "single") == 4);
}

TEST_CASE("a directory without weights, and an index that does not fit its shards, are refused by name") {
  const test::TemporaryFolder folder;
  const auto refused = [&](const std::string& index, const char* cause) {
    folder.write(index_name, index);
    CHECK_THROWS_WITH_AS(io::SafetensorsModel::open(folder / ""), doctest::Contains(cause), FileError);
  };
  CHECK_THROWS_WITH_AS(io::SafetensorsModel::open(folder / ""), doctest::Contains("model.safetensors: open"), FileError);
  write_tensor(folder / "one.safetensors", "a", 1);
  refused("[]", "index.json: must be a JSON object");
  refused("{}", "weight_map: missing");
  refused(R"({"weight_map": ["a"]})", "weight_map: must be a JSON object");
  refused(R"({"weight_map": {"a": 1}})", "weight_map.a: must be the name of a file");
  refused(R"({"weight_map": {"b": "one.safetensors"}})", "one.safetensors: tensor b: missing");
  refused(R"({"weight_map": {"a": "none.safetensors"}})", "none.safetensors: open");
  folder.write("broken.safetensors", "1234");
  refused(R"({"weight_map": {"a": "broken.safetensors"}})", "broken.safetensors: header");
}

TEST_CASE("an index cannot name a file outside its directory") {
  const test::TemporaryFolder folder;
  write_tensor(folder / "secret.safetensors", "a", 1);
  std::filesystem::create_directories(folder / "model/sub");
  write_tensor(folder / "model/sub/one.safetensors", "a", 1);
  const std::string absolute = (folder / "secret.safetensors").string();
  for (const std::string& shard : {std::string("../secret.safetensors"), absolute, std::string("sub/one.safetensors"),
                                   std::string("./sub/../../secret.safetensors"), std::string(".."), std::string("."), std::string()}) {
    CAPTURE(shard);
    const io::Json index = {{"weight_map", {{"a", shard}}}};
    folder.write(std::string("model/") + index_name, index.dump());
    CHECK_THROWS_WITH_AS(io::SafetensorsModel::open(folder / "model"), doctest::Contains("no file of this directory"), FileError);
  }
}

TEST_CASE("damaged indices are read or refused, never anything else") {
  const test::TemporaryFolder folder;
  write_tensor(folder / "one.safetensors", "a", 1);
  const std::string index = R"({"metadata": {}, "weight_map": {"a": "one.safetensors"}})";
  // An error may be the index's or that of the shard it names now: both lie in the folder.
  test::check_damaged_files(index, index.size(), (folder / "").string(), [&](std::span<const std::byte> bytes) {
    folder.write(index_name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    io::SafetensorsModel::open(folder / "");
  });
}
