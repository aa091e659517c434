/// Your own pooling: a reader and a mask of ten lines each, checked with the tests that the library ships.
#include <cmath>
#include <cstdio>
#include <string>

#include "embedpool/attention/mask.hpp"
#include "embedpool/pooling.hpp"
#include "embedpool/testing/mask_properties.hpp"
#include "embedpool/testing/pooling_properties.hpp"

using namespace embedpool;

/// A reader: the mean of the text's two ends, (h_0 + h_{n-1}) / 2. OneKey says that a text gives one key.
struct EndsMean : OneKey {
  template <Element T, Real S>
  void read(const TextStates<T>& h, Rows<S> key) const {
    const Index last = h.shape().tokens - 1;
    for (Index j = 0; j < key.cols; ++j)
      key(0, j) = (to_real<S>(h.row(0)[std::size_t(j)]) + to_real<S>(h.row(last)[std::size_t(j)])) / 2;
  }
  template <Element T, Real S>
  void backward(const TextStates<T>& h, Rows<const S> dkey, Rows<S> dh) const {
    for (const Index t : {Index(0), h.shape().tokens - 1})
      for (Index j = 0; j < dkey.cols; ++j) dh(t - h.held().begin, j) += dkey(0, j) / 2;
  }
};
static_assert(TokensPolicy<EndsMean, float>);

/// A mask: a token sees what came before it in its own block of `size` tokens.
struct CausalBlocks {
  Index size = 4;
  constexpr Interval keys(Index query, const TextShape&) const noexcept { return {query / size * size, query + 1}; }
};
static_assert(MaskPolicy<CausalBlocks>);

int main() {
  // It composes with everything: the text without its prompt, several layers, any head.
  const Pooling<EveryLayer, PromptExcluded<EndsMean>, LayerMean> pooling;

  // What every pooling promises, checked on random problems: "" means that it holds.
  const std::string broken[] = {
      testing::padding_is_never_read<float>(pooling),
      testing::padding_is_never_read<float, bf16>(pooling),
      testing::batch_does_not_matter<float>(pooling),
      testing::workers_do_not_matter<float>(pooling),
      testing::streaming_equals_storing<float>(pooling),
      testing::backward_agrees_with_differences(pooling),
      testing::keys_are_rows_where_said<float>(pooling),
      testing::mask_keeps_its_promises(CausalBlocks{}),
  };
  for (const std::string& what : broken)
    if (!what.empty()) {
      std::printf("a promise is broken: %s\n", what.c_str());
      return 1;
    }
  std::puts("EndsMean keeps every promise of a pooling, CausalBlocks those of a mask");

  // Which keys each token of a text of eight sees.
  const TextShape shape = TextShape::bare(8);
  for (Index query = 0; query < shape.tokens; ++query) {
    const Interval seen = CausalBlocks{}.keys(query, shape);
    for (Index key = 0; key < shape.tokens; ++key) std::fputs(seen.contains(key) ? "x" : ".", stdout);
    std::puts("");
  }
  return 0;
}
