#include "switch_budget.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "parametric_flow.hpp"

namespace perwatt::training {

namespace {

/// Shares of the way from the time asked for to the fastest iteration at which time is priced.
constexpr int kTimes = 16;

/// Prices of a switch: kLeastPrice joules, then each kPriceStep times the one before; the last is
/// as good as infinite.
constexpr int kPrices = 24;
constexpr double kLeastPrice = 1e-3;
constexpr double kPriceStep = 2.5;

/// Mergers whose time is looked at before those that need no look.
constexpr std::size_t kMostLooks = 64;

constexpr int kMostPasses = 8;

using Choices = std::vector<const Option*>;

bool is_same_setting(const Knob& a, const Knob& b) {
  return a.frequency_mhz || b.frequency_mhz ? a.frequency_mhz == b.frequency_mhz : a == b;
}

/// Operations of a stage that set the device, in order.
std::vector<std::uint32_t> setting_operations(const Pipeline& pipeline,
                                              const std::vector<std::uint32_t>& order) {
  std::vector<std::uint32_t> result;
  std::copy_if(order.begin(), order.end(), std::back_inserter(result),
               [&](std::uint32_t operation) { return pipeline.work_of(operation).all.size() > 1; });
  return result;
}

/// The cheapest sequence of options of `operations` at prices of time and `switch_price` for each
/// change inside the iteration; the change back to the first operation is not priced.
Choices cheapest_sequence(const Pipeline& pipeline, const std::vector<std::uint32_t>& operations,
                          const std::vector<double>& watts_of_time, double switch_price) {
  std::vector<std::vector<std::size_t>> came_from(operations.size());
  std::vector<double> before;
  const std::vector<Option>* options_before = nullptr;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto& options = pipeline.work_of(operations[i]).all;
    std::vector<double> now(options.size());
    came_from[i].assign(options.size(), 0);
    const auto cheapest =
        static_cast<std::size_t>(std::min_element(before.begin(), before.end()) - before.begin());
    for (std::size_t k = 0; k < options.size(); ++k) {
      double reach = 0;
      if (options_before != nullptr) {
        reach = before[cheapest] + switch_price;
        came_from[i][k] = cheapest;
        for (std::size_t j = 0; j < options_before->size(); ++j) {
          if (before[j] <= reach && is_same_setting((*options_before)[j].knob, options[k].knob)) {
            reach = before[j];
            came_from[i][k] = j;
          }
        }
      }
      now[k] = reach + options[k].effective_energy.in_base() +
               watts_of_time[i] * options[k].time.in_base();
    }
    before = std::move(now);
    options_before = &options;
  }
  Choices chosen(operations.size());
  auto k =
      static_cast<std::size_t>(std::min_element(before.begin(), before.end()) - before.begin());
  for (auto i = operations.size(); i-- > 0;) {
    chosen[i] = &pipeline.work_of(operations[i]).all[k];
    k = came_from[i][k];
  }
  return chosen;
}

/// Places in a stage's operations: from first to before last.
struct Run {
  std::size_t first;
  std::size_t last;
};

std::vector<Run> runs_of(const std::vector<std::uint32_t>& operations, const Choices& chosen) {
  std::vector<Run> runs;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const bool continues =
        i > 0 && is_same_setting(chosen[operations[i - 1]]->knob, chosen[operations[i]]->knob);
    if (continues) {
      runs.back().last = i + 1;
    } else {
      runs.push_back({i, i + 1});
    }
  }
  return runs;
}

class Search {
 public:
  Search(const Pipeline& pipeline, const Makespan& makespan, Seconds time, int most_switches)
      : pipeline_{pipeline}, makespan_{makespan}, time_{time}, most_switches_{most_switches} {
    for (const auto& order : pipeline.order) {
      stages_.push_back(setting_operations(pipeline, order));
    }
  }

