#include "embedding_output.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "embedpool/io/npy_writer.hpp"

namespace embedpool::program {
namespace {

/// Standard output, written at the end: until then a file in a temporary folder of our own.
class Spool {
 public:
  Spool() {
    std::error_code problem;
    std::string pattern = (std::filesystem::temp_directory_path(problem) / "embedpool-XXXXXX").string();
    if (problem || mkdtemp(pattern.data()) == nullptr)
      throw FileError("standard output", "temporary folder", problem ? problem.message() : std::strerror(errno));
    folder_ = pattern;
  }
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;
  ~Spool() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::filesystem::path path() const { return folder_ / "output"; }

  void copy_to_standard_output() const {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path().c_str(), "rb"), &std::fclose);
    if (!file) throw FileError("standard output", "temporary file", std::strerror(errno));
    std::vector<char> bytes(1 << 16);
    for (std::size_t count; (count = std::fread(bytes.data(), 1, bytes.size(), file.get())) > 0;)
      if (std::fwrite(bytes.data(), 1, count, stdout) != count) fail();
    if (std::fflush(stdout) != 0) fail();
  }

 private:
  [[noreturn]] static void fail() { throw FileError("standard output", "write", std::strerror(errno)); }
  std::filesystem::path folder_;
};

/// A file at a path, or a spool for "-".
class Target {
 public:
  explicit Target(const std::string& path) : path_(path) {
    if (path == "-") spool_.emplace();
  }
  std::filesystem::path path() const { return spool_ ? spool_->path() : std::filesystem::path(path_); }
  void appear() const {
    if (spool_) spool_->copy_to_standard_output();
  }

 private:
  std::string path_;
  std::optional<Spool> spool_;
};

/// Neither format could say what such a value means, and JSON cannot even write it.
void require_finite(std::span<const float> values, Index text) {
  for (const float value : values)
    if (!std::isfinite(value))
      throw Error("text " + std::to_string(text + 1) + ": the embedding holds a value that is not finite");
}

class NpyOutput final : public EmbeddingOutput {
 public:
  explicit NpyOutput(const std::string& path) : target_(path), writer_(target_.path()) {}

  void write(const Matrix<float>& embeddings, const std::vector<Index>& row, const std::vector<io::Json>&) override {
    const Rows<const float> rows = rows_of(embeddings);
    for (const Index r : row) {
      require_finite(rows.row(r), count_++);
      writer_.append(rows.middle_rows(r, 1));
    }
  }
  void commit() override {
    writer_.commit();
    target_.appear();
  }

 private:
  Target target_;
  io::NpyWriter writer_;
  Index count_ = 0;
};

/// {"index":0,"id":...,"embedding":[...]}: floats in the fewest digits that read back as the same float.
class JsonLinesOutput final : public EmbeddingOutput {
 public:
  explicit JsonLinesOutput(const std::string& path) : target_(path), file_(target_.path()) {}

  void write(const Matrix<float>& embeddings, const std::vector<Index>& row, const std::vector<io::Json>& ids) override {
    const Rows<const float> rows = rows_of(embeddings);
    for (std::size_t i = 0; i < row.size(); ++i) {
      require_finite(rows.row(row[i]), count_);
      std::string line = "{\"index\":" + std::to_string(count_++);
      if (!ids[i].is_null()) line += ",\"id\":" + ids[i].dump();
      line += ",\"embedding\":[";
      char digits[32];
      for (const float value : rows.row(row[i])) {
        if (line.back() != '[') line += ',';
        line.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
      }
      line += "]}\n";
      file_.write(line);
    }
  }
  void commit() override {
    file_.commit();
    target_.appear();
  }

 private:
  Target target_;
  io::AtomicFile file_;
  Index count_ = 0;
};

}  // namespace

std::unique_ptr<EmbeddingOutput> EmbeddingOutput::open(const std::string& path,
                                                       const std::optional<std::string>& format) {
  const std::string chosen = format.value_or(path.ends_with(".npy") ? "npy" : "jsonl");
  if (chosen == "npy") return std::make_unique<NpyOutput>(path);
  if (chosen == "jsonl") return std::make_unique<JsonLinesOutput>(path);
  throw ShapeError("--format must be npy or jsonl, got " + chosen);
}

}  // namespace embedpool::program
