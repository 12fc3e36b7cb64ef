#include "relief_cover.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <numeric>

namespace perwatt::control {

namespace {

constexpr std::size_t kMostSearched = 200'000;    // branches
constexpr std::size_t kMostSearchedUnits = 4096;  // recursion goes as deep
constexpr double kMetWithin = 1e-9;               // of a need, that sums of watts may be short

using Costs = std::vector<double>;  // by priority, the highest first

/// Taking a unit, or pausing a job with all of its units.
struct CoverItem {
  std::size_t job = 0;
  std::size_t unit = 0;  // not of a pause
  bool is_pause = false;
  double worth_per_watt = 0;
};

class CoverSearch {
 public:
  CoverSearch(std::span<const double> needs, std::span<const CoverJob> jobs,
              std::span<const CoverUnit> units)
      : needs_(needs.begin(), needs.end()), jobs_{jobs}, units_{units} {
    std::map<int, std::size_t, std::greater<>> classes;
    for (const auto& job : jobs) {
      classes.emplace(job.priority, 0);
    }
    for (auto& [priority, number] : classes) {
      number = class_count_++;
    }
    for (const auto& job : jobs) {
      class_of_.push_back(classes.at(job.priority));
    }
    order_.resize(jobs.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      return jobs_[a].priority < jobs_[b].priority;
    });
  }

  [[nodiscard]] Cover run() {
    Cover cover{std::vector<char>(units_.size(), 0), std::vector<char>(jobs_.size(), 0), true,
                true};
    if (is_met(needs_)) {
      return cover;
    }
    take_by_order(cover);
    if (cover.is_met) {
      give_back(cover);
    }
    best_ = cover;
    best_costs_ = costs_of(cover);
    if (!cover.is_met) {
      std::fill(best_costs_.begin(), best_costs_.end(), std::numeric_limits<double>::infinity());
    }
    best_.is_proven = false;
    if (units_.size() <= kMostSearchedUnits) {
      look_ahead();
      branch_job(0);
      best_.is_proven = branches_ < kMostSearched;
    }
    return best_;
  }

 private:
  [[nodiscard]] bool is_met(const std::vector<double>& left) const {
    for (std::size_t r = 0; r < left.size(); ++r) {
      if (left[r] > std::max(0.0, needs_[r]) * kMetWithin) {
        return false;
      }
    }
    return true;
  }

  struct Ahead {
    double most_watts = 0;
    double least_worth_per_watt = std::numeric_limits<double>::infinity();
  };

  void add(std::vector<double>& left, std::size_t unit, double sign) const {
    for (const auto& [row, watts] : units_[unit].relief_watts) {
      left[row] -= sign * watts;
    }
  }

  [[nodiscard]] double worth_per_watt(std::size_t first, std::size_t end) const {
    double worth = 0;
    double share = 0;  // of all needs
    for (auto u = first; u < end; ++u) {
      worth += units_[u].worth;
      for (const auto& [row, watts] : units_[u].relief_watts) {
        share += needs_[row] > 0 ? watts / needs_[row] : 0;
      }
    }
    return share > 0 ? worth / share : std::numeric_limits<double>::infinity();
  }

  /// Lowest priority first; in it units before pauses, least worth first.
  [[nodiscard]] std::vector<CoverItem> items() const {
    std::vector<CoverItem> items;
    for (std::size_t j = 0; j < jobs_.size(); ++j) {
      const auto& job = jobs_[j];
      for (auto u = job.first_unit; u < job.end_unit; ++u) {
        if (job.most_off > 0) {
          items.push_back({j, u, false, worth_per_watt(u, u + 1)});
        }
      }
      if (job.may_pause) {
        items.push_back({j, 0, true, worth_per_watt(job.first_unit, job.end_unit)});
      }
    }
    std::stable_sort(items.begin(), items.end(), [&](const CoverItem& a, const CoverItem& b) {
      const int first = jobs_[a.job].priority;
      const int second = jobs_[b.job].priority;
      return first != second            ? first < second
             : a.is_pause != b.is_pause ? b.is_pause
                                        : a.worth_per_watt < b.worth_per_watt;
    });
    return items;
  }

