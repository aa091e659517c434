#include <embedpool/io/safetensors.hpp>
#include <embedpool/io/safetensors_writer.hpp>
#include <embedpool/io/tokenizer/regex.hpp>
#include <embedpool/io/tokenizer/unicode.hpp>

using namespace embedpool;

/// A file written is a file read, and the libraries for patterns and Unicode are linked.
int main() {
  io::SafetensorsWriter writer;
  writer.add("values", Matrix<float>{{1, 2, 3}, {4, 5, 6}});
  writer.write("consumer.safetensors");
  const auto file = io::SafetensorsFile::open("consumer.safetensors");
  if (file.at("values").shape != std::vector<Index>{2, 3}) return 1;

  std::string text = "e\u0301";
  io::tokenizing::normalize(text, io::tokenizing::NormalForm::nfc);
  io::tokenizing::Match match{};
  return io::tokenizing::Regex("^\\p{L}$").find(text, 0, match, io::tokenizing::MatchScratch()) ? 0 : 2;
}
