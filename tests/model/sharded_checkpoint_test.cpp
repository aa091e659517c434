#include "embedpool/io/load_decoder.hpp"
#include "embedpool/io/safetensors_writer.hpp"
#include "model/damaged_models.hpp"
#include "model/golden_support.hpp"

using namespace embedpool;
using namespace embedpool::test;

TEST_CASE("a checkpoint in shards is the same model, and an index that misleads is refused") {
  const auto source = fixtures() / "models" / "llama";
  TemporaryDirectory directory;
  std::filesystem::copy(source / "config.json", directory.path / "config.json");
  const auto file = io::SafetensorsFile::open(source / "model.safetensors");
  io::SafetensorsWriter shards[2];
  Json map;
  for (const auto& [name, tensor] : file.tensors()) {
    const std::size_t shard = map.size() % 2;
    const Matrix<float> values = test::matrix<float>(tensor);
    shards[shard].add(name, values, tensor.shape.size() == 1);
    map[name] = "part-" + std::to_string(shard) + ".safetensors";
  }
  for (const int shard : {0, 1})
    shards[shard].write(directory.path / ("part-" + std::to_string(shard) + ".safetensors"));
  const auto write_index = [&](const Json& weight_map) {
    write_all(directory.path / "model.safetensors.index.json", Json{{"weight_map", weight_map}}.dump());
  };
  write_index(map);

  const std::vector<TokenId> ids{1, 2, 3};
  CHECK(layers_of(io::load_decoder(directory.path), ids) == layers_of(io::load_decoder(source), ids));

  const std::string key = "model.norm.weight";
  const auto refused_index = [&](const Json& entry, std::vector<std::string> culprits) {
    Json changed = map;
    changed[key] = entry;
    write_index(changed);
    refused([&] { io::load_decoder(directory.path); }, culprits);
  };
  for (const char* outside : {"../part-0.safetensors", "/etc/passwd", "..", "", "a/b"})
    refused_index(outside, {"index.json", "weight_map." + key, "no file of this directory"});
  refused_index(3, {"index.json", "weight_map." + key, "name of a file"});
  refused_index("part-2.safetensors", {"part-2.safetensors"});
  refused_index(map[key] == "part-0.safetensors" ? "part-1.safetensors" : "part-0.safetensors", {key, "missing"});
  Json without = map;
  without.erase(key);
  write_index(without);
  refused([&] { io::load_decoder(directory.path); }, {"index.json", key, "missing"});
  write_all(directory.path / "model.safetensors.index.json", "{}");
  refused([&] { io::load_decoder(directory.path); }, {"index.json", "weight_map", "missing"});
}
