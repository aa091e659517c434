// embedpool as one of the engines that peers.py compares: it answers requests, each a JSON object on a line of standard
// input, with a JSON object on a line of standard output.
//
//   {"op": "embed", "texts": [[1, 2, 3], ...]}  -> {"seconds": time of the call, "embeddings": [[...], ...]}
//   {"op": "peak"}                              -> {"flops": multiply-adds x 2 a second, registers alone}
//   {"op": "tokenize", "texts": ["...", ...]}   -> {"seconds": time of all, "ids": [[...], ...]}
//
// The first line that it writes says how long loading took. Texts are packed in the order they come, in batches of at
// most batch_tokens tokens; the state of the last token after the final norm is the embedding, under the causal mask.
// A request that cannot be served is answered {"error": message}.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "embedpool/core/thread_pool.hpp"
#include "embedpool/io/load_decoder.hpp"
#include "embedpool/io/tokenizer/tokenizer.hpp"
#include "embedpool/model/designs.hpp"
#include "embedpool/nn/any_compute.hpp"
#include "support/peak.hpp"

using namespace embedpool;

namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Model, workspace and threads of the process: what the program embedpool uses, and with the same pool of threads.
class Server {
 public:
  Server(const Decoder<float>& decoder, const AnyCompute& compute, io::Tokenizer tokenizer, Index threads,
         Index batch_tokens)
      : embedder_(decoder.with_compute(compute)),
        tokenizer_(std::move(tokenizer)),
        batch_tokens_(batch_tokens),
        executor_(threads) {
    embedder_.finishing.normalize = false;
  }

  io::Json answer(const io::Json& request) {
    const auto op = request.at("op").get<std::string>();
    if (op == "embed") return embed(request.at("texts").get<std::vector<std::vector<TokenId>>>());
    if (op == "peak") return {{"flops", bench::peak_flops<float>(executor_)}};
    if (op == "tokenize") return tokenize(request.at("texts").get<std::vector<std::string>>());
    throw std::invalid_argument("op \"" + op + "\" is not known");
  }

 private:
  io::Json embed(const std::vector<std::vector<TokenId>>& texts) {
    std::vector<Matrix<float>> parts;
    const auto start = Clock::now();
    for (std::size_t next = 0; next < texts.size();) {
      Batch batch;
      do batch.add(texts[next++]);
      while (next < texts.size() && batch.segments().rows() + static_cast<Index>(texts[next].size()) <= batch_tokens_);
      parts.push_back(embedder_.encode(batch, workspace_, executor_));
    }
    io::Json reply{{"seconds", since(start)}, {"embeddings", io::Json::array()}};
    for (const Matrix<float>& part : parts)
      for (Index i = 0; i < part.rows(); ++i)
        reply["embeddings"].push_back(std::vector<float>(part.row(i).data(), part.row(i).data() + part.cols()));
    return reply;
  }

  io::Json tokenize(const std::vector<std::string>& texts) const {
    std::vector<std::vector<TokenId>> ids;
    ids.reserve(texts.size());
    const auto start = Clock::now();
    for (const std::string& text : texts) ids.push_back(tokenizer_.encode(text));
    const double seconds = since(start);
    return {{"seconds", seconds}, {"ids", ids}};
  }

  Embedder<Decoder<float, AnyCompute>, Causal, EosLast> embedder_;
  DecoderWorkspace<float> workspace_{};
  io::Tokenizer tokenizer_;
  Index batch_tokens_;
  ThreadPool executor_;
};

void answer_lines(Server& server) {
  for (std::string line; std::getline(std::cin, line);) {
    io::Json reply;
    try {
      reply = server.answer(io::Json::parse(line));
    } catch (const std::exception& error) {
      reply = {{"error", error.what()}};
    }
    std::cout << reply << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr,
                 "usage: embedpool_server MODEL.gguf COMPUTE THREADS BATCH_TOKENS     (COMPUTE: f32, bf16, int8)\n");
    return 2;
  }
  try {
    const auto start = Clock::now();
    Server server(io::load_decoder(std::filesystem::path(argv[1])), AnyCompute::parse(argv[2]),
                  io::Tokenizer::open(argv[1]), std::stol(argv[3]), std::stol(argv[4]));
    std::cout << io::Json{{"load_seconds", since(start)}} << std::endl;
    answer_lines(server);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "embedpool_server: %s\n", error.what());
    return 1;
  }
}
