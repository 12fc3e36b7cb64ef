// A scenario file; of small sites a few steps under one of its policies.
#include "perwatt/simulate/scenario.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "fuzz_check.hpp"

#include "perwatt/simulate/scenario_run.hpp"

namespace {

using namespace perwatt;

constexpr std::int64_t kSteps = 30;
constexpr std::size_t kMostFuzzedDevices = 64;
constexpr std::size_t kMostFuzzedNodes = 64;
constexpr double kMostFuzzedRate = 1e4;  // requests/s
constexpr std::int64_t kMostFuzzedClients = 1000;
constexpr std::int64_t kLeastStepNs = 20'000'000;  // the lead-in is 30 s

bool is_small(const simulate::Scenario& scenario) {
  if (scenario.tree.devices().size() > kMostFuzzedDevices ||
      scenario.tree.nodes().size() > kMostFuzzedNodes || scenario.failures ||
      scenario.plant.step_ns < kLeastStepNs) {
    return false;
  }
  for (const auto& service : scenario.services) {
    if (const auto* steady = std::get_if<simulate::SteadyArrivals>(&service.arrivals)) {
      if (steady->rate_per_second > kMostFuzzedRate) {
        return false;
      }
    } else if (const auto* loop = std::get_if<simulate::ClosedLoop>(&service.arrivals)) {
      if (loop->clients > kMostFuzzedClients) {
        return false;
      }
    } else {
      return false;
    }
  }
  return true;
}

void check_run(const simulate::Scenario& scenario, const simulate::PolicyPlan& policy) {
  simulate::ScenarioRun run{scenario, policy, scenario.seed};
  while (run.steps_done() < std::min(kSteps, run.steps())) {
    run.step();
  }
  for (std::size_t d = 0; d < run.demands().size(); ++d) {
    fuzz::demand(run.demands()[d] >= Watts{}, "a device asks for less than nothing");
    fuzz::demand(run.plant().draw_watts()[d] >= 0, "a device draws less than nothing");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    const auto scenario = simulate::read_scenario(text, "fuzz.toml", "/nonexistent");
    if (is_small(scenario)) {
      check_run(scenario, scenario.policies[size % scenario.policies.size()]);
    }
  });
  return 0;
}
