#pragma once
#include <string>

#include "embedpool/core/rows.hpp"
#include "embedpool/io/atomic_file.hpp"

namespace embedpool::io {

/// Writes a NumPy .npy file (version 1.0) of float32 rows as they come; the number of rows is filled in at the end.
///
/// Errors  ShapeError for rows of another width; FileError when the file cannot be written
/// Source  numpy.lib.format
class NpyWriter {
 public:
  explicit NpyWriter(const std::filesystem::path& path) : file_(path) {}

  void append(Rows<const float> rows) {
    if (!started_) {
      width_ = rows.cols;
      file_.write(header());  // of the same length as the last one
      started_ = true;
    }
    require_equal("npy writer", "width of a row", rows.cols, width_);
    for (Index i = 0; i < rows.rows; ++i) file_.write(std::as_bytes(rows.row(i)));
    count_ += rows.rows;
  }

  void commit() {
    const std::string text = header();
    if (started_)
      file_.rewrite_begin(std::as_bytes(std::span(text.data(), text.size())));
    else
      file_.write(text);  // no rows at all: shape (0, 0)
    file_.commit();
  }

 private:
  std::string header() const {
    std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(count_) + ", " +
                       std::to_string(width_) + "), }";
    constexpr std::size_t preamble = 10, whole = 128;  // padded, so that any number of rows fits
    text.resize(whole - preamble - 1, ' ');
    text += '\n';
    const auto length = static_cast<unsigned>(text.size());
    std::string all = "\x93NUMPY";
    all += '\x01';
    all += '\0';
    all += static_cast<char>(length & 0xff);
    all += static_cast<char>(length >> 8);
    return all + text;
  }

  AtomicFile file_;
  Index width_ = 0;
  Index count_ = 0;
  bool started_ = false;
};

}  // namespace embedpool::io
