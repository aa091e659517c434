#pragma once
#include "compare_run.hpp"

namespace embedpool::program {

/// Writes report.html, report.md, scores.csv and pairs.csv to the output.
///
/// Errors  FileError with the system's reason
void write_comparison_report(const CompareOptions& options, const ComparedRun& run);

}  // namespace embedpool::program
