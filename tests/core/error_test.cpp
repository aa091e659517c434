#include "embedpool/core/error.hpp"

#include <doctest/doctest.h>

using namespace embedpool;

TEST_CASE("a file error names file, place and cause, and leaves out a place that is not given") {
  CHECK(std::string(FileError("model.gguf", "tensor a", "missing").what()) == "model.gguf: tensor a: missing");
  CHECK(std::string(FileError("model.gguf", "", "is empty").what()) == "model.gguf: is empty");
}

TEST_CASE("whatever a hostile file calls its parts, the message is one line that no terminal obeys") {
  const std::string message = FileError("a\nb", "\x1b[31mred\r", std::string("c\0d\x7f", 4)).what();
  CHECK(message == "a\\x0ab: \\x1b[31mred\\x0d: c\\x00d\\x7f");
  CHECK(std::string(FileError("caf\xC3\xA9", "", "\xE4\xB8\xAD").what()) == "caf\xC3\xA9: \xE4\xB8\xAD");  // letters stay
}

TEST_CASE("a message is cut between characters, and says so") {
  CHECK(detail::printable("abcdef", 6) == "abcdef");
  CHECK(detail::printable("abcdef", 3) == "abc...");
  CHECK(detail::printable("ab\xE4\xB8\xAD" "d", 3) == "ab...");
  CHECK(detail::printable("ab\xE4\xB8\xAD" "d", 4) == "ab...");
  CHECK(detail::printable("ab\xE4\xB8\xAD" "d", 5) == "ab\xE4\xB8\xAD...");
  CHECK(detail::printable(std::string(10, '\x80'), 5) == "...");  // no character at all
  CHECK(std::string(FileError("f", std::string(1 << 20, 'x'), std::string(1 << 20, 'y')).what()).size() < 2000);
}

TEST_CASE("range and equality checks pass what fits, both ends included, and name what does not") {
  CHECK_NOTHROW(require_in("place", "count", 2, 2, 5));
  CHECK_NOTHROW(require_in("place", "count", 5, 2, 5));
  CHECK_THROWS_WITH_AS(require_in("place", "count", 1, 2, 5), "place: count must be in [2, 5], got 1", ShapeError);
  CHECK_THROWS_AS(require_in("place", "count", 6, 2, 5), ShapeError);
  CHECK_NOTHROW(require_equal("place", "width", 3, 3));
  CHECK_THROWS_WITH_AS(require_equal("place", "width", 4, 3), "place: width must be 3, got 4", ShapeError);
}
