#include "embedpool/io/mapped_file.hpp"

#include <doctest/doctest.h>

#include "io/temporary_folder.hpp"

using namespace embedpool;

namespace {

std::string text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace

TEST_CASE("a mapped file shows the bytes of the file, and an empty file shows none") {
  const test::TemporaryFolder folder;
  const auto file = io::MappedFile::open(folder.write("file", std::string("ab\0c", 4)));
  CHECK(text_of(file->bytes()) == std::string("ab\0c", 4));
  CHECK(file->name() == (folder / "file").string());
  const auto empty = io::MappedFile::open(folder.write("empty", ""));
  CHECK(empty->bytes().empty());
}

TEST_CASE("hints about reading change no byte") {
  const test::TemporaryFolder folder;
  for (const std::string& content : {std::string(), std::string(10000, 'x')}) {
    const auto file = io::MappedFile::open(folder.write("file", content));
    for (const io::Access access : {io::Access::soon, io::Access::sequential, io::Access::random, io::Access::normal}) {
      file->expect(access);
      CHECK(text_of(file->bytes()) == content);
    }
  }
}

TEST_CASE("a mapped file stays as it was while its path is given to another file or removed") {
  const test::TemporaryFolder folder;
  const auto path = folder.write("file", "old");
  const auto file = io::MappedFile::open(path);
  std::filesystem::rename(folder.write("other", "new"), path);
  CHECK(text_of(file->bytes()) == "old");
  std::filesystem::remove(path);
  CHECK(text_of(file->bytes()) == "old");
}

TEST_CASE("what is no regular file is refused by name and reason, a pipe without waiting for a writer") {
  const test::TemporaryFolder folder;
  const auto refused = [](const std::filesystem::path& path, const char* cause) {
    CHECK_THROWS_WITH_AS(io::MappedFile::open(path), doctest::Contains(path.c_str()), FileError);
    CHECK_THROWS_WITH_AS(io::MappedFile::open(path), doctest::Contains(cause), FileError);
  };
  refused(folder / "none", "No such file");
  refused(folder / "", "is a directory");
  refused("/dev/null", "not a regular file");
  const auto pipe = folder / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  refused(pipe, "not a regular file");
}
