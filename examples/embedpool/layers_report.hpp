#pragma once
#include "layers_run.hpp"

namespace embedpool::program {

/// Writes layers.html, layers.md, layers.csv and layers.json to the output.
///
/// Errors  FileError with the system's reason
void write_layers_report(const LayersOptions& options, const LayersRun& run);

}  // namespace embedpool::program
