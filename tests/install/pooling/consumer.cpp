#include <embedpool/pooling.hpp>

#if defined(NLOHMANN_JSON_VERSION_MAJOR) || defined(PCRE2_MAJOR) || defined(UTF8PROC_VERSION_MAJOR) || defined(ZLIB_VERSION)
#error "the pooling headers include a library that they do not need"
#endif

using namespace embedpool;

/// The mean of two tokens of the first text, and the one token of the second.
int main() {
  const std::vector<float> states = {1, 2, 3, 6, -1, 5};  // [3, 2]
  const Segments segments = Segments::from_offsets(std::vector<Index>{0, 2, 3});
  const RowSelection every_token = RowSelection::all(segments);
  const MeanPooling::Params<float> params{};
  const MeanPooling pooling;
  auto stream = pooling.stream<float>(params, segments, 1, 2);
  stream.push(1, LayerStates<float>{Rows<const float>(states.data(), 3, 2), &segments, &every_token, {}});
  const Matrix<float> embeddings = stream.finish();
  const Matrix<float> expected{{2, 4}, {-1, 5}};
  return embeddings == expected ? 0 : 1;
}
