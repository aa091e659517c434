// The quick start of the README: texts in, unit vectors out, then another design on the same model.
#include <cstdio>
#include <cstdlib>

// [readme]
#include "embedpool/io/load_decoder.hpp"
#include "embedpool/io/tokenizer/tokenizer.hpp"
#include "embedpool/model/designs.hpp"

using namespace embedpool;

void quick_start(const char* path) {  // a GGUF file, or a directory with config.json, safetensors and tokenizer.json
  const auto tokenizer = io::Tokenizer::open(path);
  Batch batch;
  for (const char* text : {"How do I reset my password?", "I forgot my login.", "The cat sat on the mat."})
    batch.add(tokenizer.encode(text));

  // Mask and pooling are types: the mean of the last layer under the causal mask ...
  const Embedder<Decoder<float>, Causal, MeanPooling> embedder(io::load_decoder(path));
  const Matrix<float> embeddings = embedder.encode(batch);  // [3, D], rows of length one
  std::printf("same topic %.3f, other topic %.3f\n", embeddings.row(0).dot(embeddings.row(1)),
              embeddings.row(0).dot(embeddings.row(2)));

  // ... or the mean of every layer without each text's first token, seen in both directions.
  using LayersPooling = Pooling<EveryLayer, SkipFirst<TokenMean>, LayerMean>;
  const Embedder<Decoder<float>, Bidirectional, LayersPooling> other(embedder.backbone);
  std::printf("same topic %.3f, over all layers\n", other.encode(batch).row(0).dot(other.encode(batch).row(1)));
}
// [readme]

int main(int argc, char** argv) {
  constexpr int skipped = 77;
  const char* path = argc > 1 ? argv[1] : std::getenv("EMBEDPOOL_SMOLLM2_GGUF");
  if (path == nullptr) {
    std::puts("usage: quick_start MODEL     (a GGUF file, or a directory with safetensors)");
    return skipped;
  }
  try {
    quick_start(path);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
