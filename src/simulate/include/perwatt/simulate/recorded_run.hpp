// A site as it was recorded, under a controller that looks on: what a live page shows of it.
//
// The controller sees at every step what the recording knew then, alarms, and in mode advise
// decides. Nothing of the scenario is simulated: its faults, arrivals and prices do not matter but
// for what a watt is worth.
//
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/simulate/plant_meters.hpp"
#include "perwatt/simulate/run_scenario.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::simulate {

class RecordedRun {
 public:
  /// `csv` as parse_power_csv() reads it, rows in any order; `name` stands for its file. `scenario`
  /// and `policy` outlive it. Throws Error(bad_input) as parse_power_csv() and RecordedPlatform.
  /// REQUIRES: a policy of kind perwatt in mode observe or advise.
  RecordedRun(const Scenario& scenario, const PolicyPlan& policy, std::string_view csv,
              const std::string& name);
  ~RecordedRun();
  RecordedRun(RecordedRun&&) noexcept;
  RecordedRun& operator=(RecordedRun&&) noexcept;

  [[nodiscard]] std::int64_t steps() const;  // from the first row to the last
  [[nodiscard]] std::int64_t steps_done() const;
  [[nodiscard]] Seconds time() const;  // since the first row

  /// REQUIRES: steps_done() < steps().
  void step();

  /// As it is under the policy.
  [[nodiscard]] const topology::PowerTree& tree() const;

  /// By device and by node: what the recording knows now.
  [[nodiscard]] std::span<const Reading> devices() const;
  [[nodiscard]] std::span<const Reading> meters() const;

  /// As of ScenarioRun.
  [[nodiscard]] std::span<const Watts> advised_caps() const;

  /// Alarms, all so far.
  [[nodiscard]] const std::vector<RunEvent>& events() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace perwatt::simulate
