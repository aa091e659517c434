#include "../training_loop.hpp"
#include "embedpool/cuda/cuda_device.cuh"
#include "embedpool/cuda/heads/any_head.cuh"
#include "embedpool/cuda/info_nce_on.cuh"
#include "embedpool/cuda/trained_embedder.cuh"
#include "gpu_training.hpp"

namespace embedpool::program {
namespace {

template <cuda::DeviceElement T>
bool run(BackboneInTraining& trained, Index width, TrainingJob& job, ThreadPool& executor) {
  using Model = cuda::DeviceTrainedEmbedder<T, cuda::CudaDevice, AnyMask, BackboneInTraining::Pooling>;
  cuda::CudaDevice gpu;
  Model on_gpu(gpu, trained, job.kept_blocks());
  const bool finished = run_job(on_gpu, width, job, text_maker(job), executor, cuda::InfoNceOn(gpu));
  on_gpu.bring_back();
  return finished;
}

}  // namespace

bool run_job_on_gpu(BackboneInTraining& trained, Index width, TrainingJob& job, ThreadPool& executor) {
  const AnyCompute compute = AnyCompute::parse(job.options.compute);
  return compute.name() == "bf16" ? run<bf16>(trained, width, job, executor) : run<float>(trained, width, job, executor);
}

}  // namespace embedpool::program
