#pragma once
#include <algorithm>

#include "program/program.hpp"

namespace embedpool::test {

/// A small model, two tasks of pairs, and the program on them.
struct Fixture {
  Folder folder{};
  std::string model = (folder / "model").string();
  std::string data = folder.write("pairs.jsonl", pairs());

  Fixture() {
    write_llama(model, {});
    write_byte_tokenizer(model, false);
  }
  static std::string pairs() {
    std::string lines;
    for (int i = 0; i < 24; ++i) {
      const std::string word(1 + static_cast<std::size_t>(i % 5), static_cast<char>('a' + i % 24));
      nlohmann::json line = {{"query", "what is " + word}, {"positive", word + " it is"}, {"task", i % 2 ? "odd" : "even"}};
      if (i % 2) line["negative"] = word + " it is not";
      lines += line.dump() + "\n";
    }
    return lines;
  }
  std::string out(const std::string& name) const { return (folder / name).string(); }
  Outcome train(const std::string& name, std::vector<std::string> flags = {}) const {
    const auto otherwise = [&](const std::string& flag, const std::string& value) {
      if (std::find(flags.begin(), flags.end(), flag) == flags.end()) flags.insert(flags.end(), {flag, value});
    };
    otherwise("--batch", "4");
    otherwise("--lr", "0.01");
    flags.insert(flags.begin(), {"train", "--model", model, "--data", data, "--output", out(name), "--quiet", "--lora-rank", "2"});
    return run(flags);
  }
  /// How many of five runs of `train` with these arguments a signal ended after so many seconds.
  int interrupted(double seconds, const std::vector<std::string>& arguments) const {
    int stops = 0;
    for (const std::string signal : {"TERM", "KILL", "INT", "KILL", "TERM"}) {
      std::string command = "timeout -s " + signal + " " + std::to_string(seconds);
      command += " " + quoted(std::getenv("EMBEDPOOL_PROGRAM")) + " train";
      for (const std::string& argument : arguments) command += " " + quoted(argument);
      stops += std::system((command + " 2>/dev/null").c_str()) != 0;
    }
    return stops;
  }
  Outcome train_head(const std::string& name, std::vector<std::string> flags = {}) const {
    flags.insert(flags.begin(), {"train", "--model", model, "--data", data, "--output", out(name), "--batch", "4",
                                 "--quiet", "--freeze-backbone"});
    return run(flags);
  }
  std::vector<std::vector<float>> embed(const std::string& name, std::vector<std::string> flags = {}) const {
    flags.insert(flags.begin(), {"embed", "--model", model, "--trained", out(name), "--input", "-"});
    const Outcome outcome = run(flags, "what is aa\nbb it is\nnothing\n");
    CAPTURE(outcome.error);
    REQUIRE(outcome.status == 0);
    return embeddings(outcome.output);
  }
  std::string bytes(const std::string& name, const std::string& file) const { return read_file(folder / (name + "/" + file)); }
};

inline std::vector<nlohmann::json> lines_of(const std::string& jsonl) {
  std::vector<nlohmann::json> lines;
  std::istringstream stream(jsonl);
  for (std::string line; std::getline(stream, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

}  // namespace embedpool::test
