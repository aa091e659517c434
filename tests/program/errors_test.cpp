#include "program/program.hpp"

using namespace embedpool;
using namespace embedpool::test;

namespace {

struct Fixture {
  Folder folder{};
  std::string model = (folder / "model").string();
  Fixture() {
    write_llama(model, {});
    write_byte_tokenizer(model, false);
  }
};

}  // namespace

TEST_CASE("help and version succeed and say what they should") {
  for (const std::string command : {"inspect", "embed", "calibrate", "sts", "nearest", "train", "evaluate", "compare", "layers",
                                    "merge"}) {
    const Outcome help = run({command, "--help"});
    CHECK(help.status == 0);
    CHECK(help.output.find("--model") != std::string::npos);
    CHECK(help.output.find("Example") != std::string::npos);
    CHECK(help.error == "");
  }
  const Outcome version = run({"--version"});
  CHECK(version.status == 0);
  CHECK(version.output.starts_with("embedpool "));
  const Outcome help = run({"--help"});
  CHECK(help.status == 0);
  const std::string indent(26, ' ');  // names of commands stand in front, and lines fit a terminal
  CHECK(help.output.find("\n  inspect" + indent.substr(9) +
                         "what a model is, what stands around its texts, and which pooling its own\n" + indent +
                         "files ask for\n") != std::string::npos);
}

TEST_CASE("usage errors are one line and status 2") {
  check_refused(run({}), {"command", "(see embedpool --help)"});
  check_refused(run({"frobnicate"}), {"frobnicate", "(see embedpool --help)"});
  check_refused(run({"embed"}), {"--model", "(see embedpool embed --help)"});
  check_refused(run({"embed", "--model", "m", "--input", "-", "--frobnicate"}),
                {"--frobnicate", "(see embedpool embed --help)"});
  check_refused(run({"embed", "--model", "m", "--input", "-", "--threads", "none"}), {"--threads"});
  check_refused(run({"embed", "--model", "m", "--input", "-", "--format", "csv"}), {"--format", "csv"});
  check_refused(run({"embed", "--model", "m", "--input", "-", "--layer", "1", "--layers", "all"}), {"--layer"});
  check_refused(run({"embed", "--model", "m", "--input", "-", "--append-eos", "--no-append-eos"}), {"--append-eos"});
}

TEST_CASE("choices that are not known are refused by name, with what is known") {
  const Fixture fixture;
  const auto embed = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"embed", "--model", fixture.model, "--input", "-"});
    return run(flags, "text\n");
  };
  check_refused(embed({"--mask", "diagonal"}), {"diagonal", "bidirectional"});
  check_refused(embed({"--mask", "window:0"}), {"window:0"});
  check_refused(embed({"--pooling", "median"}), {"median", "weighted-mean"});
  check_refused(embed({"--layers", "1,x"}), {"x"});
  check_refused(embed({"--layer", "3"}), {"--layer", "3"});
  check_refused(embed({"--layer", "-4"}), {"--layer", "-4"});
  check_refused(embed({"--layers", "1,9"}), {"9"});
  check_refused(embed({"--template", "no place"}), {"{text}"});
  check_refused(embed({"--prompt", "{text}"}), {"template"});
  check_refused(embed({"--trained", ""}), {"--trained", "must not be empty"});
  check_refused(embed({"--layer", "010"}), {"--layer", "'010' must be a whole number in decimal digits"});
  check_refused(embed({"--threads", "010"}), {"--threads", "decimal digits"});
  check_refused(embed({"--dimensions", "17"}), {"dimensions", "17"});
  check_refused(embed({"--max-tokens", "2", "--template", "<{text}>"}), {"line 1", "room"});
}

