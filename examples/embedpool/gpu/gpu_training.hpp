#pragma once
#include "../training_job.hpp"

namespace embedpool::program {

/// run_job on a GPU.
///
/// Errors  Error when this program was built without CUDA, or the machine has no GPU that it can use
bool run_job_on_gpu(BackboneInTraining& trained, Index width, TrainingJob& job, ThreadPool& executor);

}  // namespace embedpool::program
