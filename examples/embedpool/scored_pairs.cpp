#include "scored_pairs.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_map>

#include "embedpool/core/error.hpp"
#include "embedpool/io/line_reader.hpp"
#include "embedpool/io/tokenizer/utf8.hpp"

namespace embedpool::program {
namespace {

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  for (std::size_t at = 0;;) {
    const std::size_t tab = line.find('\t', at);
    fields.push_back(line.substr(at, tab - at));
    if (tab == std::string::npos) return fields;
    at = tab + 1;
  }
}

}  // namespace

ScoredPairs ScoredPairs::read(const std::string& path) {
  io::LineReader lines(path);
  const auto fail = [&](const std::string& cause) {
    throw FileError(lines.name(), "line " + std::to_string(std::max<Index>(lines.line_number(), 1)), cause);
  };
  std::string line;
  if (!lines.next(line)) fail("the file is empty");
  const std::vector<std::string> header = split(line);
  const auto column = [&](const char* name) {
    const auto found = std::find(header.begin(), header.end(), name);
    if (found == header.end()) fail(std::string("the first line must name the column ") + name);
    return static_cast<std::size_t>(found - header.begin());
  };
  const std::size_t score_column = column("score"), first = column("sentence1"), second = column("sentence2");

  ScoredPairs pairs;
  std::unordered_map<std::string, Index> places;
  const auto place = [&](const std::string& text) {
    if (text.empty()) fail("a sentence is empty");
    if (const std::size_t bad = io::tokenizing::first_invalid_utf8(text); bad != std::string::npos)
      fail("invalid UTF-8 at byte " + std::to_string(bad) + " of a sentence");
    const auto [found, is_new] = places.try_emplace(text, static_cast<Index>(pairs.texts.size()));
    if (is_new) pairs.texts.push_back(text);
    return found->second;
  };
  while (lines.next(line)) {
    const std::vector<std::string> fields = split(line);
    if (fields.size() != header.size())
      fail("has " + std::to_string(fields.size()) + " columns, the first line " + std::to_string(header.size()));
    const std::string& text = fields[score_column];
    double score = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), score);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(score))
      fail(std::string("'").append(text, 0, 40) + "' is no score");
    pairs.scores.push_back(score);
    const Index a = place(fields[first]), b = place(fields[second]);
    pairs.texts_of_pair.emplace_back(a, b);
  }
  if (pairs.scores.size() < 2) fail("needs at least 2 pairs");
  return pairs;
}

}  // namespace embedpool::program
