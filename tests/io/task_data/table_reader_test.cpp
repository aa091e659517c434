#include "embedpool/io/task_data/table_reader.hpp"

#include <doctest/doctest.h>

#include "embedpool/io/task_data/data_file.hpp"
#include "embedpool/io/task_data/json_texts.hpp"
#include "io/temporary_folder.hpp"

using namespace embedpool;
using embedpool::test::TemporaryFolder;

namespace {

/// The message of the FileError that `read` throws, behind the file's name.
template <class Read>
std::string refusal(Read&& read) {
  try {
    read();
  } catch (const FileError& error) {
    const std::string message = error.what();
    return message.substr(message.find(": ") + 2);
  }
  return "";
}

}  // namespace

TEST_CASE("columns are found by name, in any order and beside others") {
  const TemporaryFolder folder;
  io::TableReader table(folder.write("t.tsv", "extra\tscore\ttext\n-\t2.5\ta \"b\"\n-\t7\tc\n").string(), {"text", "score"});
  REQUIRE(table.next());
  CHECK(table.text(0, "text") == "a \"b\"");  // nothing is quoted
  CHECK(table.number(1, "score") == 2.5);
  REQUIRE(table.next());
  CHECK(table.field(0) == "c");
  CHECK(table.integer(1, "score") == 7);
  CHECK_FALSE(table.next());
}

TEST_CASE("what a table lacks is refused with its line") {
  const TemporaryFolder folder;
  const auto opened = [&](const std::string& content) {
    return io::TableReader(folder.write("t.tsv", content).string(), {"a", "b"});
  };
  CHECK(refusal([&] { opened(""); }) == "is empty, where a header line must be");
  CHECK(refusal([&] { opened("a\tc\n"); }) == "line 1: the header names no column 'b'");
  CHECK(refusal([&] { opened("a\tb\ta\n"); }) == "line 1: the header names 'a' twice");
  const auto first = [&](const std::string& record, auto read) {
    io::TableReader table = opened("a\tb\n" + record + "\n");
    return refusal([&] {
      table.next();
      read(table);
    });
  };
  const auto nothing = [](auto&) {};
  CHECK(first("1", nothing) == "line 2: has 1 fields, where the header has 2");
  CHECK(first("1\t2\t3", nothing) == "line 2: has 3 fields, where the header has 2");
  CHECK(first(" \t2", [](auto& table) { table.text(0, "a"); }) == "line 2: a is empty");
  for (const std::string bad : {"", "x", "1x", " 1", "nan", "inf", "1e999"}) {
    CAPTURE(bad);
    CHECK(first("1\t" + bad, [](auto& table) { table.number(1, "b"); }) == "line 2: b is no number: '" + bad + "'");
  }
  CHECK(first("1\t1.5", [](auto& table) { table.integer(1, "b"); }) == "line 2: b is no whole number: '1.5'");
}

TEST_CASE("a data file may be compressed; plain ones and earlier names come first") {
  const TemporaryFolder folder;
  folder.write("one.tsv.gz", "");
  CHECK(io::has_data_file(folder / "", "one.tsv"));
  CHECK_FALSE(io::has_data_file(folder / "", "two.tsv"));
  CHECK(io::find_data_file(folder / "", {"zero.tsv", "one.tsv"}).ends_with("one.tsv.gz"));
  folder.write("one.tsv", "");
  folder.write("two.tsv", "");
  CHECK(io::find_data_file(folder / "", {"one.tsv", "two.tsv"}).ends_with("one.tsv"));
  CHECK(refusal([&] { io::find_data_file(folder / "", {"x.tsv", "y.tsv"}); }) ==
        "there is no x.tsv, y.tsv, plain or with .gz behind it");
}

TEST_CASE("texts are a list or a single one, numbers as many as there are texts") {
  const io::Json json = {{"one", "a"}, {"list", {"a", "b"}}, {"blank", {"a", " "}}, {"mixed", {"a", 1}},
                         {"numbers", {1, 2.5}}, {"words", {1, "two"}}};
  const io::JsonObject object(json, "f.jsonl", "line 3");
  CHECK(io::texts_of(object, "one") == std::vector<std::string>{"a"});
  CHECK(io::texts_of(object, "list") == std::vector<std::string>{"a", "b"});
  CHECK(io::numbers_of(object, "numbers", 2) == std::vector<double>{1, 2.5});
  for (const std::string key : {"blank", "mixed", "numbers", "missing"}) {
    CAPTURE(key);
    CHECK(refusal([&] { io::texts_of(object, key); }).find(key) != std::string::npos);
  }
  CHECK(refusal([&] { io::numbers_of(object, "numbers", 3); }).find("2 numbers, where there are 3 texts") != std::string::npos);
  CHECK(refusal([&] { io::numbers_of(object, "words", 2); }).find("\"two\"") != std::string::npos);
  CHECK(refusal([&] { io::numbers_of(object, "one", 1); }).find("a list of numbers") != std::string::npos);
}
