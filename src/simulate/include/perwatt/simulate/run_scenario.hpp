// Runs a scenario under a policy and scores it by the plant's own truth.
//
// Before the work begins the policy has kLeadIn to set its caps. Limits are watched over the whole
// run, work is scored after the warm-up.
//
// Equal scenario, policy and seed give equal results, bit for bit on one build. Runs share nothing:
// they may go in threads of their own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/simulate/latency_record.hpp"
#include "perwatt/simulate/plant_meters.hpp"
#include "perwatt/simulate/run_means.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::simulate {

inline constexpr Seconds kLeadIn = seconds(30);

/// Of the root's limit, mean over the scored time; sums to limit - supply.
struct Stranded {
  Watts idle_work;    // nobody would draw it
  Watts child_limit;  // wanted, and held back by a limit further down
  Watts reserve;      // wanted, and within all limits: not handed out, or kept for overshoot
};

struct ServiceResult {
  std::string id;
  LatencyRecord record;
  Joules energy;  // of its GPUs
  double mean_speed_ratio = 1;
  std::int64_t unfinished_requests = 0;  // at the end: in no percentile
};

struct TrainingResult {
  std::string id;
  double iterations_per_second = 0;  // kept
  double lost_iterations = 0;
  Joules energy;  // of its GPUs
  Joules lost_energy;
  Joules overhead_energy;
  double mean_speed_ratio = 1;
};

/// Means over equal parts of the scored time.
struct Timeline {
  Seconds part;
  std::vector<Watts> supply;   // of the root
  std::vector<Watts> highest;  // of a step, in the part
  std::vector<Watts> wanted;   // with no caps, at the root
  std::vector<TokensPerSecond> output;
  std::vector<TokensPerSecond> good;
};

/// From a limit's lowering until it counts: agents that hear nothing have fallen back by then.
inline constexpr Seconds kLoweredGrace = seconds(30);

/// Over limits that a fault lowered, later than kLoweredGrace after that; not in Violations.
struct LoweredLimits {
  Seconds time_over;
  Joules energy_over;
};

/// Something that began or ended: a fault, an alarm, a limit passed.
struct RunEvent {
  Seconds at;  // since the work began
  std::string text;
};

struct PolicyResult {
  std::string policy;
  PolicyKind kind = PolicyKind::perwatt;
  Violations violations;       // of all limits of the tree, over the whole run
  LoweredLimits lowered;       // of limits that faults lowered, likewise
  std::optional<Watts> limit;  // of the root
  Watts mean_supply;           // of the root
  Watts mean_gpu;              // of all devices
  Stranded stranded;           // with a limit of the root
  TokensPerSecond input;
  TokensPerSecond output;
  TokensPerSecond good;  // output of requests inside their limits
  LatencyRecord record;  // of all services
  UsdPerSecond revenue;  // good output, its input, kept training
  UsdPerSecond energy_cost;
  Joules energy;       // of the root
  Joules lost_energy;  // by faults, restarts and checkpoints; tokens by their mean cost
  double cap_writes_per_device_hour = 0;
  double fairness_ratio = 1;  // Jain's index of the jobs' mean speeds
  std::vector<ServiceResult> services;
  std::vector<TrainingResult> trainings;
  Timeline timeline;
  std::vector<RunEvent> events;
};

/// Told between 0 and 1 now and then.
using Progress = std::function<void(double done_ratio)>;

[[nodiscard]] PolicyResult run_scenario(const Scenario& scenario, const PolicyPlan& policy,
                                        std::uint64_t seed, const Progress& progress = {},
                                        const RunMeans& means = {});

}  // namespace perwatt::simulate
