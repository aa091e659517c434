#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "embedpool/io/atomic_file.hpp"
#include "io/temporary_folder.hpp"

using namespace embedpool;

namespace {

std::string content(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}
auto entries(const std::filesystem::path& folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

}  // namespace

TEST_CASE("a file is there after commit and not before, and nothing else is left") {
  const test::TemporaryFolder folder;
  const auto path = folder / "out";
  {
    io::AtomicFile file(path);
    file.write("0000 body");
    CHECK_FALSE(std::filesystem::exists(path));
    file.rewrite_begin(std::as_bytes(std::span("head", 4)));
    file.write(" and end");
    file.commit();
  }
  CHECK(content(path) == "head body and end");
  CHECK(entries(path.parent_path()) == 1);
}

TEST_CASE("without a commit a file that was there stays as it is") {
  const test::TemporaryFolder folder;
  const auto path = folder / "out";
  std::ofstream(path) << "before";
  {
    io::AtomicFile one(path), other(path);  // two writers at once do not meet
    one.write("half of");
    other.write("something else");
  }
  CHECK(content(path) == "before");
  CHECK(entries(path.parent_path()) == 1);
}

TEST_CASE("what killed writers left of a file is removed, and nothing else") {
  const test::TemporaryFolder folder;
  const auto make = [&](const char* name) { std::ofstream(folder / name) << "half"; };
  for (const char* name : {"out", "out.part7-0", "out.part81-12", "out.part", "out.part1-0.bak", "an out.part7-0"}) make(name);
  io::remove_unfinished(folder / "out");
  io::remove_unfinished(folder / "no folder/out");
  CHECK(entries(folder / "") == 4);
  for (const char* name : {"out", "out.part", "out.part1-0.bak", "an out.part7-0"}) CHECK(std::filesystem::exists(folder / name));
}

TEST_CASE("a folder in the way, and a folder that is not there, are refused by name") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(io::AtomicFile{(folder / "x").parent_path()}, doctest::Contains("is a directory"), FileError);
  CHECK_THROWS_WITH_AS(io::AtomicFile{folder / "no/out"}, doctest::Contains("No such file"), FileError);
}
