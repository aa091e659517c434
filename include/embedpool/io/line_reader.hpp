#pragma once
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/io/tokenizer/utf8.hpp"

namespace embedpool::io {

/// Lines of UTF-8 text of a file or of standard input ("-"), plain or gzip-compressed, read in pieces: memory grows with
/// the longest line alone. A line ends with "\n" or "\r\n", the last one with or without; a byte order mark in front of
/// the first is dropped; NUL bytes are bytes like others.
///
/// Errors  FileError naming the file, and the line: it cannot be opened or read, its compressed data is broken or ends
///         early, a line is too long or no valid UTF-8 (with the byte, counted from 0)
class LineReader {
 public:
  static constexpr std::size_t longest_line = std::size_t(1) << 26;

  explicit LineReader(const std::string& path) : name_(path == "-" ? "standard input" : path), buffer_(1 << 16) {
    const int descriptor = path == "-" ? dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) throw FileError(name_, "open", std::strerror(errno));
    struct stat status {};
    if (fstat(descriptor, &status) == 0) {
      if (S_ISDIR(status.st_mode)) {
        ::close(descriptor);
        throw FileError(name_, "open", "is a directory");
      }
      if (S_ISREG(status.st_mode)) bytes_ = static_cast<double>(status.st_size);
    }
    file_.reset(gzdopen(descriptor, "rb"));
    if (!file_) {
      ::close(descriptor);
      throw FileError(name_, "open", "not enough memory");
    }
    gzbuffer(file_.get(), 1 << 16);
  }

  /// The next line without its end. False at the end of the file.
  bool next(std::string& line) {
    line.clear();
    bool any = false;
    while (at_ < end_ || fill()) {
      any = true;
      const char* begin = buffer_.data() + at_;
      const auto* newline = static_cast<const char*>(std::memchr(begin, '\n', end_ - at_));
      const std::size_t bytes = newline != nullptr ? static_cast<std::size_t>(newline - begin) : end_ - at_;
      if (bytes > longest_line - line.size())
        fail_at(line_number_ + 1, "is longer than " + std::to_string(longest_line) + " bytes");
      line.append(begin, bytes);
      at_ += bytes + (newline != nullptr ? 1 : 0);
      if (newline != nullptr) break;
    }
    if (!any) return false;
    ++line_number_;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (const std::size_t bad = tokenizing::first_invalid_utf8(line); bad != std::string::npos)
      fail("invalid UTF-8 at byte " + std::to_string(bad));
    if (line_number_ == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    return true;
  }

  const std::string& name() const noexcept { return name_; }
  Index line_number() const noexcept { return line_number_; }  ///< of the line that next() gave last, from 1

  /// How much of the file has been read, in [0, 1]; 0 where the size is not known.
  double fraction() const {
    return bytes_ <= 0 ? 0 : std::clamp(static_cast<double>(gzoffset(file_.get())) / bytes_, 0.0, 1.0);
  }

  /// A FileError at the line that next() gave last.
  [[noreturn]] void fail(std::string_view cause) const { fail_at(line_number_, cause); }

 private:
  [[noreturn]] void fail_at(Index line, std::string_view cause) const {
    throw FileError(name_, "line " + std::to_string(line), cause);
  }

  bool fill() {
    const int count = gzread(file_.get(), buffer_.data(), static_cast<unsigned>(buffer_.size()));
    int problem = Z_OK;
    const char* text = gzerror(file_.get(), &problem);
    // A compressed file that ends early gives its bytes first and Z_BUF_ERROR then.
    if (count < 0 || problem == Z_BUF_ERROR)
      throw FileError(name_, "read",
                      problem == Z_ERRNO       ? std::strerror(errno)
                      : problem == Z_BUF_ERROR ? "the compressed data ends early"
                                               : text);
    at_ = 0;
    end_ = static_cast<std::size_t>(count);
    return count > 0;
  }

  struct Close {
    void operator()(gzFile file) const noexcept { gzclose_r(file); }
  };
  std::string name_;
  std::unique_ptr<gzFile_s, Close> file_;
  std::vector<char> buffer_;
  std::size_t at_ = 0, end_ = 0;
  Index line_number_ = 0;
  double bytes_ = 0;
};

}  // namespace embedpool::io
