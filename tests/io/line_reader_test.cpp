#include "embedpool/io/line_reader.hpp"

#include <doctest/doctest.h>

#include "embedpool/io/json_lines.hpp"
#include "io/temporary_folder.hpp"

using namespace embedpool;

namespace {

using Lines = std::vector<std::string>;

Lines lines_of(const std::filesystem::path& path) {
  io::LineReader reader(path.string());
  Lines lines;
  for (std::string line; reader.next(line);) {
    lines.push_back(line);
    REQUIRE(reader.line_number() == static_cast<Index>(lines.size()));
  }
  return lines;
}

std::string compressed(const std::string& text, const test::TemporaryFolder& folder) {
  const std::string path = (folder / "packed.gz").string();
  const gzFile file = gzopen(path.c_str(), "wb");
  REQUIRE(gzwrite(file, text.data(), static_cast<unsigned>(text.size())) == static_cast<int>(text.size()));
  gzclose(file);
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

TEST_CASE("lines end with LF or CRLF, the last with or without, and nothing else ends one") {
  const test::TemporaryFolder folder;
  const auto lines = [&](const std::string& text) { return lines_of(folder.write("text", text)); };
  CHECK(lines("") == Lines{});
  CHECK(lines("a\nb") == Lines{"a", "b"});
  CHECK(lines("a\nb\n") == Lines{"a", "b"});
  CHECK(lines("a\r\nb\r\n") == Lines{"a", "b"});
  CHECK(lines("\n\n") == Lines{"", ""});
  CHECK(lines("a\rb\r\r\n") == Lines{"a\rb\r"});  // a lone CR is a character
  CHECK(lines(std::string("a\0b\nc", 5)) == Lines{std::string("a\0b", 3), "c"});
  CHECK(lines("a\xE2\x80\xA8" "b\x0b" "c\n") == Lines{"a\xE2\x80\xA8" "b\x0b" "c"});  // U+2028 and VT end no line
  CHECK(lines("\xEF\xBB\xBF" "a\n\xEF\xBB\xBF" "b") == Lines{"a", "\xEF\xBB\xBF" "b"});  // a byte order mark is the file's, not the text's
}

TEST_CASE("lines are the same wherever they cross the edges of what is read at once") {
  const test::TemporaryFolder folder;
  constexpr std::size_t piece = 1 << 16;
  for (const std::size_t length : {piece - 2, piece - 1, piece, piece + 1, 3 * piece}) {
    const std::string filler(length, 'x');
    CHECK(lines_of(folder.write("text", filler + "\r\nlast\n")) == Lines{filler, "last"});
  }
}

TEST_CASE("compressed files give the lines of the plain file, in several members too") {
  const test::TemporaryFolder folder;
  const std::string text = "first\r\n" + std::string(200000, 'y') + "\nlast";
  const auto path = folder.write("text.gz", compressed(text, folder));
  CHECK(lines_of(path) == lines_of(folder.write("text", text)));
  CHECK(lines_of(folder.write("two.gz", compressed("a\nb", folder) + compressed("c\nd\n", folder))) == Lines{"a", "bc", "d"});
}

TEST_CASE("a compressed file that is cut or damaged is refused by name, at every place") {
  const test::TemporaryFolder folder;
  const std::string text = "first line\nsecond line\nthird line\n", whole = compressed(text, folder);
  for (std::size_t length = 3; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK_THROWS_WITH_AS(lines_of(folder.write("cut.gz", whole.substr(0, length))), doctest::Contains("cut.gz"), FileError);
  }
  for (std::size_t byte = 10; byte < whole.size(); ++byte) {  // behind the header, whose date and flags may be anything
    std::string damaged = whole;
    damaged[byte] = static_cast<char>(damaged[byte] ^ 0x10);
    CAPTURE(byte);
    CHECK_THROWS_WITH_AS(lines_of(folder.write("bad.gz", damaged)), doctest::Contains("bad.gz"), FileError);
  }
}

TEST_CASE("invalid UTF-8 is refused with line and byte, in every form it takes") {
  const test::TemporaryFolder folder;
  const std::pair<std::string, std::string> cases[] = {
      {"ok\nab\xff\n", "line 2: invalid UTF-8 at byte 2"},
      {"\x80\n", "line 1: invalid UTF-8 at byte 0"},                // continuation without a lead
      {"a\xC0\x80\n", "line 1: invalid UTF-8 at byte 1"},           // overlong NUL
      {"a\xED\xA0\x80\n", "line 1: invalid UTF-8 at byte 1"},       // surrogate
      {"a\xF4\x90\x80\x80\n", "line 1: invalid UTF-8 at byte 1"},   // above U+10FFFF
      {"a\xE2\x82", "line 1: invalid UTF-8 at byte 1"},             // the file ends inside a character
      {std::string("\xFF\xFE" "a\0\n\0", 6), "line 1: invalid UTF-8 at byte 0"}};  // UTF-16
  for (const auto& [text, cause] : cases)
    CHECK_THROWS_WITH_AS(lines_of(folder.write("text", text)), doctest::Contains(cause.c_str()), FileError);
  CHECK(lines_of(folder.write("text", "\xC3\xA9\xF0\x9F\x98\x80\n")).size() == 1);
}

TEST_CASE("a line without end is refused before it fills the memory") {
  const test::TemporaryFolder folder;
  const auto path = folder.write("text", "a\n");
  std::filesystem::resize_file(path, io::LineReader::longest_line + 100);  // holes read as NUL bytes
  CHECK_THROWS_WITH_AS(lines_of(path), doctest::Contains("line 2: is longer than"), FileError);
}

TEST_CASE("missing files and folders are refused by name; what is read is known as a share of the file") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(io::LineReader((folder / "none").string()), doctest::Contains("none: open: No such file"), FileError);
  CHECK_THROWS_WITH_AS(io::LineReader((folder / "").string()), doctest::Contains("is a directory"), FileError);
  io::LineReader reader(folder.write("text", "a\nb\n").string());
  for (std::string line; reader.next(line);) CHECK(reader.fraction() <= 1);
  CHECK(reader.fraction() == 1);
  CHECK_THROWS_WITH_AS(reader.fail("cause"), doctest::Contains("text: line 2: cause"), FileError);
}

TEST_CASE("JSON lines give a value a line, and errors with file and line") {
  const test::TemporaryFolder folder;
  io::JsonLines lines(folder.write("data.jsonl", "{\"a\": 1}\r\n\n  \t\n[2]\n{\"a\": \"x\"}\n{\"a\": }\n").string());
  io::Json value;
  REQUIRE(lines.next(value));
  CHECK(lines.object(value).integer("a", 0, 9) == 1);
  REQUIRE(lines.next(value));
  CHECK(value == io::Json::array({2}));
  CHECK(lines.lines().line_number() == 4);
  CHECK_THROWS_WITH_AS(lines.object(value), doctest::Contains("data.jsonl: line 4: must be a JSON object"), FileError);
  REQUIRE(lines.next(value));
  CHECK_THROWS_WITH_AS(lines.object(value).integer("a", 0, 9), doctest::Contains("data.jsonl: line 5.a"), FileError);
  CHECK_THROWS_WITH_AS(lines.next(value), doctest::Contains("data.jsonl: line 6: not valid JSON"), FileError);
  CHECK(!lines.next(value));
}
