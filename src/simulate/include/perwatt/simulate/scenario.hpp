// What is simulated: a site, the work on it, what goes wrong, and the policies that are compared.
// File format: docs/reference/scenario.md.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "perwatt/base/arrivals.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/control/mode.hpp"
#include "perwatt/control/write_rules.hpp"
#include "perwatt/jobs/job.hpp"
#include "perwatt/simulate/plant_meters.hpp"
#include "perwatt/simulate/plant_spec.hpp"
#include "perwatt/simulate/request_stream.hpp"
#include "perwatt/simulate/service_setup.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::simulate {

/// How power above idle grows with speed: (P - idle) ~ speed ^ exponent, each 1 or more. So a GPU
/// that asks for `demand` and gets `allowed` runs at
///     ((allowed - idle) / (demand - idle)) ^ (1 / exponent)
/// 3 is the law of dynamic power C V^2 f with voltage in proportion to clock (Chandrakasan et al.,
/// JSSC 1992); work that waits for memory loses less speed: a higher exponent.
struct SpeedLaw {
  double prefill_exponent = 3;  // of training: compute
  double decode_exponent = 3;
};

/// In [1/1000, 1]; `allowed` counts as no less than 1/1000 of the way, and a demand that is not
/// above idle is never held back. REQUIRES: exponent >= 1.
[[nodiscard]] double speed_at(Watts allowed, Watts demand, Watts idle, double exponent);

struct SteadyArrivals {
  ArrivalPattern pattern = ArrivalPattern::poisson;  // no closed loop
  double rate_per_second = 0;
  double burstiness = 1;
  std::int64_t burst_size = 1;
};

struct DailyArrivals {
  DailyRate rate;
  ArrivalPattern pattern = ArrivalPattern::poisson;
  double burstiness = 1;
};

struct TraceArrivals {
  RequestTrace trace;
  double rate_ratio = 1;
};

/// So many clients, each sends its next request when the last is done, seen at steps of the plant.
struct ClosedLoop {
  std::int64_t clients = 1;
};

using Arrivals = std::variant<SteadyArrivals, DailyArrivals, TraceArrivals, ClosedLoop>;

/// How much of its speed a job may lose to save energy, what it gives up when a limit falls, and
/// how it comes before others.
struct JobTerms {
  int priority = 0;                 // 0 is the lowest
  double tolerated_loss_ratio = 0;  // 0 to 0.5
  jobs::Tier tier = jobs::Tier::none;
};

struct ServicePlan {
  std::string id;
  std::string entry;  // its id as written: several have it where it is for each node of an entry
  ServiceSetup setup;
  std::array<SpeedLaw, kPools> laws;                            // by Pool
  std::array<std::vector<topology::DeviceIndex>, kPools> gpus;  // by Pool: instance by instance
  Arrivals arrivals;
  TokenLaws lengths;
  UsdPerToken usd_per_input_token;
  UsdPerToken usd_per_output_token;         // of good ones
  std::array<JobTerms, kPools> pool_terms;  // by Pool
  std::array<int, kPools> least_instances{1, 1, 1};
  std::optional<double> sample_ratio;  // by mass, with so much of it request by request
};

/// A synchronous job: every step computes, then communicates, and waits for its slowest GPU.
struct TrainingPlan {
  std::string id;
  std::string entry;
  std::vector<topology::DeviceIndex> gpus;
  Seconds step;                    // at full speed
  double communication_ratio = 0;  // of the step, 0 to below 1; does not slow with caps
  Watts compute;                   // of a GPU
  Watts communication;             // of a GPU, while checkpoints are written too
  Watts idle;
  SpeedLaw law;
  Seconds checkpoint_every;  // 0: never
  Seconds checkpoint_takes;
  Seconds restart_takes;            // after a GPU of it failed and is back
  UsdPerSecond usd_per_gpu_second;  // of work that is kept
  JobTerms terms;
  int part_gpus = 0;    // that it can be made smaller by; 0: it cannot
  int least_parts = 1;  // that it runs with
};

