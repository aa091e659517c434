#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "embedpool/io/json_lines.hpp"
#include "fuzz/targets.hpp"

/// Any bytes are a file of lines, plain or gzip-compressed, or are refused with an Error; a plain file's lines are its
/// bytes. The sanitizers watch.
int fuzz_line_reader(const std::uint8_t* data, std::size_t size) {
  using namespace embedpool;
  static const int descriptor = memfd_create("fuzz", 0);  // a file that never touches a disk
  static const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, data, size, 0) != static_cast<ssize_t>(size)) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    io::LineReader reader(path);
    std::string joined;
    for (std::string line; reader.next(line);) {
      if (line.find('\n') != std::string::npos) __builtin_trap();
      joined += line + "\n";
    }
    const bool plain = !bytes.starts_with("\x1f\x8b") && !bytes.starts_with("\xEF\xBB\xBF") && bytes.find('\r') == bytes.npos;
    if (plain && joined != std::string(bytes) + (bytes.empty() || bytes.ends_with('\n') ? "" : "\n")) __builtin_trap();
  } catch (const Error&) {
  }
  try {
    io::JsonLines lines(path);
    for (io::Json value; lines.next(value);) {
    }
  } catch (const Error&) {
  }
  return 0;
}