TEST_CASE("what is wrong with an input is named with file and line, and no output appears") {
  const Fixture fixture;
  const std::string output = (fixture.folder / "vectors.npy").string();
  const auto refused = [&](const std::string& content, const std::vector<std::string>& parts) {
    const std::string input = fixture.folder.write("texts", content);
    const std::size_t before = fixture.folder.entries();
    const Outcome outcome =
        run({"embed", "--model", fixture.model, "--input", input, "--output", output, "--batch-tokens", "1"});
    std::vector<std::string> all = parts;
    all.push_back(input);
    check_refused(outcome, all);
    CHECK(!std::filesystem::exists(output));
    CHECK(fixture.folder.entries() == before);  // no half-written file either
  };
  refused("", {"empty"});
  refused("good\n\nmore\n", {"line 2", "empty"});
  refused("good\nb\xFF" "d\n", {"line 2", "UTF-8", "byte 1"});
  refused("{\"text\":\"a\"}\n{\"text\":\"\"}\n", {"line 2", "empty"});
  refused("{\"text\":\"a\"}\n{\"text\":}\n", {"line 2", "JSON"});
  refused("{\"text\":\"a\"}\n{\"txet\":\"a\"}\n", {"line 2", "text"});
  refused("{\"text\":\"a\"}\n[1]\n", {"line 2", "object"});
  refused("{\"text\":\"a\"}\n{\"text\":\"a\",\"tokens\":[1]}\n", {"line 2", "either"});
  refused("{\"tokens\":[]}\n", {"line 1", "empty"});
  refused("{\"tokens\":[1,2]}\n{\"tokens\":[3,480]}\n", {"line 2", "token 1", "479", "480"});
  refused("{\"tokens\":[-1]}\n", {"line 1", "token 0"});
  refused("{\"tokens\":[1.5]}\n", {"line 1", "1.5"});
  refused("{\"tokens\":\"abc\"}\n", {"line 1", "array"});
  refused(std::string("\x1f\x8b\x08\x00", 4), {"read"});
}

TEST_CASE("files that are not there or cannot be written are named") {
  const Fixture fixture;
  check_refused(run({"embed", "--model", "/nowhere/model.gguf", "--input", "-"}, "a\n"), {"/nowhere/model.gguf"});
  check_refused(run({"embed", "--model", fixture.model, "--input", "/nowhere/texts"}), {"/nowhere/texts"});
  check_refused(run({"embed", "--model", fixture.model, "--input", fixture.model}), {"directory"});
  check_refused(run({"embed", "--model", fixture.model, "--input", "-", "--output", "/nowhere/out.npy"}, "a\n"),
                {"/nowhere/out.npy"});
  check_refused(run({"embed", "--model", fixture.model, "--input", "-", "--output", fixture.model}, "a\n"),
                {fixture.model, "directory"});
  check_refused(run({"embed", "--model", fixture.model, "--input", "-", "--calibration", "/nowhere"}, "a\n"),
                {"/nowhere/embedder.json"});
}

TEST_CASE("an output that is a pipe or a device is written to and not replaced, and a link stays a link") {
  const Fixture fixture;
  const auto embed = [&](const std::string& output) {
    return run({"embed", "--model", fixture.model, "--input", "-", "--output", output}, "a\n");
  };
  CHECK(embed("/dev/null").status == 0);
  CHECK(std::filesystem::is_character_file("/dev/null"));
  const std::string expected = embed("-").output;
  CHECK(embed("/dev/stdout").output == expected);
  const std::filesystem::path file = fixture.folder.write("file.jsonl", ""), link = fixture.folder / "link.jsonl";
  std::filesystem::create_symlink(file, link);
  CHECK(embed(link.string()).status == 0);
  CHECK(std::filesystem::is_symlink(link));
  CHECK(read_file(file) == expected);
}

TEST_CASE("an earlier output stays as it was when a later run fails") {
  const Fixture fixture;
  const std::string output = fixture.folder.write("vectors.jsonl", "earlier\n");
  const Outcome outcome =
      run({"embed", "--model", fixture.model, "--input", "-", "--output", output, "--batch-tokens", "1"}, "a\nb\n\n");
  check_refused(outcome, {"line 3"});
  CHECK(read_file(output) == "earlier\n");
}

TEST_CASE("a damaged model file is refused by name") {
  const Fixture fixture;
  const std::string weights = read_file(fixture.folder / "model/model.safetensors");
  fixture.folder.write("model/model.safetensors", weights.substr(0, weights.size() / 2));
  check_refused(run({"embed", "--model", fixture.model, "--input", "-"}, "a\n"), {"model.safetensors"});
  check_refused(run({"inspect", "--model", fixture.model}), {"model.safetensors"});
}

TEST_CASE("a tokenizer with more ids than the model has is refused when a text needs it") {
  const Fixture fixture;
  write_llama(fixture.model, {.vocabulary = 200});
  check_refused(run({"embed", "--model", fixture.model, "--input", "-"}, "a\n"), {"tokenizer.json", "200", "257"});
  CHECK(run({"embed", "--model", fixture.model, "--input", "-"}, "{\"tokens\":[5]}\n").status == 0);
}