  /// Sequences cheapest at the prices of the frontier at `flow`'s time.
  void try_prices(const ParametricFlow& flow, double watts_per_flow) {
    for (int j = 0; j < kPrices; ++j) {
      const double price = kLeastPrice * std::pow(kPriceStep, j);
      Choices chosen;
      for (const auto& operation : pipeline_.operations) {
        chosen.push_back(&pipeline_.works[operation.work].all.front());
      }
      for (const auto& operations : stages_) {
        if (operations.empty()) {
          continue;
        }
        std::vector<double> watts_of_time;
        watts_of_time.reserve(operations.size());
        for (const auto operation : operations) {
          watts_of_time.push_back(static_cast<double>(flow.price(operation)) * watts_per_flow);
        }
        const auto sequence = cheapest_sequence(pipeline_, operations, watts_of_time, price);
        for (std::size_t i = 0; i < operations.size(); ++i) {
          chosen[operations[i]] = sequence[i];
        }
      }
      if (switches_of(pipeline_, chosen) <= most_switches_ && ends_in_time(chosen)) {
        keep(std::move(chosen));
      }
    }
  }

  /// Merges runs of `chosen`, which ends in time, until there are few enough switches.
  void merge(Choices chosen) {
    while (switches_of(pipeline_, chosen) > most_switches_) {
      if (!merge_once(chosen)) {
        return;
      }
    }
    keep(std::move(chosen));
  }

  /// Sets whole runs of the best choice to cheaper settings as long as all ends in time.
  void improve() {
    if (!best_) {
      return;
    }
    auto chosen = *best_;
    bool is_better = true;
    for (int pass = 0; is_better && pass < kMostPasses; ++pass) {
      is_better = false;
      for (const auto& operations : stages_) {
        for (const auto& run : runs_of(operations, chosen)) {
          for (const auto& option : pipeline_.work_of(operations[run.first]).all) {
            auto changed = chosen;
            const auto change = set(changed, operations, run, option.knob);
            if (change && *change < Joules{} && switches_of(pipeline_, changed) <= most_switches_ &&
                ends_in_time(changed)) {
              chosen = std::move(changed);
              is_better = true;
            }
          }
        }
      }
    }
    keep(std::move(chosen));
  }

  [[nodiscard]] const std::optional<Choices>& best() const { return best_; }

 private:
  struct Merger {
    std::size_t stage;
    Run run;
    const Knob* knob;
    Joules change;
  };

  /// The cheapest option of `operation` at the setting, no longer than `most` if there is one.
  [[nodiscard]] const Option* option_at(std::uint32_t operation, const Knob& knob,
                                        Seconds most) const {
    const auto rank = [&](const Option& option) {
      return std::pair{option.time > most, option.effective_energy};
    };
    const Option* best = nullptr;
    for (const auto& option : pipeline_.work_of(operation).all) {
      if (is_same_setting(option.knob, knob) && (best == nullptr || rank(option) < rank(*best))) {
        best = &option;
      }
    }
    return best;
  }

  /// Sets a run and returns what it changes; nothing when an operation lacks the setting.
  [[nodiscard]] std::optional<Joules> set(Choices& chosen,
                                          const std::vector<std::uint32_t>& operations, Run run,
                                          const Knob& knob) const {
    Joules change;
    for (auto i = run.first; i < run.last; ++i) {
      auto& option = chosen[operations[i]];
      const auto* next = option_at(operations[i], knob, option->time);
      if (next == nullptr) {
        return std::nullopt;
      }
      change += next->effective_energy - option->effective_energy;
      option = next;
    }
    return change;
  }

