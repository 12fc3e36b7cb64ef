// perwatt's own policy: the controller, and an agent with a lease for every device, with messages
// between them that take time and get lost.
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <optional>
#include <random>
#include <utility>

#include "policy.hpp"

#include "perwatt/agent/lease.hpp"
#include "perwatt/base/random.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/control/controller.hpp"
#include "perwatt/control/feed_limits.hpp"
#include "perwatt/control/site_watch.hpp"
#include "perwatt/simulate/plant_meters.hpp"
#include "perwatt/simulate/run_scenario.hpp"

namespace perwatt::simulate {

namespace {

constexpr Seconds kLeastLease = seconds(10);
constexpr double kCadencesOfLease = 2.5;
constexpr Seconds kLongestSilence = seconds(10);  // agents speak at least so often
constexpr std::size_t kKnownGrants = 4;           // of a device, that a report may be of

class ManagedPolicy final : public Policy {
 public:
  explicit ManagedPolicy(const PolicySite& site)
      : site_{site},
        speaks_every_{std::min(site.plan.cadence, kLongestSilence)},
        random_{site.seed},
        known_(site.values.size()),
        enforced_(site.values.size()),
        granted_(site.values.size()),
        readings_(site.values.size()),
        meters_(site.scenario.tree.nodes().size()),
        ordered_(site.scenario.tree.nodes().size(), 0),
        maintained_(site.scenario.tree.nodes().size(), 0) {}

  void start(Instant now) override {
    work_begins_ = now + kLeadIn;
    for (std::uint32_t d = 0; d < site_.values.size(); ++d) {
      const auto& device = this->device(d);
      leases_.emplace_back(
          agent::LeaseLimits{device.min, device.max, fail_safe(d), site_.scenario.settle}, 1, now);
      written_.push_back(watts(-1));
      if (site_.plan.locks_clocks && site_.values[d].clock_ratio < 1) {
        static_cast<void>(site_.platform.lock_clock(d, site_.values[d].clock_ratio));
      }
    }
    limits_ = control::steady_limits(site_.scenario.tree);
    survivable_ = site_.plan.survives_feed_loss
                      ? control::survivable_limits(site_.scenario.tree, response_time())
                      : limits_;
    if (site_.plan.mode == control::Mode::advise) {
      advised_.resize(leases_.size());
    }
    apply_leases(now);
    restart_controller(now);
    speaks_at_ = now;
    ticks_at_ = now + site_.plan.cadence;
  }

  void step(Instant now) override {
    keep_calendar(now);
    deliver(now);
    apply_leases(now);
    if (now >= speaks_at_) {
      speaks_at_ = speaks_at_ + speaks_every_;
      speak(now);
      deliver(now);
      look(now);
    }
    if (now >= ticks_at_) {
      ticks_at_ = ticks_at_ + site_.plan.cadence;
      tick(now);
      deliver(now);
    }
  }

  void set_limits(std::span<const Watts> limits) override {
    limits_.assign(limits.begin(), limits.end());
    tell_limits();
  }

  std::vector<std::string> take_messages() override { return std::exchange(messages_, {}); }

  void set_message_loss(double ratio) override { loss_ratio_ = ratio; }

  [[nodiscard]] std::span<const Watts> advised_caps() const override { return advised_; }

  void kill_controller(Instant /*now*/) override {
    controller_.reset();
    watch_.reset();
  }

  void restart_controller(Instant now) override {
    std::erase_if(journal_, [&](const auto& grant) { return grant.void_after <= now; });
    std::vector<control::ControlledDevice> devices;
    for (std::uint32_t d = 0; d < site_.values.size(); ++d) {
      const auto& value = site_.values[d];
      devices.push_back({{fail_safe(d), site_.scenario.overshoot_ratio, {}},
                         device(d).min,
                         device(d).max,
                         value.curve});
    }
    watch_.emplace(site_.scenario.tree, devices, flexible_devices(), watch_rules());
    controller_.emplace(site_.scenario.tree, std::move(devices), rules());
    for (const auto& grant : journal_) {
      controller_->restore(grant);
    }
    told_limits_ = control::steady_limits(site_.scenario.tree);
    tell_limits();
    for (std::uint32_t n = 0; n < maintained_.size(); ++n) {
      if (maintained_[n] != 0) {
        maintain(n, true);
      }
    }
    controller_->release(is_released_);
  }

