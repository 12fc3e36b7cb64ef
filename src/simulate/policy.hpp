// A policy of a scenario: sees readings, writes caps.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "job_curves.hpp"

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/control/journal.hpp"
#include "perwatt/device/platform.hpp"
#include "perwatt/simulate/run_means.hpp"
#include "perwatt/simulate/scenario.hpp"
#include "perwatt/simulate/site_order.hpp"

namespace perwatt::simulate {

/// What is given to a policy. All of it outlives the policy.
struct PolicySite {
  const Scenario& scenario;
  const PolicyPlan& plan;
  std::uint64_t seed = 0;
  device::Platform& platform;
  const std::vector<DeviceValue>& values;            // by device
  std::function<std::vector<Watts>()> true_demands;  // by device: for the clairvoyant alone
  std::span<char> is_to_stop = {};  // by device: what agents were told, written; empty: none can be
  std::span<const char> is_stopped = {};  // by device: off by that, read back
  RunMeans means = {};
};

class Policy {
 public:
  virtual ~Policy() = default;

  /// Before the work begins; the caps have time to act.
  virtual void start(Instant now) = 0;

  /// Once in each step of the plant.
  virtual void step(Instant now) = 0;

  /// What the nodes may carry from now on: by node, infinite where nothing bounds it, for sums of
  /// the shares that the tree declares.
  virtual void set_limits(std::span<const Watts> limits) = 0;

  /// What it has to say since the last call: alarms, in words.
  [[nodiscard]] virtual std::vector<std::string> take_messages() { return {}; }

  /// By device: the caps that it would have in force now; empty where it sets its caps itself, and
  /// where it has no opinion.
  [[nodiscard]] virtual std::span<const Watts> advised_caps() const { return {}; }

  /// Nothing where the policy takes no orders.
  virtual void take_order(const SiteOrder& /*order*/) {}

  /// By node: itself in maintenance; empty where the policy takes no orders.
  [[nodiscard]] virtual std::span<const char> maintained_nodes() const { return {}; }

  [[nodiscard]] virtual bool is_released() const { return false; }

  // Faults of the policy's own machinery; nothing where it has none.
  virtual void set_message_loss(double /*ratio*/) {}

  virtual void kill_controller(Instant /*now*/) {}

  virtual void restart_controller(Instant /*now*/) {}

  virtual void stop_agents(std::span<const topology::DeviceIndex> /*devices*/, Instant /*now*/) {}

  virtual void start_agents(std::span<const topology::DeviceIndex> /*devices*/, Instant /*now*/) {}
};

[[nodiscard]] std::unique_ptr<Policy> make_policy(const PolicySite& site);

/// perwatt's own: managed_policy.cpp. On a platform that sets no caps it advises. Throws
/// Error(bad_input) where the journal of `site` is there already.
[[nodiscard]] std::unique_ptr<Policy> make_managed_policy(const PolicySite& site);

/// Plays the journal of `site`, that of a run under the same policy which has ended, again: as
/// control::replay.
[[nodiscard]] control::Replay replay_managed_journal(const PolicySite& site);

/// perwatt's own where it is not in control: shadow_policy.cpp. REQUIRES: mode observe or advise.
[[nodiscard]] std::unique_ptr<Policy> make_shadow_policy(const PolicySite& site);

}  // namespace perwatt::simulate
