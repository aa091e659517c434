#pragma once
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace embedpool::test {

/// A folder of this process's own, gone at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() { std::filesystem::create_directories(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  /// A file with these bytes; folders in front of it are made.
  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

 private:
  static std::filesystem::path fresh() {
    static int count = 0;
    return std::filesystem::temp_directory_path() /
           ("embedpool_test_" + std::to_string(getpid()) + "_" + std::to_string(++count));
  }
  std::filesystem::path path_ = fresh();
};

}  // namespace embedpool::test
