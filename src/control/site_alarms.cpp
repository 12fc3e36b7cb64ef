#include "perwatt/control/site_alarms.hpp"

#include <algorithm>
#include <cmath>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/topology/loads.hpp"

namespace perwatt::control {

namespace {

constexpr std::size_t kDeviceKinds = 4;
constexpr std::size_t kNodeKinds = 3;
constexpr int kLooks = 2;
constexpr int kMeterLooks = 5;
constexpr std::uint8_t kMostLooks = 200;  // counted

void check_alarm_rules(const AlarmRules& rules) {
  const bool is_sound = rules.settle >= Seconds{} && rules.draw_ratio >= 0 &&
                        rules.cap_step >= Watts{} && rules.ceiling_room > rules.cap_step &&
                        rules.smoothing > Seconds{} && rules.clear_ratio >= 0 &&
                        rules.clear_ratio < 1 && rules.critical_ratio >= 0 &&
                        rules.escalate_after >= Seconds{} && rules.grace >= Seconds{} &&
                        rules.clear_looks >= 1 && rules.clear_looks <= kMostLooks;
  if (!is_sound) {
    throw_bad_input("a rule of alarms is out of range", "rules",
                    "give a ceiling_room above cap_step, a smoothing above 0, clear_looks from 1 "
                    "to 200, a clear_ratio below 1, nothing negative");
  }
}

Severity worse(Severity a, Severity b) {
  return std::max(a, b);
}

std::string power_text(Watts power) {
  const double value = in_watts(power);
  if (std::abs(value) >= 1e6) {
    return significant(value / 1e6) + " MW";
  }
  return std::abs(value) >= 1e4 ? significant(value / 1e3) + " kW" : significant(value) + " W";
}

}  // namespace

std::string_view to_string(AlarmKind kind) {
  switch (kind) {
    case AlarmKind::ignores_cap:
      return "ignores_cap";
    case AlarmKind::cap_not_acted:
      return "cap_not_acted";
    case AlarmKind::other_writer:
      return "other_writer";
    case AlarmKind::reading_lost:
      return "reading_lost";
    case AlarmKind::meter_lost:
      return "meter_lost";
    case AlarmKind::meter_disagrees:
      return "meter_disagrees";
    case AlarmKind::not_read:
      return "not_read";
    case AlarmKind::limit_passed:
      break;
  }
  return "limit_passed";
}

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::notice:
      return "notice";
    case Severity::warning:
      return "warning";
    case Severity::critical:
      break;
  }
  return "critical";
}

SiteAlarms::SiteAlarms(const topology::PowerTree& tree, std::span<const ChargeTerms> terms,
                       const AlarmRules& rules)
    : tree_{&tree}, rules_{rules}, meters_(tree.nodes().size()) {
  check_alarm_rules(rules);
  const auto add = [&](AlarmKind kind, std::uint32_t index, std::uint32_t limit) {
    Slot slot;
    slot.alarm.kind = kind;
    slot.alarm.index = index;
    slot.alarm.limit = limit;
    slots_.push_back(slot);
  };
  for (std::uint32_t d = 0; d < terms.size(); ++d) {
    devices_.push_back({terms[d], terms[d].fail_safe, std::nullopt, {}, false});
    for (std::size_t k = 0; k < kDeviceKinds; ++k) {
      add(static_cast<AlarmKind>(k), d, 0);
    }
  }
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    for (std::size_t k = 0; k < kNodeKinds; ++k) {
      add(static_cast<AlarmKind>(kDeviceKinds + k), n, 0);
    }
  }
  limits_from_ = slots_.size();
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    for (std::uint32_t i = 0; i < tree.nodes()[n].limits.size(); ++i) {
      add(AlarmKind::limit_passed, n, i);
    }
  }
  events_.reserve(slots_.size());
}

SiteAlarms::Slot& SiteAlarms::device_slot(topology::DeviceIndex device, AlarmKind kind) noexcept {
  return slots_[device.value * kDeviceKinds + static_cast<std::size_t>(kind)];
}

const SiteAlarms::Slot& SiteAlarms::device_slot(topology::DeviceIndex device,
                                                AlarmKind kind) const noexcept {
  return slots_[device.value * kDeviceKinds + static_cast<std::size_t>(kind)];
}

SiteAlarms::Slot& SiteAlarms::node_slot(topology::NodeIndex node, AlarmKind kind) noexcept {
  return slots_[devices_.size() * kDeviceKinds + node.value * kNodeKinds +
                static_cast<std::size_t>(kind) - kDeviceKinds];
}

void SiteAlarms::begin(Instant now) noexcept {
  now_ = now;
  began_ = began_.value_or(now);
  events_.clear();
}

