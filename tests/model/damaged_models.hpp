#pragma once
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "embedpool/io/load_decoder.hpp"
#include "support/refused.hpp"

/// Copies of the small models in tests/golden that are changed on purpose, and what loading them must say.
namespace embedpool::test {

using io::Json;

/// The files that these tests damage: always those of the source tree, whose sizes the messages below name.
inline std::filesystem::path fixtures() { return EMBEDPOOL_TEST_GOLDEN_DIR; }

inline std::string read_all(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_all(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A directory that is gone at the end of the test.
struct TemporaryDirectory {
  std::filesystem::path path;
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "embedpool-loader-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
};

/// A copy of a golden model with its config changed and its safetensors header changed; tensor bytes stay.
template <class ChangeConfig, class ChangeHeader, class Use>
void with_changed_model(const std::string& model, ChangeConfig&& change_config, ChangeHeader&& change_header, Use&& use) {
  const auto source = fixtures() / "models" / model;
  TemporaryDirectory copy;
  Json config = Json::parse(read_all(source / "config.json"));
  change_config(config);
  write_all(copy.path / "config.json", config.dump());

  const std::string bytes = read_all(source / "model.safetensors");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  Json header = Json::parse(bytes.substr(8, length));
  change_header(header);
  const std::string text = header.dump();
  const std::uint64_t changed_length = text.size();
  write_all(copy.path / "model.safetensors",
            std::string(reinterpret_cast<const char*>(&changed_length), 8) + text + bytes.substr(8 + length));
  use(copy.path);
}

inline constexpr auto nothing = [](Json&) {};

template <class ChangeConfig>
void refused_config(const std::string& model, ChangeConfig&& change, std::vector<std::string> culprits) {
  culprits.push_back("config.json");
  with_changed_model(model, change, nothing,
                     [&](const auto& path) { refused([&] { io::load_decoder(path); }, culprits); });
}

}  // namespace embedpool::test
