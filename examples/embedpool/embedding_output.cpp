#include "embedding_output.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "embedpool/io/npy_writer.hpp"

namespace embedpool::program {
namespace {

/// A file in a temporary folder of our own, for what goes to a stream in the end.
class Spool {
 public:
  Spool() {
    std::error_code problem;
    std::string pattern = (std::filesystem::temp_directory_path(problem) / "embedpool-XXXXXX").string();
    if (problem || mkdtemp(pattern.data()) == nullptr)
      throw FileError("temporary folder", "create", problem ? problem.message() : std::strerror(errno));
    folder_ = pattern;
  }
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;
  ~Spool() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::filesystem::path path() const { return folder_ / "output"; }

  /// Errors: FileError naming `name`, what the stream is called.
  void copy_to(std::FILE* stream, const std::string& name) const {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path().c_str(), "rb"), &std::fclose);
    if (!file) throw FileError(name, "temporary file", std::strerror(errno));
    std::vector<char> bytes(1 << 16);
    for (std::size_t count; (count = std::fread(bytes.data(), 1, bytes.size(), file.get())) > 0;)
      if (std::fwrite(bytes.data(), 1, count, stream) != count) throw FileError(name, "write", std::strerror(errno));
    if (std::fflush(stream) != 0) throw FileError(name, "write", std::strerror(errno));
  }

 private:
  std::filesystem::path folder_;
};

/// Where an output is written until it is whole, and where it appears then: a file is moved to its place; standard
/// output, and what else is no regular file (a pipe, /dev/null), is written at the end and never replaced.
class Target {
 public:
  explicit Target(const std::string& path) : path_(path) {
    std::error_code problem;
    const std::filesystem::file_status status = std::filesystem::status(path, problem);
    if (path != "-" && std::filesystem::is_directory(status))
      throw FileError(path, "open for writing", "is a directory");
    if (path == "-" || (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)))
      spool_.emplace();
    else if (std::filesystem::exists(status))  // a link stays a link
      path_ = std::filesystem::canonical(path, problem).string();
  }
  std::filesystem::path path() const { return spool_ ? spool_->path() : std::filesystem::path(path_); }
  void appear() const {
    if (!spool_) return;
    if (path_ == "-") return spool_->copy_to(stdout, "standard output");
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path_.c_str(), "wb"), &std::fclose);
    if (!file) throw FileError(path_, "open for writing", std::strerror(errno));
    spool_->copy_to(file.get(), path_);
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
