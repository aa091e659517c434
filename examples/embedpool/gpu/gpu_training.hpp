#pragma once
#include "../training_job.hpp"

namespace embedpool::program {

/// run_job on a GPU. Requires  require_gpu has passed
bool run_job_on_gpu(BackboneInTraining& trained, Index width, TrainingJob& job, ThreadPool& executor);

}  // namespace embedpool::program
