#pragma once
#include <string>
#include <vector>

#include "compare_run.hpp"
#include "embedpool/eval/comparison/comparison_family.hpp"
#include "embedpool/eval/report/grouped_bars.hpp"
#include "embedpool/eval/report/heat_map.hpp"
#include "embedpool/eval/report/table.hpp"

namespace embedpool::program {

/// The tables and charts of the report of a comparison; scores x 100.

report::Table kind_table(const ScoreTable& table);        ///< system x kind, mean and deviation over seeds
report::GroupedBars kind_bars(const ScoreTable& table);   ///< the same, lowest and highest seed as intervals
report::Table task_table(const ScoreTable& table);        ///< data set x system, mean and deviation over seeds
report::HeatMap difference_map(const ScoreTable& table);  ///< data set x system, less the mean of the data set
report::Table pair_table(const ComparisonFamily& family, double alpha);
report::Table item_table(const ScoreTable& table, const std::vector<ComparisonFamily>& by_task, double alpha);
std::vector<std::string> item_notes(
    const ScoreTable& table);  ///< what item scores are, where they are no mean of the main metric
report::Table cost_table(const ComparedRun& run);
report::Table data_table(const ComparedRun& run);
report::Table score_rows(const ScoreTable& table);                                     ///< every score, for CSV
report::Table pair_rows(const std::vector<ComparisonFamily>& families, double alpha);  ///< every comparison, for CSV

}  // namespace embedpool::program
