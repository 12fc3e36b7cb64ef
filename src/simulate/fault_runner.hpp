// Begins and ends the faults of a scenario.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "policy.hpp"
#include "service_work.hpp"

#include "perwatt/simulate/plant.hpp"
#include "perwatt/simulate/run_scenario.hpp"

namespace perwatt::simulate {

class FaultRunner {
 public:
  /// All of it outlives the runner. Work begins at `origin`; random failures come for `span`.
  FaultRunner(const Scenario& scenario, Instant origin, Seconds span, std::uint64_t seed);

  /// What began and ended, in words.
  /// Adds what was drawn over lowered limits in a step of the plant that is done.
  void count_over_lowered(Instant now, const Plant& plant, Seconds step,
                          LoweredLimits& lowered) const;

  /// What began and ended, in words.
  std::vector<std::string> step(Instant now, Plant& plant, GpuStates& gpus, Policy& policy);

 private:
  void draw_failures(const RandomFailures& failures, Seconds span, std::uint64_t seed);
  void change(std::size_t fault, bool begins, Instant now, Plant& plant, GpuStates& gpus,
              Policy& policy);
  void apply_to_devices(const Fault& fault, Instant now, Plant& plant, GpuStates& gpus,
                        Policy& policy) const;
  [[nodiscard]] const Fault* last_active(FaultKind kind, topology::NodeIndex node) const;
  [[nodiscard]] const Fault* last_active_of_meter(topology::NodeIndex node) const;
  [[nodiscard]] double message_loss() const;
  void tell_limits(Policy& policy) const;

  struct Event {
    Instant at;
    std::size_t fault;
    bool begins;
  };

  const topology::PowerTree& tree_;
  Instant origin_;
  std::vector<Fault> faults_;
  std::vector<std::size_t> active_;  // in their order
  std::vector<Event> events_;        // by time
  std::size_t next_ = 0;
};

}  // namespace perwatt::simulate
