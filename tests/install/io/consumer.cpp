#include <embedpool/io/safetensors.hpp>
#include <embedpool/io/safetensors_writer.hpp>
#include <embedpool/io/tokenizer/tokenizer.hpp>

using namespace embedpool;

/// A file written is a file read.
int main() {
  const Matrix<float> values{{1, 2, 3}, {4, 5, 6}};
  io::SafetensorsWriter writer;
  writer.add("values", values);
  writer.write("consumer.safetensors");
  const auto file = io::SafetensorsFile::open("consumer.safetensors");
  return file.at("values").shape == std::vector<Index>{2, 3} ? 0 : 1;
}
