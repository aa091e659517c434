// In place of the .cu files in builds without CUDA.
#include "gpu_pass.hpp"
#include "gpu_training.hpp"
#include "require_gpu.hpp"

namespace embedpool::program {
namespace {
[[noreturn]] void refuse() {
  throw Error("--device cuda: this program was built without CUDA (configure with -DEMBEDPOOL_CUDA=ON)");
}
}  // namespace

void require_gpu(const AnyCompute&) { refuse(); }
std::unique_ptr<GpuPass> gpu_pass(const Decoder<float>&, const AnyMask&, const AnyCompute&) { refuse(); }
bool run_job_on_gpu(BackboneInTraining&, Index, TrainingJob&, ThreadPool&) { refuse(); }

}  // namespace embedpool::program