void SiteAlarms::judge(Slot& slot, const Finding& finding) noexcept {
  auto& alarm = slot.alarm;
  if (finding.is_wrong) {
    if (slot.wrong == 0 && !slot.is_raised) {
      alarm.since = now_;
    }
    slot.wrong = std::min<std::uint8_t>(kMostLooks, static_cast<std::uint8_t>(slot.wrong + 1));
    slot.right = 0;
  } else {
    slot.right = std::min<std::uint8_t>(kMostLooks, static_cast<std::uint8_t>(slot.right + 1));
    slot.wrong = 0;
  }
  if (slot.is_raised && !finding.is_wrong) {
    if (slot.right >= rules_.clear_looks) {
      slot.is_raised = false;
      other_writers_ -= alarm.kind == AlarmKind::other_writer ? 1 : 0;
      // Room is kept for one event of each slot: raising and clearing take more looks than one.
      events_.push_back({Change::cleared, alarm});
    }
    return;
  }
  if (slot.wrong < finding.looks) {
    return;
  }
  const bool is_old = finding.escalates && now_ - alarm.since > rules_.escalate_after;
  const auto severity = is_old ? Severity::critical : finding.severity;
  if (!slot.is_raised || severity > alarm.severity) {
    alarm.severity = severity;
    alarm.seen = finding.seen;
    alarm.bound = finding.bound;
    alarm.belief = finding.belief;
    events_.push_back({slot.is_raised ? Change::escalated : Change::raised, alarm});
    other_writers_ += !slot.is_raised && alarm.kind == AlarmKind::other_writer ? 1 : 0;
    slot.is_raised = true;
  }
}

void SiteAlarms::want(topology::DeviceIndex device, Watts cap) noexcept {
  auto& watch = devices_[device.value];
  if (watch.wanted != cap) {
    watch.wanted = cap;
    watch.unsettled_at = now_;
  }
}

void SiteAlarms::answered(topology::DeviceIndex device, device::CapAnswer answer) noexcept {
  devices_[device.value].is_refused = answer != device::CapAnswer::accepted;
}

void SiteAlarms::judge_draw(topology::DeviceIndex device,
                            const ReadingTrust::Standing& reading) noexcept {
  const auto& watch = devices_[device.value];
  if (!reading.is_trusted() || !reading.is_new ||
      reading.time < watch.unsettled_at + rules_.settle) {
    return;
  }
  const Watts cap = watch.enforced.value_or(watch.wanted);
  const Watts bound = cap * (1 + watch.terms.overshoot_ratio) + watch.terms.beside;
  Finding finding;
  finding.is_wrong = reading.draw > bound * (1 + rules_.draw_ratio);
  finding.looks = kLooks;
  finding.escalates = true;
  finding.seen = reading.draw;
  finding.bound = bound;
  judge(device_slot(device, AlarmKind::ignores_cap), finding);
}

void SiteAlarms::judge_cap(topology::DeviceIndex device) noexcept {
  auto& watch = devices_[device.value];
  const bool is_settled = now_ >= watch.unsettled_at + rules_.settle;
  Finding finding;
  finding.bound = watch.wanted;
  finding.escalates = true;
  auto& not_acted = device_slot(device, AlarmKind::cap_not_acted);
  if (watch.enforced && *watch.enforced <= watch.wanted + rules_.cap_step) {
    watch.is_refused = false;  // whatever it said, it is in force
  }
  if (watch.is_refused) {
    finding.is_wrong = true;
    finding.seen = watch.enforced.value_or(watch.wanted);
    judge(not_acted, finding);
    return;
  }
  if (!watch.enforced) {
    if (not_acted.is_raised && is_settled) {
      judge(not_acted, finding);  // nothing is read back: an accepted write is all there is
    }
    return;
  }
  if (!is_settled) {
    return;
  }
  finding.seen = *watch.enforced;
  finding.looks = kLooks;
  finding.is_wrong = *watch.enforced > watch.wanted + rules_.cap_step;
  judge(not_acted, finding);
  finding.is_wrong = *watch.enforced < watch.wanted - rules_.cap_step;
  finding.severity = Severity::notice;
  finding.escalates = false;
  judge(device_slot(device, AlarmKind::other_writer), finding);
}

void SiteAlarms::look(topology::DeviceIndex device, const ReadingTrust::Standing& reading,
                      std::optional<Watts> enforced) noexcept {
  auto& watch = devices_[device.value];
  if (enforced && enforced < watch.enforced.value_or(watch.wanted)) {
    watch.unsettled_at = now_;
  }
  watch.enforced = enforced;
  judge_draw(device, reading);
  judge_cap(device);
  Finding lost;
  lost.is_wrong = !reading.is_trusted() && !is_in_grace();
  lost.severity = Severity::notice;
  lost.belief = reading.standing;
  judge(device_slot(device, AlarmKind::reading_lost), lost);
}

void SiteAlarms::smooth(Smoothed& smoothed, Watts off, Watts doubt, Seconds dt) const noexcept {
  const double part = smoothed.has_any ? 1 - std::exp(-(dt / rules_.smoothing)) : 1;
  smoothed.off += part * (in_watts(off) - smoothed.off);
  smoothed.doubt += part * (in_watts(doubt) - smoothed.doubt);
  smoothed.has_any = true;
}

