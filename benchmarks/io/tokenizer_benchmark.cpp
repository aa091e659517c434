#include "embedpool/io/tokenizer/tokenizer.hpp"

#include <cstdlib>
#include <random>
#include <string>

#include "support/fastest.hpp"
#include "support/memory_rate.hpp"

/// How fast does text become tokens? The tokenizer of the GGUF file that EMBEDPOOL_SMOLLM2_GGUF names, one thread, on
/// words of a skewed distribution and on words that never come twice, as short requests and as documents. The baseline
/// is a loop that only splits the same text at spaces: what reading each byte costs. "of_split" is the share of it.
namespace {

using namespace embedpool;

const char* model_file() {
  const char* path = std::getenv("EMBEDPOOL_SMOLLM2_GGUF");
  return path != nullptr && *path != 0 ? path : nullptr;
}

/// About 256 KiB of texts of `length` words. Words that repeat are drawn from 4000 with the frequencies of Zipf's law.
std::vector<std::string> texts_of(Index length, bool repeating) {
  std::mt19937 generator(1);
  const auto new_word = [&] {
    std::string word;
    for (auto left = 2 + generator() % 9; left > 0; --left) word += static_cast<char>('a' + generator() % 26);
    return word;
  };
  std::vector<std::string> dictionary(4000);
  for (std::string& word : dictionary) word = new_word();
  std::uniform_real_distribution<double> uniform;
  std::vector<std::string> texts;
  for (std::size_t size = 0; size < (std::size_t(1) << 18); size += texts.back().size()) {
    std::string text;
    for (Index i = 0; i < length; ++i) {
      if (i > 0) text += generator() % 12 == 0 ? ", " : " ";
      const auto rank = static_cast<std::size_t>(std::pow(4000.0, uniform(generator))) - 1;
      text += repeating ? dictionary[rank] : new_word();
    }
    texts.push_back(text + ".");
  }
  return texts;
}

std::size_t bytes_of(const std::vector<std::string>& texts) {
  std::size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  return bytes;
}

/// Bytes a second of counting words.
double split_rate(const std::vector<std::string>& texts) {
  double best = 1e9;
  volatile std::size_t sink = 0;
  for (int run = 0; run < 20; ++run)
    best = std::min(best, bench::seconds([&] {
                      std::size_t words = 0;
                      for (const std::string& text : texts)
                        for (std::size_t at = 0; at < text.size();) {
                          at = std::min(text.find(' ', at), text.size() - 1) + 1;
                          ++words;
                        }
                      sink = words;
                    }));
  return static_cast<double>(bytes_of(texts)) / best;
}

void smollm2_encode(benchmark::State& state, bool repeating) {
  if (model_file() == nullptr) return state.SkipWithError("EMBEDPOOL_SMOLLM2_GGUF names no file: skipped");
  static const io::Tokenizer tokenizer = io::Tokenizer::open(model_file());
  const std::vector<std::string> texts = texts_of(state.range(0), repeating);
  std::vector<TokenId> ids;
  const double time = bench::fastest(state, [&] {
    ids.clear();
    for (const std::string& text : texts) tokenizer.encode_to(text, ids);
    benchmark::DoNotOptimize(ids.data());
  });
  const double rate = static_cast<double>(bytes_of(texts)) / time;
  state.counters["MB/s"] = rate * 1e-6;
  state.counters["bytes_a_token"] = static_cast<double>(bytes_of(texts)) / static_cast<double>(ids.size());
  state.counters["of_split"] = rate / split_rate(texts);
}

void lengths(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("words")->UseManualTime()->Unit(benchmark::kMicrosecond)->MinTime(0.2);
  for (const Index words : {12, 1000}) benchmark->Arg(words);
}

BENCHMARK_CAPTURE(smollm2_encode, words that repeat, true)->Apply(lengths);
BENCHMARK_CAPTURE(smollm2_encode, new words, false)->Apply(lengths);

}  // namespace