enum class FaultKind {
  node_off,       // a node of the tree: all devices below fail, and come back at its end
  feed_lost,      // the breaker of a node is open
  limit_lowered,  // a node may carry `power` only: what a policy is told
  sensor_frozen,  // of devices below the node; likewise the next three
  sensor_stale,
  sensor_missing,
  sensor_scaled,  // by `factor`
  meter_frozen,   // of the node itself; likewise
  meter_missing,
  meter_scaled,
  cap_ignored,  // by devices below
  cap_refused,
  cap_late,          // by `delay` more
  other_writer,      // holds caps at `power`
  agent_killed,      // of devices below, and started anew at the end
  messages_lost,     // `factor` of them, between controller and agents
  controller_killed  // and restarted from its journal at the end
};

/// As a scenario file writes it: "node-off".
[[nodiscard]] std::string_view to_string(FaultKind kind);

struct Fault {
  FaultKind kind = FaultKind::node_off;
  Seconds at;
  Seconds lasts;
  topology::NodeIndex node;  // not read for the last two
  Watts power;
  double factor = 1;
  Seconds delay;
};

/// A node is in maintenance: perwatt keeps what is below at fail-safe, and its alarms are muted.
struct Maintenance {
  topology::NodeIndex node;
  Seconds at;
  Seconds lasts;
};

/// Nodes that fail at random, independently, with exponential times.
struct RandomFailures {
  topology::NodeKind level = topology::NodeKind::node;
  Seconds mean_time_between;  // of one node
  Seconds repair_takes;
};

enum class PolicyKind {
  fixed,         // nameplate where it fits, else even shares, once
  proportional,  // shares of every limit in proportion to demand
  even,          // water-fill: the highest common level, up to demand
  steering,      // every 90 s under-users give to those at their cap (DPS 0.7.6 defaults)
  stealing,      // by priority bands, the highest first, without regard to use
  perwatt,       // leases, by value
  clairvoyant    // by value, with true demand and devices that obey at once
};

[[nodiscard]] std::string_view to_string(PolicyKind kind);
[[nodiscard]] std::optional<PolicyKind> parse_policy_kind(std::string_view text);

struct PolicyPlan {
  std::string name;
  PolicyKind kind = PolicyKind::perwatt;
  Seconds cadence = seconds(1);
  double guard_ratio = 0.005;    // of every limit, kept free
  std::vector<std::string> off;  // services and jobs that are not there: their GPUs are off
  std::vector<topology::NodeIndex> absent;      // nodes that are not there, nor what is below
  Seconds demand_memory = seconds(5);           // perwatt: docs/model/control.md#demand
  bool survives_feed_loss = true;               // perwatt: keeps what any one lost feed needs
  control::Mode mode = control::Mode::control;  // perwatt
  control::WriteRules writes;                   // perwatt
  bool locks_clocks = true;  // perwatt and clairvoyant: slows jobs that tolerate it, to save energy
};

struct Scenario {
  explicit Scenario(topology::PowerTree site) : tree{std::move(site)} {}

  std::string name;
  topology::PowerTree tree;
  PlantSpec plant;
  double overshoot_ratio = 0;  // the controller's own belief, of every device
  Seconds settle;              // likewise: until a cap has worn in
  Seconds duration;            // scored
  Seconds warm_up;             // before it
  Seconds message_delay;       // between controller and agents, one way
  UsdPerJoule electricity;
  std::vector<ServicePlan> services;
  std::vector<TrainingPlan> trainings;
  std::vector<Fault> faults;  // by time
  std::optional<RandomFailures> failures;
  std::vector<Maintenance> maintenances;
  std::vector<PolicyPlan> policies;
  std::uint64_t seed = 1;
};

/// What is wrong with how long it lasts, in words, or nothing.
[[nodiscard]] std::optional<std::string> length_fault(const Scenario& scenario);

/// The scenario without the nodes that are absent under the policy, and without its jobs that are
/// off. Throws Error(bad_input) where a job that is not off has a GPU there.
[[nodiscard]] Scenario scenario_for(const Scenario& scenario, const PolicyPlan& policy);

/// `folder` is where traces are sought. Throws Error(bad_input) naming file, line, key or node.
[[nodiscard]] Scenario read_scenario(std::string_view text, const std::string& name,
                                     const std::filesystem::path& folder);

}  // namespace perwatt::simulate
