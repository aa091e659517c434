#pragma once
#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "embedpool/core/error.hpp"

namespace embedpool {

/// A data set on which systems are compared.
struct ComparedTask {
  std::string kind, name, main_metric;
  std::string item{}, item_metric{};  ///< as in TaskResult
};

/// The scores of systems on data sets, each system trained with seeds 0 .. seeds - 1.
///
/// Systems and tasks are numbered in the order in which they were given; every score is a number once require_complete()
/// has passed.
class ScoreTable {
 public:
  /// Errors  ShapeError without a system, a task or a seed, or when two systems have one name
  ScoreTable(std::vector<std::string> systems, std::vector<ComparedTask> tasks, Index seeds)
      : systems_(std::move(systems)), tasks_(std::move(tasks)), seeds_(seeds) {
    require_in("ScoreTable", "systems", system_count(), 1, 1 << 16);
    require_in("ScoreTable", "tasks", task_count(), 1, 1 << 16);
    require_in("ScoreTable", "seeds", seeds, 1, 1 << 16);
    for (std::size_t i = 0; i < systems_.size(); ++i)
      if (std::count(systems_.begin(), systems_.end(), systems_[i]) > 1)
        throw ShapeError("ScoreTable: two systems are named '" + systems_[i] + "'");
    scores_.assign(systems_.size() * tasks_.size() * static_cast<std::size_t>(seeds), std::nan(""));
    items_.resize(scores_.size());
  }

  /// One score, and the scores of the single items of the data set, in its order.
  ///
  /// Errors  ShapeError when a number is not there, twice there, or not finite, or other seeds or systems have another
  ///         number of items on this task
  void add(Index system, Index task, Index seed, double score, std::vector<double> items) {
    const std::size_t at = place(system, task, seed);
    const auto fail = [&](const std::string& cause) { throw ShapeError("ScoreTable: " + describe(system, task, seed) + cause); };
    if (!std::isnan(scores_[at])) fail(" stands twice");
    if (!std::isfinite(score) || !std::all_of(items.begin(), items.end(), [](double x) { return std::isfinite(x); }))
      fail(" is not a finite number");
    for (Index s = 0; s < system_count(); ++s)
      for (Index k = 0; k < seeds_; ++k)
        if (const std::size_t other = place(s, task, k); !std::isnan(scores_[other]) && items_[other].size() != items.size())
          fail(" has " + std::to_string(items.size()) + " items, that of " + systems_[static_cast<std::size_t>(s)] + " has " +
               std::to_string(items_[other].size()));
    scores_[at] = score;
    items_[at] = std::move(items);
  }

  /// Throws ShapeError naming system, seed and data set of the first score that is missing.
  void require_complete() const {
    for (Index s = 0; s < system_count(); ++s)
      for (Index k = 0; k < seeds_; ++k)
        for (Index t = 0; t < task_count(); ++t)
          if (std::isnan(scores_[place(s, t, k)])) throw ShapeError("ScoreTable: " + describe(s, t, k) + " is missing");
  }

  const std::vector<std::string>& systems() const noexcept { return systems_; }
  const std::vector<ComparedTask>& tasks() const noexcept { return tasks_; }
  Index system_count() const noexcept { return static_cast<Index>(systems_.size()); }
  Index task_count() const noexcept { return static_cast<Index>(tasks_.size()); }
  Index seeds() const noexcept { return seeds_; }

  double score(Index system, Index task, Index seed) const { return scores_[place(system, task, seed)]; }

  /// The scores of a system on a task, one a seed.
  std::vector<double> by_seed(Index system, Index task) const {
    std::vector<double> scores;
    for (Index k = 0; k < seeds_; ++k) scores.push_back(score(system, task, k));
    return scores;
  }

  /// The mean over the tasks, one a seed: what a kind's score is.
  std::vector<double> by_seed(Index system, std::span<const Index> tasks) const {
    std::vector<double> means(static_cast<std::size_t>(seeds_), 0.0);
    for (Index k = 0; k < seeds_; ++k)
      for (const Index t : tasks) means[static_cast<std::size_t>(k)] += score(system, t, k) / static_cast<double>(tasks.size());
    return means;
  }

  /// The score of a system on a task, averaged over seeds.
  double mean(Index system, Index task) const {
    double sum = 0;
    for (Index k = 0; k < seeds_; ++k) sum += score(system, task, k);
    return sum / static_cast<double>(seeds_);
  }

  /// The scores of single items, averaged over seeds.
  std::vector<double> mean_items(Index system, Index task) const {
    std::vector<double> mean(items_[place(system, task, 0)].size(), 0.0);
    for (Index k = 0; k < seeds_; ++k) {
      const std::vector<double>& items = items_[place(system, task, k)];
      for (std::size_t i = 0; i < items.size(); ++i) mean[i] += items[i] / static_cast<double>(seeds_);
    }
    return mean;
  }

  /// The kinds, each once, in the order of their first task.
  std::vector<std::string> kinds() const {
    std::vector<std::string> kinds;
    for (const ComparedTask& task : tasks_)
      if (std::find(kinds.begin(), kinds.end(), task.kind) == kinds.end()) kinds.push_back(task.kind);
    return kinds;
  }

  /// The numbers of the tasks of a kind; of all tasks for "".
  std::vector<Index> tasks_of(const std::string& kind) const {
    std::vector<Index> numbers;
    for (Index t = 0; t < task_count(); ++t)
      if (kind.empty() || tasks_[static_cast<std::size_t>(t)].kind == kind) numbers.push_back(t);
    return numbers;
  }

 private:
  std::size_t place(Index system, Index task, Index seed) const {
    require_in("ScoreTable", "system", system, 0, system_count() - 1);
    require_in("ScoreTable", "task", task, 0, task_count() - 1);
    require_in("ScoreTable", "seed", seed, 0, seeds_ - 1);
    return static_cast<std::size_t>((system * task_count() + task) * seeds_ + seed);
  }
  std::string describe(Index system, Index task, Index seed) const {
    return "the score of system '" + systems_[static_cast<std::size_t>(system)] + "', seed " + std::to_string(seed) + ", on " +
           tasks_[static_cast<std::size_t>(task)].name;
  }

  std::vector<std::string> systems_;
  std::vector<ComparedTask> tasks_;
  Index seeds_;
  std::vector<double> scores_{};
  std::vector<std::vector<double>> items_{};
};

}  // namespace embedpool
