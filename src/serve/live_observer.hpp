// Looks at a run and makes what the live page shows.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/serve/live_state.hpp"
#include "perwatt/simulate/recorded_run.hpp"
#include "perwatt/simulate/scenario.hpp"
#include "perwatt/simulate/scenario_run.hpp"

namespace perwatt::serve {

class LiveObserver {
 public:
  LiveObserver(const simulate::Scenario& scenario, const simulate::PolicyPlan& policy);

  /// Without speed, version and whether it is recorded.
  [[nodiscard]] LiveSite site() const;

  /// REQUIRES: always the same run, of the scenario and policy.
  [[nodiscard]] LiveState observe(const simulate::ScenarioRun& run);
  [[nodiscard]] LiveState observe(const simulate::RecordedRun& run);

 private:
  struct Sample {
    Seconds time;
    simulate::RunTotals totals;
    Joules energy;
  };

  [[nodiscard]] std::vector<NodeFigures> figures(const simulate::ScenarioRun& run) const;
  [[nodiscard]] std::vector<NodeFigures> figures(const simulate::RecordedRun& run) const;
  void add_advice(std::span<const Watts> advised, std::span<const std::optional<Watts>> caps,
                  LiveState& state) const;
  void finish(const std::vector<simulate::RunEvent>& events, LiveState& state);
  [[nodiscard]] LiveRates rates(const LiveState& state);
  void remember(const LiveState& state);

  simulate::Scenario scenario_;  // as it is under the policy
  std::string policy_;
  std::string policy_kind_;
  control::Mode mode_;
  std::int64_t number_ = 0;
  std::optional<Joules> energy_before_;  // the first state
  std::deque<Sample> samples_;
  LiveRates rates_;  // of the last state
  LiveHistory history_;
};

}  // namespace perwatt::serve