  /// Every run set like a neighbour, and with its neighbour like full clocks; the cheapest first.
  [[nodiscard]] std::vector<Merger> mergers(const Choices& chosen) const {
    std::vector<Merger> result;
    auto scratch = chosen;
    for (std::size_t stage = 0; stage < stages_.size(); ++stage) {
      const auto& operations = stages_[stage];
      const auto runs = runs_of(operations, chosen);
      const auto consider = [&](Run run, const Knob& knob) {
        if (const auto change = set(scratch, operations, run, knob)) {
          result.push_back({stage, run, &knob, *change});
        }
        for (auto i = run.first; i < run.last; ++i) {
          scratch[operations[i]] = chosen[operations[i]];
        }
      };
      for (std::size_t r = 0; runs.size() > 1 && r < runs.size(); ++r) {
        const auto& next = runs[(r + 1) % runs.size()];
        consider(runs[r], chosen[operations[next.first]]->knob);
        consider(next, chosen[operations[runs[r].first]]->knob);
        if (r + 1 < runs.size()) {
          consider({runs[r].first, next.last},
                   pipeline_.work_of(operations[runs[r].first]).all_max.knob);
        }
      }
    }
    std::stable_sort(result.begin(), result.end(),
                     [](const Merger& a, const Merger& b) { return a.change < b.change; });
    return result;
  }

  bool merge_once(Choices& chosen) const {
    const auto switches = switches_of(pipeline_, chosen);
    std::size_t looks = 0;
    for (const auto& merger : mergers(chosen)) {
      const auto& operations = stages_[merger.stage];
      auto changed = chosen;
      static_cast<void>(set(changed, operations, merger.run, *merger.knob));
      if (switches_of(pipeline_, changed) >= switches) {
        continue;
      }
      // What makes no operation longer ends in time and needs no look.
      const bool is_longer =
          std::any_of(operations.begin(), operations.end(), [&](std::uint32_t operation) {
            return changed[operation]->time > chosen[operation]->time;
          });
      if (!is_longer || (looks++ < kMostLooks && ends_in_time(changed))) {
        chosen = std::move(changed);
        return true;
      }
    }
    return false;
  }

  [[nodiscard]] bool ends_in_time(const Choices& chosen) const {
    std::vector<Seconds> times;
    times.reserve(chosen.size());
    for (const auto* option : chosen) {
      times.push_back(option->time);
    }
    return makespan_(times) <= time_ * (1 + kTimeTolerance);
  }

  void keep(Choices chosen) {
    Joules energy;
    for (const auto* option : chosen) {
      energy += option->effective_energy;
    }
    if (!best_ || energy < best_energy_) {
      best_energy_ = energy;
      best_ = std::move(chosen);
    }
  }

  const Pipeline& pipeline_;
  const Makespan& makespan_;
  Seconds time_;
  int most_switches_;
  std::vector<std::vector<std::uint32_t>> stages_;
  std::optional<Choices> best_;
  Joules best_energy_;
};

}  // namespace

int switches_of(const Pipeline& pipeline, const std::vector<const Option*>& chosen) {
  int switches = 0;
  for (const auto& order : pipeline.order) {
    const auto operations = setting_operations(pipeline, order);
    for (std::size_t i = 0; i < operations.size(); ++i) {
      const auto& next = chosen[operations[(i + 1) % operations.size()]]->knob;
      switches += is_same_setting(chosen[operations[i]]->knob, next) ? 0 : 1;
    }
  }
  return switches;
}

std::optional<std::vector<const Option*>> choose_with_switches(
    const Pipeline& pipeline, const std::vector<std::uint32_t>& topological,
    const Makespan& makespan, const std::vector<const Option*>& free, Seconds time,
    int most_switches) {
  Search search{pipeline, makespan, time, most_switches};
  const auto works = scale(pipeline);
  ParametricFlow flow{pipeline, works, topological};
  auto fastest = flow;
  while (fastest.shorten(0)) {
  }
  const auto slowest = from_picoseconds(flow.time()) + pipeline.tail;
  const auto end =
      std::max(fastest.time(), to_picoseconds(std::min(time, slowest) - pipeline.tail));
  for (int i = 0; i <= kTimes; ++i) {
    const auto until =
        end - static_cast<Picoseconds>(static_cast<double>(end - fastest.time()) * i / kTimes);
    while (flow.time() > until && flow.shorten(until)) {
    }
    search.try_prices(flow, works.watts_per_flow);
  }
  search.merge(free);
  search.improve();
  return search.best();
}

}  // namespace perwatt::training
