// perwatt's own policy: the controller, and agents with a lease for every device, with messages
// between them that take time and get lost.
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include "agent_host.hpp"
#include "policy.hpp"
#include "relief_link.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/random.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/control/controller.hpp"
#include "perwatt/control/feed_limits.hpp"
#include "perwatt/control/journal.hpp"
#include "perwatt/control/site_watch.hpp"
#include "perwatt/simulate/plant_meters.hpp"
#include "perwatt/simulate/run_scenario.hpp"

namespace perwatt::simulate {

namespace {

constexpr Seconds kLeastLease = seconds(10);
constexpr double kCadencesOfLease = 2.5;
constexpr Seconds kLongestSilence = seconds(10);  // agents speak at least so often
constexpr std::size_t kKnownGrants = 4;           // of a device, that a report may be of
constexpr const char* kJournalClock = "simulated";

class ManagedPolicy final : public Policy {
 public:
  explicit ManagedPolicy(const PolicySite& site)
      : site_{site},
        speaks_every_{std::min(site.plan.cadence, kLongestSilence)},
        random_{site.seed},
        agents_{site, lease_limits()},
        relief_{site},
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
      if (site_.plan.locks_clocks && site_.values[d].clock_ratio < 1) {
        static_cast<void>(site_.platform.lock_clock(d, site_.values[d].clock_ratio));
      }
    }
    limits_ = control::steady_limits(site_.scenario.tree);
    survivable_ = site_.plan.survives_feed_loss
                      ? control::survivable_limits(site_.scenario.tree, response_time())
                      : limits_;
    agents_.start(now);
    agents_.apply(now);
    restart_controller(now);
    speaks_at_ = now;
    ticks_at_ = now + site_.plan.cadence;
  }

  void step(Instant now) override {
    keep_calendar(now);
    deliver(now);
    agents_.apply(now);
    for (auto& text : agents_.take_messages()) {
      messages_.push_back(std::move(text));
    }
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
    relief_.set_limits(limits_);
    tell_limits();
  }

  std::vector<std::string> take_messages() override {
    for (auto& text : relief_.take_messages()) {
      messages_.push_back(std::move(text));
    }
    return std::exchange(messages_, {});
  }

  void set_message_loss(double ratio) override { loss_ratio_ = ratio; }

  void kill_controller(Instant /*now*/) override {
    controller_.reset();
    watch_.reset();
    relief_.stop();
  }

  void restart_controller(Instant now) override {
    auto devices = controlled_devices();
    watch_.emplace(site_.scenario.tree, devices, flexible_devices(), watch_rules());
    told_limits_ = control::steady_limits(site_.scenario.tree);
    refused_limits_.assign(told_limits_.size(), watts(-1));
    if (site_.means.journal.empty()) {
      restart_from_grants(std::move(devices), now);
    } else {
      restart_from_file(std::move(devices), now);
    }
    relief_.start(controlled_devices(), relief_rules(), limits_, controller_->ledger());
    tell_limits();
    for (std::uint32_t n = 0; n < maintained_.size(); ++n) {
      if (maintained_[n] != 0) {
        maintain(n, true);
      }
    }
    controller_->release(is_released_);
  }

  [[nodiscard]] control::Replay replay_journal() const {
    return control::replay(site_.means.journal, site_.scenario.tree, controlled_devices(), rules());
  }

  [[nodiscard]] std::span<const Watts> advised_caps() const override {
    return site_.plan.mode == control::Mode::advise ? agents_.wanted() : std::span<const Watts>{};
  }

  void stop_agents(std::span<const topology::DeviceIndex> devices, Instant now) override {
    agents_.stop(devices, now);
  }

  void start_agents(std::span<const topology::DeviceIndex> devices, Instant now) override {
    agents_.start(devices, now);
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
    std::uint32_t device = 0;
    std::optional<agent::Spoken> spoken;  // nothing: its agent is gone; it is read all the same
    std::optional<Watts> in_force;        // read back
    device::SwitchReport switched;
    Reading reading;
  };

  /// All that agents say at one time.
  struct Round {
    Instant arrives;
    std::vector<Speech> speeches;
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

  void restart_from_grants(std::vector<control::ControlledDevice> devices, Instant now) {
    auto controller =
        std::make_unique<control::Controller>(site_.scenario.tree, std::move(devices), rules());
    std::erase_if(journal_, [&](const auto& grant) { return grant.void_after <= now; });
    for (const auto& grant : journal_) {
      controller->restore(grant);
    }
    controller_ = std::move(controller);
  }

