// A scenario under one policy, step by step: what run_scenario() runs to its end, and what a live
// page looks at on the way.
//
// Order within a step of the plant: faults begin and end, the work advances under the caps in
// force, the policy acts, the plant steps.
//
// Thread rule: one thread at a time; runs share nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/control/journal.hpp"
#include "perwatt/simulate/plant.hpp"
#include "perwatt/simulate/run_means.hpp"
#include "perwatt/simulate/run_scenario.hpp"
#include "perwatt/simulate/scenario.hpp"
#include "perwatt/simulate/site_order.hpp"

namespace perwatt::simulate {

/// What was earned since the scoring began.
struct RunTotals {
  std::int64_t output_tokens = 0;
  std::int64_t good_tokens = 0;
  Usd revenue;
};

class ScenarioRun {
 public:
  /// The policy has had kLeadIn to set its caps; the work begins with the first step. `scenario`
  /// and `policy` outlive it.
  ScenarioRun(const Scenario& scenario, const PolicyPlan& policy, std::uint64_t seed,
              const RunMeans& means = {});
  ~ScenarioRun();
  ScenarioRun(ScenarioRun&&) noexcept;
  ScenarioRun& operator=(ScenarioRun&&) noexcept;

  [[nodiscard]] std::int64_t steps() const;  // from begin to end
  [[nodiscard]] std::int64_t steps_done() const;
  [[nodiscard]] Seconds time() const;  // since the work began

  /// One step of the plant. REQUIRES: steps_done() < steps().
  void step();

  /// The site as it is under the policy, in truth.
  [[nodiscard]] const Plant& plant() const;

  /// By device: what it would draw without caps.
  [[nodiscard]] std::span<const Watts> demands() const;

  /// By device: what perwatt would have in force; empty where the policy is not in mode advise.
  [[nodiscard]] std::span<const Watts> advised_caps() const;

  /// From the next step on; nothing under policies that are not perwatt's in control.
  void order(const SiteOrder& order);

  /// By node: itself in maintenance; empty under policies that take no orders.
  [[nodiscard]] std::span<const char> maintained_nodes() const;
  [[nodiscard]] bool is_released() const;

  [[nodiscard]] RunTotals totals() const;

  /// Faults that begin and end, trips, new violations; all so far.
  [[nodiscard]] const std::vector<RunEvent>& events() const;

  /// REQUIRES: steps_done() == steps().
  [[nodiscard]] PolicyResult result() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// Plays the journal (RunMeans) of a run of the same scenario and policy again, with what was told
/// to its controller, and compares all that it granted to the bit. Throws Error(bad_input) as
/// control::replay, and for a policy that is not perwatt's.
[[nodiscard]] control::Replay replay_journal(const Scenario& scenario, const PolicyPlan& policy,
                                             const std::filesystem::path& journal);

}  // namespace perwatt::simulate
