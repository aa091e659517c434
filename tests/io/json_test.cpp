#include "embedpool/io/json.hpp"

#include <doctest/doctest.h>

#include "io/damaged_files.hpp"
#include "io/temporary_folder.hpp"

using namespace embedpool;
using io::Json;
using io::JsonObject;

TEST_CASE("JSON is asked by key, and every wrong value is refused with file and key") {
  const Json json = io::parse_json(
      R"({"n": 3, "whole": 4.0, "half": 0.5, "big": 1e30, "s": "x", "null": null, "o": {"k": []}})", "c.json");
  const JsonObject object(json, "c.json");
  CHECK(object.integer("n", 0, 10) == 3);
  CHECK(object.integer("whole", 0, 10) == 4);
  CHECK(!object.has("null"));
  CHECK(object.integer_or("absent", 7, 0, 10) == 7);
  CHECK(object.number("half") == 0.5);
  CHECK_THROWS_WITH_AS(object.integer("half", 0, 10), doctest::Contains("c.json: half"), FileError);
  CHECK_THROWS_WITH_AS(object.integer("n", 4, 10), doctest::Contains("[4, 10], got 3"), FileError);
  CHECK_THROWS_AS(object.integer("big", 0, 10), FileError);
  CHECK_THROWS_AS(object.integer("s", 0, 10), FileError);
  CHECK_THROWS_AS(object.string("n"), FileError);
  CHECK_THROWS_AS(object.boolean_or("n", true), FileError);
  CHECK_THROWS_WITH_AS(object.object("o").integer("k", 0, 1), doctest::Contains("o.k"), FileError);
  CHECK_THROWS_WITH_AS(object.at("absent"), "c.json: absent: missing", FileError);
}

TEST_CASE("integers are exact up to the ends of their range, and none wraps around") {
  const Json json = io::parse_json(
      R"({"odd": 9007199254740993, "most": 9223372036854775807, "over": 9223372036854775808, "huge": 18446744073709551615,
          "least": -9223372036854775808, "under": -9223372036854775809})", "c.json");
  const JsonObject object(json, "c.json");
  constexpr Index least = std::numeric_limits<Index>::min(), most = std::numeric_limits<Index>::max();
  CHECK(object.integer("odd", least, most) == 9007199254740993);  // no double holds it
  CHECK_THROWS_AS(object.integer("odd", 0, 9007199254740992), FileError);
  CHECK(object.integer("most", least, most) == most);
  CHECK(object.integer("least", least, most) == least);
  for (const char* key : {"over", "huge", "under"}) CHECK_THROWS_AS(object.integer(key, least, most), FileError);
}

TEST_CASE("what is not JSON is refused with its line and column") {
  const auto refused = [](const std::string& text, const char* cause) {
    CAPTURE(text);
    CHECK_THROWS_WITH_AS(io::parse_json(text, "c.json"), doctest::Contains(cause), FileError);
    CHECK_THROWS_WITH_AS(io::parse_json(text, "c.json"), doctest::Contains("c.json"), FileError);
  };
  refused("", "line 1");
  refused("{\"a\": }", "line 1, column 7");
  refused("{\n\"a\": 1,\n\"b\": x\n}", "line 3");
  refused("{} {}", "line 1");
  for (const char* value : {"NaN", "Infinity", "-Infinity", "01", "+1", ".5", "'a'", "/**/1", "[1,]"}) refused(value, "not valid JSON");
  refused("1e999", "overflow");
  refused("\"\xff\"", "UTF-8");
  refused("\"\\ud800\"", "surrogate");
  refused(std::string("\"a\0b\"", 5), "not valid JSON");
  refused(std::string(1000000, '['), "nested too deeply");
  refused(std::string(65, '[') + std::string(65, ']'), "nested too deeply");
  CHECK_NOTHROW(io::parse_json(std::string(64, '[') + std::string(64, ']'), "c.json"));
  // Brackets in a string nest nothing, behind an escaped quote too; behind a string that ends in a backslash they do.
  CHECK_NOTHROW(io::parse_json(R"("\")" + std::string(100, '[') + "\"", "c.json"));
  refused(R"(["\\",)" + std::string(100, '['), "nested too deeply");
}

TEST_CASE("a key that stands twice counts as its last value, or is refused where that is asked") {
  const std::string text = R"({"a": {"x": 1}, "b": [{"x": 2}, {"x": 3}], "a": 4})";
  CHECK(io::parse_json(text, "c.json")["a"] == 4);
  const auto strict = [](const std::string& json) { return io::parse_json(json, "c.json", "", io::DuplicateKeys::refused); };
  CHECK_THROWS_WITH_AS(strict(text), "c.json: the key 'a' stands twice", FileError);
  CHECK_THROWS_WITH_AS(strict(R"({"b": [{"x": 2, "x": 3}]})"), doctest::Contains("'x' stands twice"), FileError);
  const std::string apart = R"({"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}], "c": {"a": {"a": []}}})";
  CHECK(strict(apart) == Json::parse(apart));
}

TEST_CASE("damaged JSON is read or refused, never anything else") {
  const std::string text = R"({"a": [1, -2.5e3, true, null], "b\u00e9": {"c": "d\n\"e\\"}, "f": [[], {}]})";
  for (const auto duplicates : {io::DuplicateKeys::last_counts, io::DuplicateKeys::refused})
    test::check_damaged_files(text, text.size(), "c.json", [&](std::span<const std::byte> bytes) {
      io::parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "c.json", "", duplicates);
    });
}

TEST_CASE("a file larger than any real configuration is refused before it is parsed") {
  const test::TemporaryFolder folder;
  const auto path = folder.write("c.json", "{}");
  CHECK(io::read_json(path) == Json::object());
  std::filesystem::resize_file(path, io::json_size_limit + 1);  // holes take no space on the disk
  CHECK_THROWS_WITH_AS(io::read_json(path), doctest::Contains("larger than a JSON file"), FileError);
}