  void take_order(const SiteOrder& order) override {
    if (order.kind == OrderKind::maintain) {
      ordered_[order.node.value] = order.is_on ? 1 : 0;
    } else if (order.is_on != is_released_) {
      is_released_ = order.is_on;
      messages_.push_back(is_released_ ? "all caps are released: devices go to fail-safe"
                                       : "control is taken again");
      if (controller_) {
        controller_->release(is_released_);
      }
    }
  }

  [[nodiscard]] std::span<const char> maintained_nodes() const override { return maintained_; }

  [[nodiscard]] bool is_released() const override { return is_released_; }

 private:
  struct Speech {
    Instant arrives;
    std::uint32_t device = 0;
    device::LeaseAsk ask;
    device::LeaseReport report;
    std::optional<Watts> in_force;  // read back
    Reading reading;
  };

  struct Sent {
    Instant arrives;
    std::uint32_t device = 0;
    device::LeaseGrant grant;
  };

  /// Else leases are those of agents that would obey, and what stands is somebody else's.
  [[nodiscard]] bool is_in_control() const { return site_.plan.mode == control::Mode::control; }

  [[nodiscard]] const topology::Device& device(std::uint32_t d) const {
    return site_.scenario.tree.devices()[d];
  }

  [[nodiscard]] Watts fail_safe(std::uint32_t d) const {
    return device(d).fail_safe.value_or(device(d).min);
  }

  /// From the loss of a feed until all draws fit what is left, whatever is lost of the messages.
  [[nodiscard]] Seconds response_time() const {
    const auto terms = rules();
    return terms.lease + terms.wearing_in + site_.plan.cadence + site_.scenario.message_delay * 2;
  }

  [[nodiscard]] control::ControlRules rules() const {
    control::ControlRules rules;
    const Seconds step = site_.scenario.plant.step();
    rules.lease = std::max(kLeastLease, site_.plan.cadence * kCadencesOfLease);
    rules.renew_before = rules.lease - site_.plan.cadence * 0.5 - speaks_every_ * 0.5;
    rules.wearing_in = site_.scenario.settle + step * 2;
    rules.guard_ratio = site_.plan.guard_ratio;
    rules.writes = site_.plan.writes;
    rules.demand.memory = std::max(site_.plan.demand_memory, site_.plan.cadence * 2);
    return rules;
  }

  /// Those whose jobs tolerate a loss.
  [[nodiscard]] std::vector<char> flexible_devices() const {
    std::vector<char> is_flexible;
    for (const auto& value : site_.values) {
      is_flexible.push_back(value.clock_ratio < 1 ? 1 : 0);
    }
    return is_flexible;
  }

  /// After the sensors that the scenario describes.
  [[nodiscard]] control::WatchRules watch_rules() const {
    const auto& plant = site_.scenario.plant;
    const Seconds step = plant.step();
    const Seconds margin = site_.scenario.message_delay + step * 2;
    const auto of_sensor = [&](const SensorSpec& sensor, Seconds looked_at) {
      control::TrustRules trust;
      trust.period = std::max(step * sensor.sample_steps, looked_at);
      trust.delay = step * sensor.delay_steps + margin;
      trust.noise = sensor.noise;
      trust.quantum = sensor.quantum;
      return trust;
    };
    control::WatchRules rules;
    rules.devices = of_sensor(plant.device_sensors.value_or(SensorSpec{}), speaks_every_);
    rules.meters = of_sensor(plant.node_sensors.value_or(SensorSpec{}), speaks_every_);
    const auto error_of = [](const std::optional<SensorSpec>& sensor) {
      return std::max(0.02, sensor ? 2 * sensor->most_bias_ratio : 0);
    };
    rules.errors.device_ratio = error_of(plant.device_sensors);
    rules.errors.meter_ratio = error_of(plant.node_sensors);
    rules.alarms.settle = site_.scenario.settle + speaks_every_ + margin;
    rules.alarms.grace = kLeadIn + speaks_every_ * 5;
    rules.ladder.tick = speaks_every_;
    const Seconds until_sent = site_.plan.cadence + site_.scenario.message_delay * 2;
    rules.ladder.times.throttle += until_sent;
    rules.ladder.times.fail_safe = this->rules().lease + this->rules().wearing_in + until_sent;
    return rules;
  }