  void restart_from_file(std::vector<control::ControlledDevice> devices, Instant now) {
    const control::JournalStart start{now, kJournalClock,
                                      WallClock::now().unix_time(Instant::now())};
    auto controller = std::make_unique<control::JournaledController>(
        site_.means.journal, site_.scenario.tree, std::move(devices), rules(),
        control::JournalRules{}, start);
    if (has_begun_ != controller->is_continued()) {
      throw Error{ErrorCode::peer_failed, "the journal is gone, and with it all that was granted",
                  site_.means.journal.string(), "leave the file alone while the run lasts"};
    }
    if (std::exchange(has_begun_, true)) {
      watch_->begin(*controller);
      for (auto& limit : told_limits_) {  // what it knows is of before
        limit = std::isfinite(in_watts(limit)) ? watts(-1) : limit;
      }
    }
    controller_ = std::move(controller);
  }

  [[nodiscard]] std::vector<control::ControlledDevice> controlled_devices() const {
    std::vector<control::ControlledDevice> devices;
    for (std::uint32_t d = 0; d < site_.values.size(); ++d) {
      devices.push_back({{fail_safe(d), site_.scenario.overshoot_ratio, {}},
                         device(d).min,
                         device(d).max,
                         site_.values[d].curve});
    }
    return devices;
  }

  [[nodiscard]] std::vector<agent::LeaseLimits> lease_limits() const {
    std::vector<agent::LeaseLimits> limits;
    for (std::uint32_t d = 0; d < site_.values.size(); ++d) {
      limits.push_back({device(d).min, device(d).max, fail_safe(d), site_.scenario.settle});
    }
    return limits;
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
      is_flexible.push_back(value.clock_ratio < 1 || value.tier != jobs::Tier::none ? 1 : 0);
    }
    return is_flexible;
  }

  [[nodiscard]] control::ReliefRules relief_rules() const {
    const auto ladder = watch_rules().ladder;
    control::ReliefRules rules;
    rules.guard_ratio = site_.plan.guard_ratio;
    rules.obeys_within = until_heard() * 2 + site_.scenario.plant.step() * 2;
    rules.shut_within = ladder.times.shut + ladder.tick;
    return rules;
  }

  /// Of an order, or of its report.
  [[nodiscard]] Seconds until_heard() const { return speaks_every_ + site_.scenario.message_delay; }

