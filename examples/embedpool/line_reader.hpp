#pragma once
#include <zlib.h>

#include <memory>
#include <string>
#include <vector>

#include "embedpool/core/types.hpp"

namespace embedpool::program {

/// Lines of a file or of standard input ("-"), plain or gzip-compressed, read in pieces: memory does not grow with the
/// file. A line ends with "\n" or "\r\n"; a byte order mark in front of the first is dropped.
///
/// Errors  FileError naming the file: it cannot be opened or read, its compressed data is broken, a line is too long
class LineReader {
 public:
  explicit LineReader(const std::string& path);

  /// The next line without its end. False at the end of the file.
  bool next(std::string& line);

  const std::string& name() const noexcept { return name_; }
  Index line_number() const noexcept { return line_number_; }  ///< of the line that next() gave last, from 1
  double fraction() const;  ///< how much of the file has been read, in [0, 1]; 0 where the size is not known

 private:
  bool fill();

  static constexpr std::size_t longest_line = std::size_t(1) << 26;
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

}  // namespace embedpool::program