  void maintain(std::uint32_t n, bool is_on) {
    if (controller_) {
      controller_->maintain(topology::NodeIndex{n}, is_on);
      watch_->maintain(topology::NodeIndex{n}, is_on);
    }
  }

  /// Which nodes are in maintenance now, by the scenario or by order.
  void keep_calendar(Instant now) {
    if (site_.scenario.maintenances.empty() && ordered_ == maintained_) {
      return;
    }
    std::vector<char> wanted = ordered_;
    for (const auto& one : site_.scenario.maintenances) {
      const Seconds begun = now - (work_begins_ + one.at);
      if (begun >= Seconds{} && begun < one.lasts) {
        wanted[one.node.value] = 1;
      }
    }
    const auto muted = wanted == maintained_ ? std::vector<control::Alarm>{} : muted_alarms();
    for (std::uint32_t n = 0; n < wanted.size(); ++n) {
      if (wanted[n] != maintained_[n]) {
        maintained_[n] = wanted[n];
        maintain(n, wanted[n] != 0);
        messages_.push_back("maintenance of '" + site_.scenario.tree.nodes()[n].id +
                            (wanted[n] != 0 ? "' began" : "' ended"));
      }
    }
    for (const auto& alarm : muted) {
      if (!watch_->is_muted(alarm)) {
        messages_.push_back(watch_->alarms().text(alarm));
      }
    }
  }

  /// Those that stand and were not told.
  [[nodiscard]] std::vector<control::Alarm> muted_alarms() const {
    auto alarms = watch_ ? watch_->alarms().standing() : std::vector<control::Alarm>{};
    std::erase_if(alarms, [&](const auto& alarm) { return !watch_->is_muted(alarm); });
    return alarms;
  }

  bool is_lost() { return loss_ratio_ > 0 && uniform_unit(random_) < loss_ratio_; }

  void apply_leases(Instant now) {
    commands_.clear();
    for (std::uint32_t d = 0; d < leases_.size(); ++d) {
      const Watts cap = std::max(device(d).min, watts(std::floor(in_watts(leases_[d].cap(now)))));
      if (!advised_.empty()) {
        advised_[d] = cap;
      } else if (is_in_control() && cap != written_[d]) {
        commands_.push_back({d, cap});
      }
    }
    answers_.resize(commands_.size());
    site_.platform.write(commands_, answers_);
    for (std::size_t i = 0; i < commands_.size(); ++i) {
      if (answers_[i] == device::CapAnswer::accepted) {  // else it is tried again
        written_[commands_[i].device] = commands_[i].cap;
      }
    }
  }

  void speak(Instant now) {
    site_.platform.read(readings_, meters_);
    for (std::uint32_t d = 0; d < leases_.size(); ++d) {
      const auto ask = leases_[d].ask(now);
      const auto in_force = site_.platform.enforced_cap(d);
      const auto report = leases_[d].report(
          now, is_in_control() ? in_force.value_or(device(d).max) : leases_[d].cap(now));
      if (!is_lost()) {
        speeches_.push_back(
            {now + site_.scenario.message_delay, d, ask, report, in_force, readings_[d]});
      }
    }
  }