  /// The longest that tagged work takes to stop.
  [[nodiscard]] Seconds longest_stop() const {
    Seconds longest;
    for (const auto& job : jobs_of(site_.scenario)) {
      longest = std::max(longest, job.tier == jobs::Tier::none ? Seconds{} : job.stops_within);
    }
    return longest;
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
    rules.ladder.recovery = plant.breaker_recovery;  // what has recovered less trips sooner
    const Seconds until_sent = site_.plan.cadence + site_.scenario.message_delay * 2;
    rules.ladder.times.throttle += until_sent;
    rules.ladder.times.pause += until_heard() + longest_stop();
    rules.ladder.times.shut += until_heard();
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

  void speak(Instant now) {
    site_.platform.read(readings_, meters_);
    Round round{now + site_.scenario.message_delay, std::move(heard_)};
    round.speeches.clear();
    const auto all = agents_.speak(now);
    auto next = all.begin();
    for (std::uint32_t d = 0; d < readings_.size(); ++d) {
      std::optional<agent::Spoken> spoken;
      if (next != all.end() && next->device == d) {
        spoken = *next++;
      }
      if (!is_lost()) {
        round.speeches.push_back(
            {d, spoken, site_.platform.enforced_cap(d), relief_.report(d), readings_[d]});
      }
    }
    rounds_.push_back(std::move(round));
  }

  void deliver(Instant now) {
    for (; !rounds_.empty() && rounds_.front().arrives <= now; rounds_.pop_front()) {
      if (controller_) {
        hear(rounds_.front());
      }
      heard_ = std::move(rounds_.front().speeches);
    }
    for (; !sent_.empty() && sent_.front().arrives <= now; sent_.pop_front()) {
      agents_.take(sent_.front().device, sent_.front().grant, now);
    }
    relief_.deliver(now);
  }

  void hear(const Round& round) {
    for (const auto& speech : round.speeches) {
      known_[speech.device] = speech.reading;
      if (!speech.spoken) {
        continue;
      }
      const topology::DeviceIndex d{speech.device};
      controller_->ask(d, speech.spoken->ask, round.arrives);
      controller_->report(d, speech.spoken->report, round.arrives);
      relief_.take(speech.device, speech.switched, *controller_);
      enforced_[speech.device] = speech.in_force;
      if (const auto cap = wanted(speech)) {
        watch_->want(d, *cap);
      }
    }
  }

  /// What the cap is to be now, as far as its agent has said.
  [[nodiscard]] std::optional<Watts> wanted(const Speech& speech) const {
    if (!is_in_control()) {
      return speech.in_force.value_or(device(speech.device).max);
    }
    if (speech.spoken->report.is_lapsed) {
      return fail_safe(speech.device);
    }
    for (const auto& [id, cap] : granted_[speech.device]) {
      if (speech.spoken->report.accepted == id) {
        return cap;
      }
    }
    return std::nullopt;
  }

  /// At all that has come in.
  void look(Instant now) {
    if (!controller_) {
      return;
    }
    watch_->tick(now, known_, meters_, enforced_, *controller_);
    relief_.tick(now, watch_->required(), known_, *controller_, [this] { return is_lost(); });
    tell_limits();
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
    while (!journal_.empty() && journal_.front().void_after <= now) {
      journal_.pop_front();  // a few behind it are void too: restart_controller() drops them
    }
    if (site_.plan.mode == control::Mode::observe) {
      return;
    }
    for (const auto& grant : controller_->tick(now)) {
      if (site_.means.journal.empty()) {
        journal_.push_back(grant);
      }
      auto& granted = granted_[grant.device.value];
      std::move_backward(granted.begin(), granted.end() - 1, granted.end());
      granted[0] = {grant.grant.id, grant.grant.cap};
      if (!is_lost()) {
        sent_.push_back({now + site_.scenario.message_delay, grant.device.value, grant.grant});
      }
    }
  }

  /// What the controller does not know yet, each time a new layout for it. A limit that is refused
  /// is told again until what is off has made room for it.
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
        continue;
      }
      if (limits_[n] != told_limits_[n] && controller_->set_limit({n}, limits_[n])) {
        told_limits_[n] = limits_[n];  // though not what the loss of a feed would need
      }
      if (limit != refused_limits_[n]) {
        refused_limits_[n] = limit;
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
  AgentHost agents_;
  ReliefLink relief_;
  std::unique_ptr<control::AnyController> controller_;  // nothing: killed
  std::optional<control::SiteWatch> watch_;
  std::vector<Reading> known_;                  // by device: the last that came in
  std::vector<std::optional<Watts>> enforced_;  // likewise
  std::vector<std::array<std::pair<device::GrantId, Watts>, kKnownGrants>>
      granted_;  // newest first
  std::vector<std::string> messages_;
  std::deque<control::Controller::Grant> journal_;  // without a file
  bool has_begun_ = false;                          // the file
  std::vector<Watts> limits_;                       // by node: what the site says
  std::vector<Watts> survivable_;                   // what the loss of any one feed leaves room for
  std::vector<Watts> told_limits_;                  // the controller knows
  std::vector<Watts> refused_limits_;  // and those that it could not keep, as last told
  std::deque<Round> rounds_;           // under way
  std::vector<Speech> heard_;          // of the last round: room for the next
  std::deque<Sent> sent_;
  std::vector<Reading> readings_;
  std::vector<Reading> meters_;
  std::vector<char> ordered_;     // by node: maintenance by order
  std::vector<char> maintained_;  // by node: by order or by the scenario
  bool is_released_ = false;
  Instant work_begins_;
  Instant speaks_at_;
  Instant ticks_at_;
};

}  // namespace

std::unique_ptr<Policy> make_managed_policy(const PolicySite& site) {
  const auto& journal = site.means.journal;
  if (!journal.empty() && std::filesystem::exists(journal) && !std::filesystem::is_empty(journal)) {
    throw_bad_input("the file is there already; the site of a simulated run that has ended is gone",
                    journal.string(), "give a new file, or remove this one");
  }
  return std::make_unique<ManagedPolicy>(site);
}

control::Replay replay_managed_journal(const PolicySite& site) {
  return ManagedPolicy{site}.replay_journal();
}

}  // namespace perwatt::simulate
