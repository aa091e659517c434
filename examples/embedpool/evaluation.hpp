#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "embedpool/io/task_data/read_task.hpp"
#include "settings.hpp"

namespace embedpool::program {

/// The data sets below `data` that `tasks` names, by kind or by name; all when it names none.
///
/// Errors  FileError naming a task that is not there
std::vector<io::TaskFolder> chosen_tasks(const std::string& data, const std::vector<std::string>& tasks);

/// What stands in front of the queries of a data set: the instruction of its name, else of its kind, else nothing.
std::string instruction_of(const io::TaskFolder& folder, const std::map<std::string, std::string>& prompts);

/// Where the scores of a data set lie: OUTPUT/KIND/NAME.json.
std::filesystem::path score_file(const std::filesystem::path& output, const io::TaskFolder& folder);

/// Scores the model, read and trained as the options say, on each data set, and writes a file for each to the output.
/// Files that are there already are read, not made again. `scored` sees each result, as the file has it, in order.
///
/// Errors  FileError for an output that cannot be written to, and for a file that is there with other settings; those of
///         options, data and embeddings; Interrupted after a signal: data sets that are finished are kept
std::vector<io::Json> evaluate_tasks(const EmbeddingOptions& options, const Model& model,
                                     const std::vector<io::TaskFolder>& folders, Index max_items,
                                     const std::filesystem::path& output,
                                     const std::function<void(const io::Json&)>& scored);

}  // namespace embedpool::program
