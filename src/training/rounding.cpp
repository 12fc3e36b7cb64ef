#include "rounding.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace perwatt::training {

namespace {

/// Beyond the time asked for, where a rounding down of durations may still end in time.
constexpr std::array<double, 8> kBeyond = {0.007, 0.005, 0.003, 0.002, 0.0015, 0.001, 0.0005, 0.0};

constexpr std::uint32_t kMostStepsFaster = 16;

/// Visits of operations spent on making one rounding end in time.
constexpr std::size_t kMostRepairVisits = 20'000'000;

class Rounding {
 public:
  Rounding(const DiscretePipeline& discrete, Picoseconds end) : discrete_{discrete}, end_{end} {}

  /// Makes `choice` end in time, gives slack back, and keeps what is better than the best.
  void offer(Choice choice) {
    if (!repair(choice)) {
      return;
    }
    auto other = choice;
    discrete_.reclaim_forward(choice, end_);
    discrete_.reclaim_backward(choice, end_);
    keep(std::move(choice));
    discrete_.reclaim_backward(other, end_);
    discrete_.reclaim_forward(other, end_);
    keep(std::move(other));
  }

  /// Offers what follows from the cheapest mixture of time flow.time().
  void round(const ParametricFlow& flow, double watts_per_flow) {
    read_windows(flow);
    const auto ranks = discrete_.size();
    Choice choice(ranks);
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      choice[rank] = discrete_.slowest_within(rank, ends_[rank] - begin_[rank]);
    }
    offer(choice);
    // What an operation leaves of its window goes to the next one.
    std::vector<Picoseconds> reached(ranks, 0);
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      choice[rank] = discrete_.slowest_within(rank, ends_[rank] - reached[rank]);
      discrete_.push_begin(rank, reached[rank] + discrete_.chosen(choice, rank).time, reached);
    }
    offer(choice);
    reached.assign(ranks, *std::max_element(ends_.begin(), ends_.end()));
    for (auto rank = ranks; rank-- > 0;) {
      choice[rank] = discrete_.slowest_within(rank, reached[rank] - begin_[rank]);
      discrete_.pull_end(rank, reached[rank] - discrete_.chosen(choice, rank).time, reached);
    }
    offer(choice);
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      choice[rank] = cheapest_at(
          rank, static_cast<double>(flow.price(discrete_.operation(rank))) * watts_per_flow);
    }
    offer(choice);
  }

  /// Makes one operation faster and gives the time to others, as long as that saves energy.
  void exchange(double most_visits) {
    double visits = 0;
    for (bool is_better = true; is_better && visits < most_visits;) {
      is_better = false;
      for (std::size_t rank = 0; rank < discrete_.size() && visits < most_visits; ++rank) {
        for (std::uint32_t faster = 1; faster <= kMostStepsFaster; ++faster) {
          for (const bool is_forward : {true, false}) {
            if (best_[rank] + faster >= discrete_.settings(rank).size()) {
              break;
            }
            auto choice = best_;
            choice[rank] += faster;
            if (is_forward) {
              discrete_.reclaim_forward(choice, end_);
            } else {
              discrete_.reclaim_backward(choice, end_);
            }
            visits += 2 * static_cast<double>(discrete_.size());
            is_better = keep(std::move(choice)) || is_better;
          }
        }
      }
    }
  }

  [[nodiscard]] const Choice& best() const { return best_; }

 private:
  void read_windows(const ParametricFlow& flow) {
    begin_.clear();
    ends_.clear();
    for (std::size_t rank = 0; rank < discrete_.size(); ++rank) {
      begin_.push_back(flow.begin(discrete_.operation(rank)));
      ends_.push_back(flow.end(discrete_.operation(rank)));
    }
    const auto origin = *std::min_element(begin_.begin(), begin_.end());
    for (std::size_t rank = 0; rank < discrete_.size(); ++rank) {
      begin_[rank] -= origin;
      ends_[rank] -= origin;
    }
  }

  [[nodiscard]] std::uint32_t cheapest_at(std::size_t rank, double watts_of_time) const {
    const auto settings = discrete_.settings(rank);
    std::size_t cheapest = 0;
    double least = std::numeric_limits<double>::max();
    for (std::size_t i = 0; i < settings.size(); ++i) {
      const double cost = static_cast<double>(settings[i].energy) +
                          watts_of_time * static_cast<double>(settings[i].time);
      if (cost < least) {
        least = cost;
        cheapest = i;
      }
    }
    return static_cast<std::uint32_t>(cheapest);
  }

  /// Speeds critical operations up, the cheapest time first, until all is over at end_.
  bool repair(Choice& choice) const {
    std::vector<Picoseconds> begin;
    std::vector<Picoseconds> ends;
    const auto most = std::min(discrete_.size(), kMostRepairVisits / discrete_.size());
    for (std::size_t i = 0; i <= most; ++i) {
      const auto last = discrete_.begin_early(choice, begin);
      if (last <= end_) {
        return true;
      }
      discrete_.end_late(choice, last, ends);
      std::size_t cheapest = discrete_.size();
      double least = std::numeric_limits<double>::max();
      for (std::size_t rank = 0; rank < discrete_.size(); ++rank) {
        const auto settings = discrete_.settings(rank);
        const auto& now = settings[choice[rank]];
        if (ends[rank] - begin[rank] != now.time || choice[rank] + 1 == settings.size()) {
          continue;
        }
        const auto& next = settings[choice[rank] + 1];
        const double cost = static_cast<double>(next.energy - now.energy) /
                            static_cast<double>(std::min(now.time - next.time, last - end_));
        if (cost < least) {
          least = cost;
          cheapest = rank;
        }
      }
      if (cheapest == discrete_.size()) {
        return false;
      }
      ++choice[cheapest];
    }
    return false;
  }

  bool keep(Choice choice) {
    const auto energy = discrete_.energy(choice);
    if (!best_.empty() && energy >= best_energy_) {
      return false;
    }
    best_ = std::move(choice);
    best_energy_ = energy;
    return true;
  }

  const DiscretePipeline& discrete_;
  Picoseconds end_;
  std::vector<Picoseconds> begin_;  // of the windows, by rank, from 0
  std::vector<Picoseconds> ends_;
  Choice best_;  // empty before the first
  Nanojoules best_energy_ = 0;
};

}  // namespace

Choice round_at(const Pipeline& pipeline, const ScaledWorks& works,
                const DiscretePipeline& discrete, const std::vector<std::uint32_t>& topological,
                Picoseconds end, double most_visits) {
  Choice fastest(discrete.size());
  for (std::size_t rank = 0; rank < fastest.size(); ++rank) {
    fastest[rank] = static_cast<std::uint32_t>(discrete.settings(rank).size() - 1);
  }
  std::vector<Picoseconds> begin;
  end = std::max(end, discrete.begin_early(fastest, begin));
  Rounding rounding{discrete, end};
  rounding.offer(std::move(fastest));
  ParametricFlow flow{pipeline, works, topological};
  for (const double beyond : kBeyond) {
    const auto until = end + static_cast<Picoseconds>(static_cast<double>(end) * beyond);
    bool is_changed = beyond == kBeyond.back();
    while (flow.time() > until && flow.shorten(until)) {
      is_changed = true;
    }
    if (is_changed) {
      rounding.round(flow, works.watts_per_flow);
    }
  }
  rounding.exchange(most_visits);
  return rounding.best();
}

}  // namespace perwatt::training