  [[nodiscard]] bool helps(std::size_t unit, const std::vector<double>& left) const {
    const auto& rows = units_[unit].relief_watts;
    return std::any_of(rows.begin(), rows.end(),
                       [&](const auto& row) { return left[row.first] > 0; });
  }

  void take_by_order(Cover& cover) const {
    auto left = needs_;
    std::vector<std::size_t> taken(jobs_.size(), 0);
    const auto take = [&](std::size_t unit) {
      if (cover.is_off[unit] == 0) {
        cover.is_off[unit] = 1;
        add(left, unit, 1);
      }
    };
    for (const auto& item : items()) {
      const auto& job = jobs_[item.job];
      if (is_met(left)) {
        return;
      }
      if (!item.is_pause) {
        if (taken[item.job] < job.most_off && helps(item.unit, left)) {
          ++taken[item.job];
          take(item.unit);
        }
        continue;
      }
      bool can_help = false;
      for (auto u = job.first_unit; u < job.end_unit; ++u) {
        can_help = can_help || (cover.is_off[u] == 0 && helps(u, left));
      }
      if (can_help) {
        cover.is_paused[item.job] = 1;
        for (auto u = job.first_unit; u < job.end_unit; ++u) {
          take(u);
        }
      }
    }
    cover.is_met = is_met(left);
  }

  /// What is not needed after all, the dearest first.
  void give_back(Cover& cover) const {
    auto left = needs_;
    for (std::size_t u = 0; u < units_.size(); ++u) {
      if (cover.is_off[u] != 0) {
        add(left, u, 1);
      }
    }
    auto all = items();
    std::reverse(all.begin(), all.end());
    for (const auto& item : all) {
      const auto& job = jobs_[item.job];
      const bool is_paused = cover.is_paused[item.job] != 0;
      const auto first = item.is_pause ? job.first_unit : item.unit;
      const auto end = item.is_pause ? job.end_unit : item.unit + 1;
      if (item.is_pause != is_paused || cover.is_off[first] == 0) {
        continue;
      }
      for (auto u = first; u < end; ++u) {
        add(left, u, -1);
      }
      const bool is_needed = !is_met(left);
      for (auto u = first; u < end; ++u) {
        cover.is_off[u] = is_needed ? 1 : 0;
        if (is_needed) {
          add(left, u, 1);
        }
      }
      if (item.is_pause && !is_needed) {
        cover.is_paused[item.job] = 0;
      }
    }
  }

  [[nodiscard]] Costs costs_of(const Cover& cover) const {
    Costs costs(class_count_, 0);
    for (std::size_t j = 0; j < jobs_.size(); ++j) {
      for (auto u = jobs_[j].first_unit; u < jobs_[j].end_unit; ++u) {
        costs[class_of_[j]] += cover.is_off[u] != 0 ? units_[u].worth : 0;
      }
    }
    return costs;
  }

  // ---- branch and bound -------------------------------------------------------------------------

  /// What the jobs from each place of the order on relieve of each row at most, and at least cost.
  void look_ahead() {
    const std::vector<Ahead> none(needs_.size());
    ahead_.assign(order_.size() + 1, none);
    for (auto k = order_.size(); k-- > 0;) {
      const auto& job = jobs_[order_[k]];
      std::vector<double> sums(needs_.size(), 0);
      std::vector<double> most(needs_.size(), 0);
      ahead_[k] = ahead_[k + 1];
      for (auto u = job.first_unit; u < job.end_unit; ++u) {
        for (const auto& [row, watts] : units_[u].relief_watts) {
          sums[row] += watts;
          most[row] = std::max(most[row], watts);
          auto& least = ahead_[k][row].least_worth_per_watt;
          least = std::min(least, units_[u].worth / watts);
        }
      }
      for (std::size_t r = 0; r < needs_.size(); ++r) {
        const double by_units = most[r] * static_cast<double>(job.most_off);
        ahead_[k][r].most_watts += job.may_pause ? sums[r] : std::min(sums[r], by_units);
      }
    }
    now_ = {std::vector<char>(units_.size(), 0), std::vector<char>(jobs_.size(), 0), true, true};
    left_ = needs_;
    now_costs_.assign(class_count_, 0);
  }

