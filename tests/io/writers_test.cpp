#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>

#include "embedpool/io/npy_writer.hpp"

using namespace embedpool;

namespace {

std::filesystem::path folder() {
  const auto path = std::filesystem::temp_directory_path() / ("embedpool_writers_" + std::to_string(getpid()));
  std::filesystem::create_directories(path);
  return path;
}
std::string contents(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return (std::stringstream() << stream.rdbuf()).str();
}
Index files_in(const std::filesystem::path& path) {
  return std::distance(std::filesystem::directory_iterator(path), std::filesystem::directory_iterator());
}

}  // namespace

TEST_CASE("a file appears whole at commit, replaces the old one, and leaves nothing when it is given up") {
  const auto path = folder() / "file";
  {
    io::AtomicFile file(path);
    file.write("half of ");
    CHECK(!std::filesystem::exists(path));
  }
  CHECK(files_in(folder()) == 0);
  for (const std::string text : {"first", "second"}) {
    io::AtomicFile file(path);
    file.write(text);
    file.commit();
    CHECK(contents(path) == text);
  }
  CHECK(files_in(folder()) == 1);
  std::filesystem::remove_all(folder());
  CHECK_THROWS_WITH_AS(io::AtomicFile("/no/such/folder/file"), doctest::Contains("/no/such/folder/file"), FileError);
}

TEST_CASE("a write that the system refuses is reported and leaves the old file") {
  const auto path = folder() / "file";
  {
    io::AtomicFile file(path);
    file.write("old");
    file.commit();
  }
  // A limit on the size of files makes writes fail as a full disk does.
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 1000;
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto write_much = [&] {
    io::AtomicFile file(path);
    file.write(std::string(100000, 'x'));
    file.commit();
  };
  CHECK_THROWS_WITH_AS(write_much(), doctest::Contains("write"), FileError);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(contents(path) == "old");
  CHECK(files_in(folder()) == 1);
  std::filesystem::remove_all(folder());
}

TEST_CASE("an npy file holds its rows behind a header of a multiple of 64 bytes with the final count") {
  const auto path = folder() / "rows.npy";
  const float values[] = {1, 2, 3, 4, 5, 6};
  {
    io::NpyWriter writer(path);
    writer.append({values, 2, 2});
    writer.append({values + 4, 1, 2});
    CHECK_THROWS_AS(writer.append({values, 1, 3}), ShapeError);
    writer.commit();
  }
  const std::string bytes = contents(path);
  REQUIRE(bytes.size() == 128 + 24);
  CHECK(bytes.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
  CHECK(static_cast<unsigned char>(bytes[8]) + 256 * static_cast<unsigned char>(bytes[9]) == 118);
  CHECK(bytes.find("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }") == 10);
  CHECK(bytes[127] == '\n');
  CHECK(std::memcmp(bytes.data() + 128, values, 24) == 0);
  {
    io::NpyWriter writer(path);
    writer.commit();
  }
  CHECK(contents(path).find("(0, 0)") != std::string::npos);
  std::filesystem::remove_all(folder());
}

TEST_CASE("two writers of the same file do not meet: the last to commit counts") {
  const auto path = folder() / "file";
  io::AtomicFile one(path), two(path);
  one.write("one");
  two.write("second");
  two.commit();
  CHECK(contents(path) == "second");
  one.commit();
  CHECK(contents(path) == "one");
  CHECK(files_in(folder()) == 1);
  std::filesystem::remove_all(folder());
}

TEST_CASE("a folder in the place of a file is refused before anything is written") {
  std::filesystem::create_directories(folder() / "file");
  CHECK_THROWS_WITH_AS(io::AtomicFile(folder() / "file"), doctest::Contains("file: open for writing: is a directory"), FileError);
  CHECK(files_in(folder()) == 1);
  std::filesystem::remove_all(folder());
}
