#pragma once
#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "embedpool/eval/learn/k_means.hpp"
#include "embedpool/eval/learn/k_means_plus_plus.hpp"

namespace embedpool {

/// The defaults are scikit-learn's, but for the size of a batch, which MTEB chooses (500; 512 in its fast tasks).
struct MiniBatchKMeansOptions {
  Index batch_size = 500;
  Index most_passes = 100;           ///< over the data, in batches
  Index most_without_progress = 10;  ///< batches without a new minimum of the smoothed inertia
  double reassignment_ratio = 0.01;  ///< centres with fewer rows than this share of the largest are moved
  std::uint32_t seed = 42;
};

namespace detail {

inline Matrix<float> rows_at(Rows<const float> x, const std::vector<Index>& chosen) {
  Matrix<float> rows(static_cast<Index>(chosen.size()), x.cols);
  for (std::size_t i = 0; i < chosen.size(); ++i)
    std::copy_n(x.row_data(chosen[i]), x.cols, rows.data() + static_cast<Index>(i) * x.cols);
  return rows;
}

/// One mini-batch run: what it remembers between batches.
class MiniBatchRun {
 public:
  MiniBatchRun(Rows<const float> x, Index k, const MiniBatchKMeansOptions& options, ExecutorRef executor)
      : x_(x), options_(options), executor_(executor), random_(options.seed), batch_(std::min(options.batch_size, x.rows)),
        counts_(static_cast<std::size_t>(k)) {
    Index sample = 3 * batch_;
    if (sample < k) sample = 3 * k;
    sample = std::min(sample, x.rows);
    draw(sample);  // a validation set, which scikit-learn draws to compare several starts: there is one
    if (sample < x.rows) {
      const Matrix<float> part = rows_at(x, draw(sample));
      centres_ = rows_at(rows_of(part), k_means_plus_plus(rows_of(part), k, random_, executor));
    } else {
      centres_ = rows_at(x, k_means_plus_plus(x, k, random_, executor));
    }
  }

  Clustering run() {
    const Index steps = options_.most_passes * x_.rows / batch_;
    Index step = 0;
    while (step < steps) {
      const double inertia = update();
      if (converged(step++, inertia / static_cast<double>(batch_))) break;
    }
    NearestCentres assignment = nearest_centres(x_, centres_, executor_);
    return {std::move(centres_), std::move(assignment), step};
  }

 private:
  std::vector<Index> draw(Index count) {
    std::vector<Index> rows(static_cast<std::size_t>(count));
    for (Index& row : rows) row = random_.bounded(x_.rows - 1);
    return rows;
  }

  /// Moves the centres towards a random batch: c = (old count c + sum of its rows) / new count. The batch's inertia, of
  /// the centres before.
  double update() {
    std::vector<Index> rows(static_cast<std::size_t>(batch_));
    for (Index& row : rows) row = static_cast<Index>(random_.uniform() * static_cast<double>(x_.rows));
    const Matrix<float> batch = rows_at(x_, rows);
    const NearestCentres nearest = nearest_centres(rows_of(batch), centres_, executor_);
    const bool reassigns = is_time_to_reassign();
    ClusterSums added(centres_.rows(), x_.cols);
    for (Index i = 0; i < batch_; ++i) added.add(nearest.centre[static_cast<std::size_t>(i)], rows_of(batch).row(i));
    for (std::size_t k = 0; k < counts_.size(); ++k) {
      const auto row = static_cast<Index>(k);
      if (added.count(row) == 0) continue;
      const double count = counts_[k] + static_cast<double>(added.count(row));
      centres_.row(row) = ((centres_.row(row).cast<double>() * counts_[k] + added.sums().row(row)) / count).cast<float>();
      counts_[k] = count;
    }
    if (reassigns) reassign(batch);
    return nearest.inertia();
  }

  /// Every 10 K rows, and as long as a centre has none.
  bool is_time_to_reassign() {
    since_reassignment_ += batch_;
    const bool empty = std::find(counts_.begin(), counts_.end(), 0.0) != counts_.end();
    if (!empty && since_reassignment_ < 10 * centres_.rows()) return false;
    since_reassignment_ = 0;
    return true;
  }

  /// Centres with few rows, half a batch at most, are put on rows of the batch; they count as much as the smallest of
  /// the others from then on.
  void reassign(const Matrix<float>& batch) {
    const double bound = options_.reassignment_ratio * *std::max_element(counts_.begin(), counts_.end());
    std::vector<std::size_t> order(counts_.size()), moved;
    std::iota(order.begin(), order.end(), std::size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return counts_[a] < counts_[b]; });
    const auto most = static_cast<std::size_t>(batch_ / 2);
    for (const std::size_t k : order)
      if (counts_[k] < bound && moved.size() < most) moved.push_back(k);
    if (moved.empty()) return;
    double least = std::numeric_limits<double>::infinity();
    for (const std::size_t k : order)
      if (std::find(moved.begin(), moved.end(), k) == moved.end()) least = std::min(least, counts_[k]);
    std::sort(moved.begin(), moved.end());
    std::vector<Index> rows(static_cast<std::size_t>(batch_));
    std::iota(rows.begin(), rows.end(), Index(0));
    random_.shuffle(rows);
    for (std::size_t i = 0; i < moved.size(); ++i) {
      centres_.row(static_cast<Index>(moved[i])) = batch.row(rows[i]);
      counts_[moved[i]] = least;
    }
  }

  /// Stops when the exponentially weighted mean of the batches' inertia has had no new minimum for a while; the first
  /// batch, which the initial centres were not made for, does not count.
  bool converged(Index step, double inertia) {
    if (step == 0) return false;
    const double weight = std::min(1.0, static_cast<double>(batch_) * 2 / static_cast<double>(x_.rows + 1));
    smoothed_ = smoothed_ ? *smoothed_ * (1 - weight) + inertia * weight : inertia;
    if (!least_ || *smoothed_ < *least_) {
      least_ = smoothed_;
      without_progress_ = 0;
    } else {
      ++without_progress_;
    }
    return without_progress_ >= options_.most_without_progress;
  }

  Rows<const float> x_;
  MiniBatchKMeansOptions options_;
  ExecutorRef executor_;
  MersenneTwister random_;
  Index batch_;
  std::vector<double> counts_;
  Matrix<float> centres_{};
  Index since_reassignment_ = 0, without_progress_ = 0;
  std::optional<double> smoothed_{}, least_{};
};

}  // namespace detail

/// k-means on random batches, from k-means++ on a sample of three batches.
///
/// The algorithm is scikit-learn's MiniBatchKMeans with n_init 1, in the form of its version 1.9, and draws the same
/// random numbers in the same order; sums are in double where scikit-learn's are in the type of its input, so a row that
/// lies midway between two centres may fall to the other one, and the runs part from there. Equal results are therefore
/// usual and not promised.
///
/// Shapes  x [n, D], 1 <= k <= n, raw embeddings
/// Order   bits do not depend on the executor
/// Errors  ShapeError when k is out of range or the batch size is less than 1
/// Source  Sculley 2010; scikit-learn, which MTEB clusters with
inline Clustering mini_batch_k_means(Rows<const float> x, Index k, ExecutorRef executor,
                                     const MiniBatchKMeansOptions& options = {}) {
  require_in("mini_batch_k_means", "k", k, 1, x.rows);
  require_in("mini_batch_k_means", "batch size", options.batch_size, 1, Index(1) << 32);
  return detail::MiniBatchRun(x, k, options, executor).run();
}

}  // namespace embedpool