  void deliver(Instant now) {
    for (; !speeches_.empty() && speeches_.front().arrives <= now; speeches_.pop_front()) {
      const auto& speech = speeches_.front();
      if (!controller_) {
        continue;
      }
      const topology::DeviceIndex d{speech.device};
      controller_->ask(d, speech.ask, speech.arrives);
      controller_->report(d, speech.report);
      known_[speech.device] = speech.reading;
      enforced_[speech.device] = speech.in_force;
      if (!is_in_control()) {
        watch_->want(d, speech.in_force.value_or(device(speech.device).max));
        continue;
      }
      if (speech.report.is_lapsed) {
        watch_->want(d, fail_safe(speech.device));
      }
      for (const auto& [id, cap] : granted_[speech.device]) {
        if (!speech.report.is_lapsed && speech.report.accepted == id) {
          watch_->want(d, cap);
        }
      }
    }
    for (; !sent_.empty() && sent_.front().arrives <= now; sent_.pop_front()) {
      static_cast<void>(leases_[sent_.front().device].take(sent_.front().grant, now));
    }
  }

  /// At all that has come in.
  void look(Instant now) {
    if (!controller_) {
      return;
    }
    watch_->tick(now, known_, meters_, enforced_, *controller_);
    for (const auto& event : watch_->alarms().events()) {
      if (event.change != control::SiteAlarms::Change::escalated &&
          !watch_->is_muted(event.alarm)) {
        messages_.push_back(watch_->alarms().text(event.alarm) +
                            (event.change == control::SiteAlarms::Change::raised ? "" : ": over"));
      }
    }
  }

  void tick(Instant now) {
    if (!controller_) {
      return;
    }
    std::erase_if(journal_, [&](const auto& grant) { return grant.void_after <= now; });
    if (site_.plan.mode == control::Mode::observe) {
      return;
    }
    for (const auto& grant : controller_->tick(now)) {
      journal_.push_back(grant);
      auto& granted = granted_[grant.device.value];
      std::move_backward(granted.begin(), granted.end() - 1, granted.end());
      granted[0] = {grant.grant.id, grant.grant.cap};
      if (!is_lost()) {
        sent_.push_back({now + site_.scenario.message_delay, grant.device.value, grant.grant});
      }
    }
  }

  /// What the controller does not know yet, each time a new layout for it.
  void tell_limits() {
    for (std::uint32_t n = 0; controller_ && n < limits_.size(); ++n) {
      const Watts limit = std::min(limits_[n], survivable_[n]);
      if (limit == told_limits_[n]) {
        continue;
      }
      const bool is_kept = controller_->set_limit({n}, limit);
      controller_->to_fail_safe(topology::NodeIndex{n}, !is_kept);  // the least there is
      if (is_kept) {
        told_limits_[n] = limit;
      } else {
        messages_.push_back("fail-safe caps do not fit the limit of " +
                            significant(in_watts(limit), 4) + " W of node '" +
                            site_.scenario.tree.nodes()[n].id + "'");
      }
    }
  }

  PolicySite site_;
  Seconds speaks_every_;
  std::mt19937_64 random_;
  double loss_ratio_ = 0;
  std::vector<agent::Lease> leases_;
  std::vector<Watts> written_;
  std::vector<Watts> advised_;  // by device; empty: not in mode advise
  std::optional<control::Controller> controller_;
  std::optional<control::SiteWatch> watch_;
  std::vector<Reading> known_;                  // by device: the last that came in
  std::vector<std::optional<Watts>> enforced_;  // likewise
  std::vector<std::array<std::pair<device::GrantId, Watts>, kKnownGrants>>
      granted_;  // newest first
  std::vector<std::string> messages_;
  std::deque<control::Controller::Grant> journal_;
  std::vector<Watts> limits_;       // by node: what the site says
  std::vector<Watts> survivable_;   // what the loss of any one feed leaves room for
  std::vector<Watts> told_limits_;  // the controller knows
  std::deque<Speech> speeches_;
  std::deque<Sent> sent_;
  std::vector<Reading> readings_;
  std::vector<Reading> meters_;
  std::vector<char> ordered_;     // by node: maintenance by order
  std::vector<char> maintained_;  // by node: by order or by the scenario
  bool is_released_ = false;
  Instant work_begins_;
  std::vector<device::CapCommand> commands_;
  std::vector<device::CapAnswer> answers_;
  Instant speaks_at_;
  Instant ticks_at_;
};

}  // namespace

std::unique_ptr<Policy> make_managed_policy(const PolicySite& site) {
  return std::make_unique<ManagedPolicy>(site);
}

}  // namespace perwatt::simulate
