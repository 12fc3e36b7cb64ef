// A pipeline that training jobs run, with the frequency plans they may be given.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "perwatt/training/frequency_plan.hpp"

namespace perwatt::serve {

/// What a plan is for as long as nobody waits and nothing caps the power.
struct PlanGoal {
  std::optional<Seconds> time;  // at most this; without: no slower than at full clocks
  bool least_energy = false;    // in place of a time
};

/// A plan as ranks are told it.
struct StagePlan {
  Seconds time;  // of an iteration, waiting included
  Joules energy;
  Joules lower_bound;
  /// By stage: [["forward",1410],…] as JSON, in the order of execution.
  std::vector<std::string> frequencies;
};

/// Thread rule: one thread at a time.
class PlannedPipeline {
 public:
  /// Throws Error(bad_input) with `where` for a pipeline with knobs other than the frequency, which
  /// ranks cannot be told, and for a goal that no iteration reaches.
  PlannedPipeline(std::string name, training::Pipeline pipeline, PlanGoal goal,
                  const std::string& where);
  PlannedPipeline(const PlannedPipeline&) = delete;
  PlannedPipeline& operator=(const PlannedPipeline&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }

  [[nodiscard]] int stages() const { return pipeline_.stages; }

  [[nodiscard]] const training::Planner& planner() const { return planner_; }

  /// Frequencies in MHz that plans may use on a stage, ascending. REQUIRES: a stage of it.
  [[nodiscard]] const std::vector<int>& frequencies(int stage) const {
    return frequencies_[static_cast<std::size_t>(stage)];
  }

  /// Of instructions, their order and the frequencies plans may use: what ranks rely on.
  [[nodiscard]] const std::string& fingerprint() const { return fingerprint_; }

  /// The plan for the goal or, where that draws more, the shortest found whose mean power (stages
  /// of one pipeline, per GPU of a tensor parallel group) is at most `cap` without waiting, since
  /// ranks are told frequencies only; null when there is none. The same plan while anybody holds
  /// it.
  [[nodiscard]] std::shared_ptr<const StagePlan> plan(std::optional<Watts> cap) const;

  /// The plan of a pipeline that others make wait until `time`, within the cap.
  /// REQUIRES: plan(cap), and `time` not shorter than its time.
  [[nodiscard]] std::shared_ptr<const StagePlan> waiting_plan(std::optional<Watts> cap,
                                                              Seconds time) const;

 private:
  [[nodiscard]] std::shared_ptr<const StagePlan> known(std::optional<Watts> cap,
                                                       std::optional<Seconds> time) const;
  [[nodiscard]] std::shared_ptr<const StagePlan> told(const training::FrequencyPlan& plan) const;

  std::string name_;
  training::Pipeline pipeline_;
  training::Planner planner_;
  training::FrequencyPlan unhurried_;          // for the goal
  std::vector<std::vector<int>> frequencies_;  // by stage
  std::string fingerprint_;
  /// By cap and time in base units, -1 for none.
  mutable std::map<std::pair<double, double>, std::weak_ptr<const StagePlan>> known_;
};

}  // namespace perwatt::serve
