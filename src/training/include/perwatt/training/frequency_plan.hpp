// Frequency plans: a real setting for each operation, and how far the iteration is from the least
// energy any plan could take.
#pragma once

#include <optional>
#include <vector>

#include "perwatt/training/frontier.hpp"
#include "perwatt/training/pipeline.hpp"

namespace perwatt::training {

struct FrequencyPlan {
  /// By operation, into the works of the pipeline, which must outlive the plan.
  std::vector<const Option*> chosen;
  Seconds busy;   // until the last operation and the tail have ended
  Seconds time;   // of the iteration: busy, or longer when it waits
  Joules energy;  // over `time`, blocking power of waiting GPUs included
  Joules effective_energy;
  /// No plan whose iteration takes `time`, waiting included, takes less; of least_energy(): none at
  /// all.
  Joules lower_bound;
  /// Changes of the frequency (of the whole setting, where there is none) from one operation of a
  /// stage to the next, and from the last to the first of the next iteration, over all stages.
  /// Operations with one setting leave the device as it is.
  int switches = 0;

  /// 0 where nothing takes energy.
  [[nodiscard]] double gap_ratio() const {
    return lower_bound > Joules{} ? energy / lower_bound - 1 : 0;
  }

  [[nodiscard]] Watts mean_power() const { return energy / time; }
};

/// Answers one question after another about one pipeline. Answers are the same for the same
/// pipeline. Not safe for use by several threads at once.
class Planner {
 public:
  /// Visits of operations that one answer of at() spends on exchanges: about a second.
  static constexpr double kMostVisits = 4e8;

  /// Fewer `most_visits` answer sooner; the bound stays the same and the gap may grow. Throws as
  /// TimeEnergyFrontier::of does.
  explicit Planner(const Pipeline& pipeline, double most_visits = kMostVisits);

  explicit Planner(Pipeline&&, double most_visits = kMostVisits) = delete;

  [[nodiscard]] const Pipeline& pipeline() const { return pipeline_; }

  [[nodiscard]] const TimeEnergyFrontier& frontier() const { return frontier_; }

  /// The iteration at full clocks, without a plan.
  [[nodiscard]] const Replay& all_max() const { return all_max_; }

  /// What full clocks take when the iteration has to last `time`: they wait when they are sooner
  /// done, and take their own time when they are not.
  [[nodiscard]] Joules all_max_energy(Seconds time) const;

  /// Of the energy of full clocks over the time of `plan`; negative for a plan that takes more, 0
  /// where full clocks take none.
  [[nodiscard]] double saved_ratio(const FrequencyPlan& plan) const;

  /// When each operation runs with its `chosen` option. REQUIRES: one option per operation.
  [[nodiscard]] Timeline timeline(std::span<const Option* const> chosen) const;

  /// The plan found of least effective energy whose operations end within `time`; nothing when no
  /// iteration is that short (to a billionth). Beyond frontier().least_energy_time() it spends more
  /// on blocking power than it saves: ask for least_energy() unless something else sets the time.
  [[nodiscard]] std::optional<FrequencyPlan> at(Seconds time) const;

  /// The same with at most `most_switches` (FrequencyPlan::switches); nothing also when no plan
  /// with so few was found in time.
  [[nodiscard]] std::optional<FrequencyPlan> at(Seconds time, int most_switches) const;

  /// The plan of least energy, blocking power included.
  [[nodiscard]] FrequencyPlan least_energy() const;

  /// The shortest plan found whose mean power over the iteration is at most `cap`, waiting at its
  /// end if need be; nothing when none was found.
  [[nodiscard]] std::optional<FrequencyPlan> under_power(Watts cap) const;

  /// The shortest plan found whose mean power is at most `cap` while it runs, without waiting;
  /// nothing when none was found: such a cap lies near or below the power of the slowest iteration.
  [[nodiscard]] std::optional<FrequencyPlan> under_power_without_waiting(Watts cap) const;

  /// For a pipeline that waits for another one at the end of each iteration: as slow as `time`
  /// allows without wasting energy, then waiting. Nothing when no plan is as short as `time`.
  [[nodiscard]] std::optional<FrequencyPlan> with_straggler(Seconds time) const;

  /// Scores any choice of settings: `chosen` by operation, into the works of the pipeline.
  [[nodiscard]] FrequencyPlan score(std::vector<const Option*> chosen) const;

 private:
  [[nodiscard]] FrequencyPlan held_until(FrequencyPlan plan, Seconds time) const;

  const Pipeline& pipeline_;
  double most_visits_;
  std::vector<std::uint32_t> topological_;
  Makespan makespan_;
  TimeEnergyFrontier frontier_;
  Replay all_max_;
};

}  // namespace perwatt::training
