// How near the CUDA part comes to what bounds it on this GPU: small kernels to a copy, attention and whole passes to a
// large product, all measured in the same run. torch_reference.py prints the same lines for PyTorch.
#include "embedpool/cuda/decoder/decoder_training.cuh"
#include "embedpool/model/new_lora_adapter.hpp"
#include "embedpool/pooling/layers.hpp"
#include "embedpool/cuda/pooling_stream.cuh"
#include "gpu_models.cuh"
#include "gpu_table.cuh"

using namespace embedpool;
using cuda::CudaDevice;

namespace {

constexpr Index rows = 16384, width = 4096;

void small_kernels(CudaDevice& gpu, const bench::Table& table) {
  const double values = static_cast<double>(rows * width);
  const bench::RandomMatrix<float> x(gpu, rows, width), gradient(gpu, rows, width), gain(gpu, 1, width);
  const bench::RandomMatrix<bf16> a(gpu, rows, width), b(gpu, rows, width), c(gpu, rows, width);
  const auto time = [&](const auto& kernel) { return bench::seconds(gpu, [&] { gpu.launch(kernel); }); };
  table.bytes("RMSNorm, f32 to bf16", time(cuda::RmsNorm<float, bf16>{x, gain.matrix.data, 1e-5f, a}), 6 * values);
  table.bytes("residual += bf16, then RMSNorm", time(cuda::AddRmsNorm<bf16>{x, a, gain.matrix.data, 1e-5f, b}), 12 * values);
  table.bytes("RMSNorm backward", time(cuda::RmsNormBackward<float, float>{x, gain.matrix.data, 1e-5f, x, gradient}), 12 * values);
  table.bytes("SiLU(gate) x up, bf16", time(cuda::Gated<bf16, cuda::Silu>{a, b, c}), 6 * values);
  table.bytes("SiLU(gate) x up backward, bf16", time(cuda::GatedBackward<bf16, cuda::Silu>{a, b, c}), 10 * values);
  table.bytes("f32 to bf16", time(cuda::Convert<float, bf16>{x, a}), 6 * values);
}

void pooling(CudaDevice& gpu, const bench::Table& table) {
  const Batch batch = bench::texts_of(rows, 512, true, 1000);
  const Segments& segments = batch.segments();
  cuda::PackedTextsBuffer memory;
  const auto texts = memory.upload(gpu, segments, RowSelection::all(segments));
  const bench::RandomMatrix<bf16> states(gpu, segments.rows(), width);
  cuda::DevicePoolingStream<LastLayer, TokenMean, CudaDevice> stream(gpu, {}, {}, 1, width);
  const double time = bench::seconds(gpu, [&] {
    stream.begin(segments);
    stream.push(1, Rows<const bf16>(states), texts);
  });
  table.bytes("mean over ragged texts, bf16 (with the batch's upload)", time, 2.0 * static_cast<double>(segments.rows() * width));
}

template <MaskPolicy M>
void attention(CudaDevice& gpu, const bench::Table& table, const std::string& name, const M& mask, double share) {
  const Index tokens = 2048, texts = 8, heads = 32, kv_heads = 8, head_dim = 128;
  const Batch batch = bench::texts_of(texts * tokens, tokens, false, 1000);
  cuda::AttentionBatchBuffer memory;
  const auto on_gpu = memory.upload(gpu, batch.segments(), RowSelection::all(batch.segments()));
  const Index all = batch.segments().rows();
  const bench::RandomMatrix<bf16> q(gpu, all, heads * head_dim), k(gpu, all, kv_heads * head_dim), v(gpu, all, kv_heads * head_dim);
  const bench::RandomMatrix<bf16> out(gpu, all, heads * head_dim), dq(gpu, all, heads * head_dim), dk(gpu, all, kv_heads * head_dim),
      dv(gpu, all, kv_heads * head_dim);
  const bench::RandomMatrix<float> sums(gpu, all, heads);
  cuda::AttentionBackwardScratch scratch;
  const AttentionShape shape{heads, kv_heads, head_dim, 0.088};
  const double operations = share * 4.0 * static_cast<double>(all * tokens) * static_cast<double>(heads * head_dim);
  table.operations("attention, " + name + ", 8 x 2,048, d 128, 32 / 8 heads", bench::seconds(gpu, [&] {
                     cuda::masked_attention<bf16>(gpu, q, k, v, on_gpu, shape, mask, out, sums);
                   }), operations);
  table.operations("  backward", bench::seconds(gpu, [&] {
                     cuda::masked_attention_backward<bf16>(gpu, q, k, v, out, sums, on_gpu, shape, mask, out, dq, dk, dv, scratch);
                   }), 2.5 * operations);
}

void model(CudaDevice& gpu, const bench::Table& table, const bench::ModelShape& shape) {
  using Stream = cuda::DevicePoolingStream<LastLayer, TokenMean, CudaDevice>;
  const Decoder<float> decoder = bench::random_model(shape);
  cuda::DeviceDecoder<bf16, CudaDevice> on_gpu(gpu, decoder);
  Stream stream(gpu, {}, {}, decoder.layers(), decoder.width());
  const auto forward = [&](const std::string& name, const Batch& batch) {
    const double time = bench::seconds(gpu, [&] {
      stream.begin(batch.segments());
      on_gpu.forward(batch, Bidirectional{}, stream);
    }, 5);
    table.operations(std::string(shape.name) + ": " + name, time, 2 * shape.values() * static_cast<double>(batch.segments().rows()));
    return time;
  };
  forward("forward, 16k tokens of 512", bench::texts_of(16384, 512, false, shape.vocabulary));
  forward("forward, 16k tokens, ragged texts of 25 to 128", bench::texts_of(16384, 128, true, shape.vocabulary));

  LoraOptions options;
  options.rank = 16;
  const cuda::DeviceAdapter<bf16> adapter(gpu, decoder, new_lora_adapter<float>(decoder.config(), options));
  cuda::DeviceDecoderTraining<bf16, CudaDevice> training;
  const Batch batch = bench::texts_of(4096, 128, true, shape.vocabulary);
  const double time = bench::seconds(gpu, [&] {
    stream.begin(batch.segments());
    training.forward(on_gpu, adapter, batch, Bidirectional{}, stream);
    stream.keys();
    stream.begin_backward();
    training.backward(on_gpu, adapter, Bidirectional{}, stream);
  }, 5);
  table.operations(std::string(shape.name) + ": LoRA r = 16, forward and backward, 4k tokens", time,
                   4 * shape.values() * static_cast<double>(batch.segments().rows()));
}

}  // namespace

int main() {
  if (const std::string reason = cuda::gpu_unavailable_because(); !reason.empty()) {
    std::fprintf(stderr, "gpu_benchmark: no GPU to measure: %s\n", reason.c_str());
    return 77;
  }
  CudaDevice gpu;
  cudaDeviceProp properties{};
  cuda::check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  const bench::Table table{bench::Peaks::measured(gpu)};
  std::printf("%s: a copy moves %.0f GB/s, a product of 8,192 x 8,192 bf16 makes %.0f TFLOP/s\n\n", properties.name,
              table.peaks.bytes * 1e-9, table.peaks.operations * 1e-12);
  std::printf("| embedpool | microseconds | rate | of that |\n|---|---|---|---|\n");
  small_kernels(gpu, table);
  pooling(gpu, table);
  attention(gpu, table, "bidirectional", Bidirectional{}, 1);
  attention(gpu, table, "causal", Causal{}, 0.5);
  model(gpu, table, bench::small_model);
  model(gpu, table, bench::large_model);
}
