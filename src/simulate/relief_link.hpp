// The simulated site's side of relief: what control::Relief decides goes to the agents as orders,
// and they say what they have obeyed. Messages take their time and get lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy.hpp"

#include "perwatt/agent/device_switch.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/control/breach_ladder.hpp"
#include "perwatt/control/controller.hpp"
#include "perwatt/control/relief.hpp"
#include "perwatt/control/switchboard.hpp"
#include "perwatt/device/platform.hpp"
#include "perwatt/device/switch_terms.hpp"
#include "perwatt/jobs/job.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::simulate {

/// A job for each pool of a service, by instance, and for each training job, by part.
[[nodiscard]] std::vector<jobs::Job> jobs_of(const Scenario& scenario);

class ReliefLink {
 public:
  explicit ReliefLink(const PolicySite& site);

  /// A controller that starts, anew too, with its ledger: all that was decided before is forgotten,
  /// but what agents were told.
  void start(std::span<const control::ControlledDevice> devices, const control::ReliefRules& rules,
             std::span<const Watts> limits, const control::ChargeLedger& ledger);

  void stop();

  /// By node: what the site says it may carry.
  void set_limits(std::span<const Watts> limits);

  /// Of an agent, now.
  [[nodiscard]] device::SwitchReport report(std::uint32_t device) const;

  /// A report that has come in.
  void take(std::uint32_t device, const device::SwitchReport& report,
            control::AnyController& controller);

  /// Decides and sends. `readings` by device, of which those that are missing count with their
  /// charge.
  void tick(Instant now, std::span<const control::Breach> required,
            std::span<const device::PowerReading> readings, control::AnyController& controller,
            const std::function<bool()>& is_lost);

  /// Orders that have arrived at the agents.
  void deliver(Instant now);

  [[nodiscard]] std::vector<std::string> take_messages();

 private:
  struct SentOrder {
    Instant arrives;
    control::Switchboard::Order order;
  };

  void set_clocks();

  PolicySite site_;
  std::uint32_t starts_ = 0;
  std::optional<control::Relief> relief_;
  std::optional<control::Switchboard> board_;
  std::vector<agent::DeviceSwitch> switches_;
  std::deque<SentOrder> sent_;
  std::vector<Watts> draws_;
  std::vector<double> clocks_;  // as locked
};

}  // namespace perwatt::simulate
