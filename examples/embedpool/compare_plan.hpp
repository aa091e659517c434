#pragma once
#include "compare_options.hpp"
#include "embedpool/io/json.hpp"
#include "embedpool/io/task_data/read_task.hpp"
#include "model.hpp"

namespace embedpool::program {

/// What all systems of a comparison share: the digests of model and data, the number of steps, how much of the data
/// sets is used. It lies as plan.json in the output, so that a run that goes on has the same; data sets may be added.
///
/// With --minutes the number of steps is measured once: as many as the slowest system does in that time.
/// Errors  FileError naming what differs from the plan that is there
io::Json settled_plan(const CompareOptions& options, const Model& model, const std::vector<ComparedSystem>& systems,
                      const std::vector<io::TaskFolder>& folders);

}  // namespace embedpool::program