void SiteAlarms::judge_meter(topology::NodeIndex node, const SupplyEstimate& supplies) noexcept {
  auto& watch = meters_[node.value];
  const auto meter = supplies.meter(node);
  if (!meter) {
    watch.by_meters.has_any = watch.by_devices.has_any = false;
    return;
  }
  const Seconds dt = now_ - watch.last;
  watch.last = now_;
  const auto by_meters = supplies.expected_by_meters(node);
  const auto by_devices = supplies.expected_by_devices(node);
  const Watts own = supplies.meter_doubt(node);
  smooth(watch.by_meters, *meter - by_meters.power, by_meters.doubt + own, dt);
  smooth(watch.by_devices, *meter - by_devices.power, by_devices.doubt + own, dt);
  auto& slot = node_slot(node, AlarmKind::meter_disagrees);
  const double lower = slot.is_raised ? 1 - rules_.clear_ratio : 1;
  const auto is_off = [&](const Smoothed& one) { return std::abs(one.off) > one.doubt * lower; };
  Finding finding;
  finding.is_wrong = is_off(watch.by_meters) || is_off(watch.by_devices);
  finding.looks = kMeterLooks;
  finding.escalates = true;
  finding.seen = *meter;
  finding.bound = is_off(watch.by_meters) ? by_meters.power : by_devices.power;
  judge(slot, finding);
}

void SiteAlarms::look(topology::NodeIndex node, const ReadingTrust::Standing& reading,
                      const SupplyEstimate& supplies) noexcept {
  Finding lost;
  lost.is_wrong = !reading.is_trusted() && !is_in_grace();
  lost.severity = Severity::notice;
  lost.belief = reading.standing;
  judge(node_slot(node, AlarmKind::meter_lost), lost);
  judge_meter(node, supplies);
}

void SiteAlarms::look(const NodeTrust& trust) noexcept {
  for (std::uint32_t n = 0; n < tree_->nodes().size(); ++n) {
    const auto order = trust.order({n});
    Finding finding;
    finding.is_wrong = order != NodeOrder::normal && !is_in_grace();
    finding.severity = order == NodeOrder::to_fail_safe ? Severity::critical : Severity::warning;
    judge(node_slot({n}, AlarmKind::not_read), finding);
  }
}

void SiteAlarms::look(const BreachLadder& ladder) noexcept {
  const auto limits = ladder.limits();
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const auto& breach = limits[i];
    auto& slot = slots_[limits_from_ + i];
    const Watts limit = tree_->node(breach.node).limits[breach.limit].power;
    const Watts bounded = breach.mean;  // the supply where there is no window
    Finding finding;
    finding.looks = kLooks;
    finding.escalates = true;
    finding.seen = bounded;
    finding.bound = limit;
    finding.is_wrong = slot.is_raised ? bounded > limit * (1 - rules_.clear_ratio)
                                      : topology::passes(bounded, limit);
    const bool is_far = bounded > limit * (1 + rules_.critical_ratio);
    finding.severity =
        worse(is_far ? Severity::critical : Severity::warning,
              breach.step > BreachStep::throttle ? Severity::critical : Severity::warning);
    judge(slot, finding);
  }
}

std::optional<Watts> SiteAlarms::ceiling(topology::DeviceIndex device) const noexcept {
  const auto& watch = devices_[device.value];
  if (!device_slot(device, AlarmKind::other_writer).is_raised || !watch.enforced) {
    return std::nullopt;
  }
  return *watch.enforced + rules_.ceiling_room;
}

std::vector<Alarm> SiteAlarms::standing() const {
  std::vector<Alarm> alarms;
  for (const auto& slot : slots_) {
    if (slot.is_raised) {
      alarms.push_back(slot.alarm);
    }
  }
  return alarms;
}

std::string SiteAlarms::text(const Alarm& alarm) const {
  const bool is_device = static_cast<std::size_t>(alarm.kind) < kDeviceKinds;
  const auto name = [&] {
    return (is_device ? "device '" + printable(tree_->device({alarm.index}).id)
                      : "node '" + printable(tree_->node({alarm.index}).id)) +
           "'";
  }();
  const auto seen = power_text(alarm.seen);
  const auto bound = power_text(alarm.bound);
  const std::string belief{to_string(alarm.belief)};
  switch (alarm.kind) {
    case AlarmKind::ignores_cap:
      return name + " draws " + seen + "; its cap in force allows " + bound;
    case AlarmKind::cap_not_acted:
      return name + " was to hold a cap of " + bound + " and holds " + seen;
    case AlarmKind::other_writer:
      return name + " was given a cap of " + bound + "; something else holds it at " + seen;
    case AlarmKind::reading_lost:
      return name + " has no reading to be trusted: " + belief;
    case AlarmKind::meter_lost:
      return "the meter of " + name + " is not to be trusted: " + belief +
             "; what is below it is added up instead";
    case AlarmKind::meter_disagrees:
      return "the meter of " + name + " says " + seen + "; what is below it makes " + bound;
    case AlarmKind::not_read:
      return name + " has too many devices without a reading: " +
             (alarm.severity == Severity::critical ? "they go to fail-safe" : "no cap is raised");
    case AlarmKind::limit_passed:
      break;
  }
  return name + " carries " + seen + "; limit " + std::to_string(alarm.limit + 1) + " of it is " +
         bound;
}

}  // namespace perwatt::control