  /// Whether what is chosen, with more or not, could still be the best.
  [[nodiscard]] bool is_promising(std::size_t next_job) {
    if (++branches_ >= kMostSearched || now_costs_ >= best_costs_) {
      return false;
    }
    for (std::size_t r = 0; r < left_.size(); ++r) {
      const auto& [most_watts, least_worth] = ahead_[next_job][r];
      if (left_[r] - most_watts > std::max(0.0, needs_[r]) * kMetWithin) {
        return false;
      }
      const bool is_one_cost = class_count_ == 1 && left_[r] > 0;
      if (is_one_cost && now_costs_[0] + left_[r] * least_worth >= best_costs_[0]) {
        return false;
      }
    }
    return true;
  }

  void branch_job(std::size_t k) {
    if (is_met(left_)) {
      if (now_costs_ < best_costs_) {
        best_ = now_;
        best_costs_ = now_costs_;
      }
      return;
    }
    if (k == order_.size() || !is_promising(k)) {
      return;
    }
    const auto j = order_[k];
    const auto& job = jobs_[j];
    branch_unit(k, job.first_unit, job.most_off);
    if (job.may_pause) {
      now_.is_paused[j] = 1;
      const double cost = take(j, job.first_unit, job.end_unit);
      branch_job(k + 1);
      take_back(j, job.first_unit, job.end_unit, cost);
      now_.is_paused[j] = 0;
    }
  }

  /// `may_take` more of the job's units from `unit` on.
  void branch_unit(std::size_t k, std::size_t unit, std::size_t may_take) {
    const auto j = order_[k];
    if (unit == jobs_[j].end_unit || may_take == 0 || is_met(left_)) {
      branch_job(k + 1);
      return;
    }
    if (!is_promising(k)) {
      return;
    }
    const double cost = take(j, unit, unit + 1);
    branch_unit(k, unit + 1, may_take - 1);
    take_back(j, unit, unit + 1, cost);
    auto other = unit + 1;  // without this one those like it are no better
    while (other < jobs_[j].end_unit && units_[other].worth == units_[unit].worth &&
           units_[other].relief_watts == units_[unit].relief_watts) {
      ++other;
    }
    branch_unit(k, other, may_take);
  }

  /// Returns the cost of before, so that taking back leaves no rest.
  double take(std::size_t job, std::size_t first, std::size_t end) {
    double& cost = now_costs_[class_of_[job]];
    const double before = cost;
    for (auto u = first; u < end; ++u) {
      now_.is_off[u] = 1;
      add(left_, u, 1);
      cost += units_[u].worth;
    }
    return before;
  }

  void take_back(std::size_t job, std::size_t first, std::size_t end, double cost) {
    for (auto u = first; u < end; ++u) {
      now_.is_off[u] = 0;
      add(left_, u, -1);
    }
    now_costs_[class_of_[job]] = cost;
  }

  std::vector<double> needs_;
  std::span<const CoverJob> jobs_;
  std::span<const CoverUnit> units_;
  std::size_t class_count_ = 0;
  std::vector<std::size_t> class_of_;  // by job
  std::vector<std::size_t> order_;     // jobs, lowest priority first
  Cover best_;
  Costs best_costs_;
  std::vector<std::vector<Ahead>> ahead_;  // by place in the order, by row
  Cover now_;
  Costs now_costs_;
  std::vector<double> left_;
  std::size_t branches_ = 0;
};

}  // namespace

Cover cheapest_cover(std::span<const double> needs, std::span<const CoverJob> jobs,
                     std::span<const CoverUnit> units) {
  return CoverSearch{needs, jobs, units}.run();
}

}  // namespace perwatt::control
