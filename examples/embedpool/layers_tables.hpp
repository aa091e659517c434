#pragma once
#include <string>
#include <vector>

#include "embedpool/eval/report/heat_map.hpp"
#include "embedpool/eval/report/line_chart.hpp"
#include "embedpool/eval/report/table.hpp"
#include "layers_run.hpp"

namespace embedpool::program {

/// The mean over tasks of a list with a value for each layer.
std::vector<double> mean_by_layer(const std::vector<TaskByLayer>& tasks, std::vector<double> TaskByLayer::*values);

/// A row a data set, and their mean where there are several: the last layer and the best one, raw and calibrated.
report::Table best_layers(const LayersRun& run);

/// A row a layer, two columns a data set; the best of each column is bold.
report::Table scores_table(const LayersRun& run);

/// A row for each layer with the one before it: cosine and CKA, raw and standardised, and the chance level of CKA.
report::Table neighbours_table(const LayersRun& run);

/// A row a layer, a column a data set: shares of attention in per cent.
report::Table attention_table(const LayersRun& run);

/// A row for each data set and layer, all digits: what layers.csv holds.
report::Table tidy_rows(const LayersRun& run);

/// Scores by layer of some data sets, the calibrated ones solid, the raw ones dashed in the same colour.
report::LineChart score_chart(const LayersRun& run, const std::string& title, const std::vector<std::size_t>& tasks);
/// The same for the mean over all data sets.
report::LineChart mean_chart(const LayersRun& run);
/// Layers by layers, layer 0 at the top left.
report::HeatMap similarity_map(const Matrix<double>& values, const std::string& title, double low);
/// Data sets by layers.
report::HeatMap attention_map(const LayersRun& run);

}  // namespace embedpool::program
