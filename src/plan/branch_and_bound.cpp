#include "branch_and_bound.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <queue>
#include <string>
#include <utility>

#include "clp_answer.hpp"

#include "perwatt/base/error.hpp"

namespace perwatt::plan {

namespace {

constexpr double kWhole = 1e-6;      // so near to a whole number is one
constexpr int kRoundingPeriod = 16;  // nodes between attempts at rounding

struct Bounds {
  double lower = 0;
  double upper = 0;
};

/// A part of the search that is not solved yet; `bound` is of the part it was split from.
struct Node {
  double bound = 0;
  std::size_t order = 0;
  std::vector<Bounds> bounds;  // of the whole columns

  bool operator<(const Node& other) const {  // the queue's last is its best
    return bound != other.bound ? bound < other.bound : order > other.order;
  }
};

class Search {
 public:
  Search(const ClpSimplex& simplex, const std::vector<int>& integers, const SearchLimits& limits)
      : simplex_{simplex}, integers_{integers}, limits_{limits} {
    simplex_.setLogLevel(0);
    for (const int column : integers_) {
      bounds_.push_back({simplex_.getColLower()[column], simplex_.getColUpper()[column]});
    }
  }

  std::optional<WholeAnswer> run(const std::vector<double>& guess) {
    if (!guess.empty()) {
      try_whole(guess);
    }
    std::priority_queue<Node> open;
    std::optional<Node> dive = Node{kInf, 0, bounds_};
    while (dive || !open.empty()) {
      if (!dive) {
        dive = open.top();
        open.pop();
        if (!is_promising(dive->bound)) {
          break;  // and so is none of the others
        }
      }
      if (nodes_ >= limits_.most_nodes && (best_ || nodes_ >= SearchLimits{}.most_nodes)) {
        open.push(std::move(*dive));
        break;
      }
      dive = expand(*std::exchange(dive, std::nullopt), open);
    }
    if (!best_) {
      if (open.empty()) {
        return std::nullopt;
      }
      throw Error{ErrorCode::internal_error,
                  "the search for whole racks found none in " + std::to_string(nodes_) +
                      " relaxations and did not prove that there is none",
                  "", "report this with the site file"};
    }
    best_->bound = std::max({best_->objective, cut_off_, open.empty() ? -kInf : open.top().bound});
    return std::move(best_);
  }

 private:
  static constexpr double kInf = 1e300;

  [[nodiscard]] bool is_promising(double bound) {
    if (!best_ || bound > best_->objective + limits_.gap_ratio * std::abs(best_->objective)) {
      return true;
    }
    cut_off_ = std::max(cut_off_, bound);
    return false;
  }

  /// Solves the node; the half to go on with, the other one waits.
  std::optional<Node> expand(const Node& node, std::priority_queue<Node>& open) {
    const auto objective = solve(node.bounds);
    if (!objective || !is_promising(*objective)) {
      return std::nullopt;
    }
    const auto values = whole_values();
    auto at = most_fractional(values, kWhole);
    if (!at) {
      try_whole(values);
      if (!is_promising(*objective)) {
        return std::nullopt;
      }
      // Whole to the eye, but not with that value: split it all the same.
      at = most_fractional(values, 0);
      if (!at) {
        cut_off_ = std::max(cut_off_, *objective);
        return std::nullopt;
      }
    }
    if (nodes_ % kRoundingPeriod == 1) {
      try_rounded(values, node.bounds);
    }
    Node down{*objective, ++order_, node.bounds};
    Node up{*objective, ++order_, node.bounds};
    down.bounds[*at].upper = std::floor(values[*at]);
    up.bounds[*at].lower = std::ceil(values[*at]);
    const bool is_down_nearer = values[*at] - std::floor(values[*at]) < 0.5;
    Node& nearer = is_down_nearer ? down : up;
    open.push(is_down_nearer ? up : down);
    return std::move(nearer);
  }

  /// The relaxation's optimum inside `bounds`; nothing when there is none.
  std::optional<double> solve(const std::vector<Bounds>& bounds) {
    ++nodes_;
    for (std::size_t i = 0; i < integers_.size(); ++i) {
      if (bounds[i].lower > bounds[i].upper) {
        return std::nullopt;
      }
      simplex_.setColumnBounds(integers_[i], bounds[i].lower, bounds[i].upper);
    }
    simplex_.dual();
    return ends_optimal(simplex_) ? std::optional{simplex_.getObjValue()} : std::nullopt;
  }

  [[nodiscard]] std::vector<double> whole_values() const {
    std::vector<double> values;
    values.reserve(integers_.size());
    for (const int column : integers_) {
      values.push_back(simplex_.getColSolution()[column]);
    }
    return values;
  }

  /// The column farthest from a whole number, farther than `least`.
  static std::optional<std::size_t> most_fractional(const std::vector<double>& values,
                                                    double least) {
    std::optional<std::size_t> most;
    double farthest = least;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double off = std::abs(values[i] - std::round(values[i]));
      if (off > farthest) {
        farthest = off;
        most = i;
      }
    }
    return most;
  }

  void try_rounded(const std::vector<double>& values, const std::vector<Bounds>& bounds) {
    const auto attempt = [&](double (*rounded)(double)) {
      std::vector<double> whole;
      whole.reserve(values.size());
      for (std::size_t i = 0; i < values.size(); ++i) {
        whole.push_back(std::clamp(rounded(values[i]), bounds[i].lower, bounds[i].upper));
      }
      try_whole(whole);
    };
    attempt([](double value) { return std::floor(value + kWhole); });
    attempt([](double value) { return std::round(value); });
    attempt([](double value) { return std::ceil(value - kWhole); });
  }

  /// The optimum with the whole columns at the whole numbers next to `values`.
  void try_whole(const std::vector<double>& values) {
    std::vector<Bounds> fixed;
    fixed.reserve(values.size());
    for (const double value : values) {
      fixed.push_back({std::round(value), std::round(value)});
    }
    const auto objective = solve(fixed);
    if (!objective || (best_ && *objective <= best_->objective)) {
      return;
    }
    best_.emplace();
    best_->objective = *objective;
    best_->columns.assign(simplex_.getColSolution(),
                          simplex_.getColSolution() + simplex_.numberColumns());
    for (std::size_t i = 0; i < integers_.size(); ++i) {
      best_->columns[static_cast<std::size_t>(integers_[i])] = fixed[i].lower;
    }
  }

  ClpSimplex simplex_;
  const std::vector<int>& integers_;
  SearchLimits limits_;
  std::vector<Bounds> bounds_;
  std::optional<WholeAnswer> best_;
  double cut_off_ = -kInf;  // highest bound that was not followed
  int nodes_ = 0;
  std::size_t order_ = 0;
};

}  // namespace

std::optional<WholeAnswer> solve_whole(const ClpSimplex& simplex, const std::vector<int>& integers,
                                       const std::vector<double>& guess,
                                       const SearchLimits& limits) {
  return Search{simplex, integers, limits}.run(guess);
}

}  // namespace perwatt::plan
