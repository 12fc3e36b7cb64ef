#include "perwatt/simulate/run_scenario.hpp"

#include "perwatt/simulate/scenario_run.hpp"

namespace perwatt::simulate {

namespace {

constexpr std::int64_t kTellEvery = 1000;  // steps

}  // namespace

PolicyResult run_scenario(const Scenario& scenario, const PolicyPlan& policy, std::uint64_t seed,
                          const Progress& progress, const RunMeans& means) {
  ScenarioRun run{scenario, policy, seed, means};
  while (run.steps_done() < run.steps()) {
    if (progress && run.steps_done() % kTellEvery == 0) {
      progress(static_cast<double>(run.steps_done()) / static_cast<double>(run.steps()));
    }
    run.step();
  }
  return run.result();
}

}  // namespace perwatt::simulate
