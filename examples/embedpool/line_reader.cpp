#include "line_reader.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "embedpool/core/error.hpp"

namespace embedpool::program {

LineReader::LineReader(const std::string& path) : name_(path == "-" ? "standard input" : path), buffer_(1 << 16) {
  const int descriptor = path == "-" ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw FileError(name_, "open", std::strerror(errno));
  struct stat status {};
  if (fstat(descriptor, &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      close(descriptor);
      throw FileError(name_, "open", "is a directory");
    }
    if (S_ISREG(status.st_mode)) bytes_ = static_cast<double>(status.st_size);
  }
  file_.reset(gzdopen(descriptor, "rb"));
  if (!file_) {
    close(descriptor);
    throw FileError(name_, "open", "not enough memory");
  }
  gzbuffer(file_.get(), 1 << 16);
}

bool LineReader::fill() {
  const int count = gzread(file_.get(), buffer_.data(), static_cast<unsigned>(buffer_.size()));
  int problem = Z_OK;
  const char* text = gzerror(file_.get(), &problem);
  // A compressed file that ends early gives its bytes first and Z_BUF_ERROR then.
  if (count < 0 || problem == Z_BUF_ERROR) {
    const std::string cause = problem == Z_ERRNO      ? std::strerror(errno)
                              : problem == Z_BUF_ERROR ? "the compressed data ends early"
                                                       : text;
    throw FileError(name_, "read", cause);
  }
  at_ = 0;
  end_ = static_cast<std::size_t>(count);
  return count > 0;
}

bool LineReader::next(std::string& line) {
  line.clear();
  bool any = false;
  for (;;) {
    if (at_ == end_ && !fill()) break;
    any = true;
    const char* begin = buffer_.data() + at_;
    const char* newline = static_cast<const char*>(std::memchr(begin, '\n', end_ - at_));
    const std::size_t bytes = newline ? static_cast<std::size_t>(newline - begin) : end_ - at_;
    line.append(begin, bytes);
    at_ += bytes + (newline ? 1 : 0);
    if (line.size() > longest_line)
      throw FileError(name_, "line " + std::to_string(line_number_ + 1),
                      "is longer than " + std::to_string(longest_line) + " bytes");
    if (newline) break;
  }
  if (!any) return false;
  ++line_number_;
  if (!line.empty() && line.back() == '\r') line.pop_back();
  if (line_number_ == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
  return true;
}

double LineReader::fraction() const {
  if (bytes_ <= 0) return 0;
  return std::clamp(static_cast<double>(gzoffset(file_.get())) / bytes_, 0.0, 1.0);
}

}  // namespace embedpool::program
