#include "perwatt/control/controller.hpp"

#include <algorithm>
#include <utility>

#include "controlled_devices.hpp"
#include "curve_bytes.hpp"
#include "device_loop.hpp"
#include "restraints.hpp"
#include "split_curve.hpp"
#include "write_discipline.hpp"

#include "perwatt/allocate/allocator.hpp"
#include "perwatt/allocate/site_problem.hpp"
#include "perwatt/base/bytes.hpp"

namespace perwatt::control {

namespace {

constexpr std::uint8_t kStateVersion = 3;

constexpr Watts kSpareRoom = watts(1);  // more than rounding to microwatts takes of all devices

/// Devices that are fetched before their turn comes.
constexpr std::size_t kAhead = 6;

}  // namespace

std::string_view to_string(GrantCause cause) {
  switch (cause) {
    case GrantCause::lowered:
      return "lowered";
    case GrantCause::over_limit:
      return "over_limit";
    case GrantCause::raised:
      return "raised";
    case GrantCause::raised_in_part:
      return "raised_in_part";
    case GrantCause::renewed:
      return "renewed";
  }
  throw_defect("a cause without a name");
}

struct Controller::Parts {
  struct Wanted {
    Watts power;
    Demand::Habits habits{};

    bool operator==(const Wanted&) const = default;
  };

  Parts(const topology::PowerTree& tree, std::vector<ControlledDevice> given,
        const ControlRules& with)
      : rules{with},
        habit_weight{with.demand.habit},
        devices{std::move(given)},
        limits{tree},
        ledger{tree, charge_terms_of(devices)},
        loops(devices.size()),
        demands(devices.size()),
        restraints{tree},
        discipline{with.writes, devices.size(), with.dead_band},
        is_awaited(devices.size(), 0) {
    for (std::size_t d = 0; d < devices.size(); ++d) {
      check_curve(tree, static_cast<std::uint32_t>(d), devices[d].curve);
      loops[d].cap = loops[d].fail_safe = devices[d].terms.fail_safe;
      targets.push_back(devices[d].terms.fail_safe);
      most.push_back(devices[d].most);
    }
    headroom = headroom_worth(devices, root_factors());
    lay_out_problem(tree);
    wanted_before.resize(devices.size());
    changed_want.assign(devices.size(), 0);
    changed_curve.assign(devices.size(), 0);
  }

  /// Of a curve that is split: the device's own, then habits.
  [[nodiscard]] std::size_t most_points() const {
    std::size_t points = 0;
    for (const auto& device : devices) {
      points = std::max(points, device.curve.size());
    }
    return points + Demand::kLevels + 2;
  }

  /// The split in charges at the root: what the ledger counts.
  void lay_out_problem(const topology::PowerTree& tree) {
    laid_out.emplace(allocate::site_problem(
        tree, limits.limits(), used_ratio(),
        [this](std::size_t d) {
          const auto points = curve_of(d);
          return std::vector<allocate::CurvePoint>(points.begin(), points.end());
        },
        most_points()));
    allocator.emplace(*laid_out);
  }

  [[nodiscard]] double used_ratio() const { return 1 - rules.guard_ratio; }

  void lay_out() {
    has_new_limits = false;
    allocate::set_limits(*laid_out, limits.limits(), used_ratio());
    for (std::uint32_t d = 0; d < devices.size(); ++d) {
      laid_out->set_curve(allocate::DeviceIndex{d}, curve_of(d));
      note_split(d);
    }
    allocator.emplace(*laid_out);
  }

  [[nodiscard]] Wanted wanted(std::size_t d) const {
    return {demands[d].estimate(), demands[d].habits()};
  }

  /// The split knows the curve as it is now.
  void note_split(std::size_t d) {
    wanted_before[d] = wanted(d);
    changed_want[d] = 0;
    changed_curve[d] = 0;
  }

  void read(std::size_t d, Instant at, Watts draw, Watts cap) {
    demands[d].read(rules.demand, habit_weight, at, draw, cap, devices[d].least, devices[d].most);
    changed_want[d] = wanted(d) == wanted_before[d] ? 0 : 1;
  }

  [[nodiscard]] bool is_off(std::size_t d) const {
    return ledger.is_off({static_cast<std::uint32_t>(d)});
  }

  [[nodiscard]] Watts cap_for(std::size_t d, Watts at_root) const {
    const auto& device = devices[d];
    return std::clamp(cap_of_charge(device.terms, root_factors()[d], at_root), device.least,
                      most[d]);
  }

  [[nodiscard]] const std::vector<double>& root_factors() const {
    return limits.limits().units.device_factor;
  }

  [[nodiscard]] std::span<const allocate::CurvePoint> curve_of(std::size_t d) {
    if (is_off(d)) {
      const bool is_to_come = is_awaited[d] != 0;
      const Watts least = is_to_come ? devices[d].terms.fail_safe : Watts{};
      const Watts power = charge_at_root(devices[d].terms, root_factors()[d], least);
      curve_points.assign(1, {is_to_come ? power + kSpareRoom : power, 0});
      return curve_points;
    }
    split_curve(devices[d], {root_factors()[d], most[d], &demands[d], headroom}, curve_points);
    return curve_points;
  }

  /// The highest cap each may be given now, whatever it wants.
  void restrain() {
    restraints.refresh();
    if (!restraints.has_any() && !is_restrained) {
      return;
    }
    is_restrained = restraints.has_any();
    for (std::size_t d = 0; d < devices.size(); ++d) {
      const auto& device = devices[d];
      const Watts highest = std::clamp(restraints.most(d, loops[d].cap, device.terms.fail_safe),
                                       device.least, device.most);
      if (highest != most[d]) {
        most[d] = highest;
        changed_curve[d] = 1;
      }
    }
  }

  /// Of changed devices that come soon; what is behind a pointer later than the pointer.
  [[gnu::always_inline]] void prefetch_curve(std::size_t i) const {
    if (i + 2 * kAhead < changed.size()) {
      const auto d = changed[i + 2 * kAhead];
      __builtin_prefetch(&devices[d]);
      __builtin_prefetch(&devices[d].curve);
      __builtin_prefetch(&demands[d]);
      __builtin_prefetch(&wanted_before[d]);
    }
    if (i + kAhead < changed.size()) {
      const auto d = changed[i + kAhead];
      __builtin_prefetch(devices[d].curve.data());
      __builtin_prefetch(&devices[d].curve.back());
      allocator->prefetch(allocate::DeviceIndex{d});
    }
  }

  void split() {
    restrain();
    if (has_new_limits) {  // of however many nodes: one layout
      lay_out();
    }
    changed.clear();
    for (std::uint32_t d = 0; d < devices.size(); ++d) {
      if (changed_curve[d] != 0 || changed_want[d] != 0) {
        changed.push_back(d);
      }
    }
    for (std::size_t i = 0; i < changed.size(); ++i) {
      prefetch_curve(i);
      const auto d = changed[i];
      allocator->set_curve(allocate::DeviceIndex{d}, curve_of(d));
      note_split(d);
    }
    const auto& answer = allocator->resolve();
    for (std::size_t d = 0; d < devices.size(); ++d) {
      targets[d] = is_off(d) ? Watts{}
                   : answer.status == allocate::Status::optimal
                       ? cap_for(d, answer.device_watts[d])
                       : std::min(devices[d].terms.fail_safe, most[d]);
    }
  }

  // ---- grants -----------------------------------------------------------------------------------

  [[nodiscard]] ChargeLedger::Request request(std::size_t d, Watts cap) const {
    const auto& loop = loops[d];
    return {{static_cast<std::uint32_t>(d)},
            loop.ask->epoch,
            loop.last_id + 1,
            cap,
            loop.asked_at + rules.lease + rules.wearing_in};
  }

  /// The request is in the ledger.
  void issue(const ChargeLedger::Request& request, GrantCause cause) {
    auto& loop = loops[request.device.value];
    discipline.spend(request.device.value, loop.cap, request.cap);
    grants.push_back({request.device,
                      {request.id, *loop.ask, request.cap, rules.lease},
                      request.void_after,
                      loop.cap,
                      cause});
    loop.last_id = request.id;
    loop.cap = request.cap;
    loop.runs_out = loop.asked_at + rules.lease;
    loop.ask.reset();
  }

  bool try_grant(std::size_t d, Watts cap, GrantCause cause) {
    const auto wanted = request(d, cap);
    if (!ledger.admit(wanted)) {
      return false;
    }
    issue(wanted, cause);
    return true;
  }

  /// As far as the write rules let it go now.
  [[nodiscard]] Watts raised(std::size_t d) const {
    return discipline.highest(d, loops[d].cap, targets[d]);
  }

  /// Who is to get less, to get more, and whose lease would run out but for those of fail-safe, to
  /// which devices go alone: in one look at all devices.
  void look(Instant now) {
    lowers.clear();
    raises.clear();
    renewals.clear();
    const bool is_urgent = ledger.is_over() || has_awaited;
    const Watts least_lower = is_urgent ? Watts{} : rules.dead_band;
    const Instant renew_until = now + rules.renew_before;
    for (std::uint32_t d = 0; d < devices.size(); ++d) {
      const auto& loop = loops[d];
      if (!loop.ask) {
        continue;
      }
      if (targets[d] < loop.cap - (restraints.is_given_up(d) ? Watts{} : least_lower)) {
        lowers.push_back(request(d, targets[d]));
      } else if (targets[d] - loop.cap > rules.dead_band &&
                 raised(d) - loop.cap > rules.dead_band) {
        raises.push_back({0, d});
      }
      if (loop.cap != loop.fail_safe && loop.runs_out < renew_until) {
        renewals.push_back(d);
      }
    }
  }

  /// Where a limit is over all go at once, or none.
  void lower() {
    if (ledger.is_over()) {
      if (ledger.admit_lowers(lowers)) {
        std::for_each(lowers.begin(), lowers.end(),
                      [&](const auto& one) { issue(one, GrantCause::over_limit); });
      }
      return;
    }
    for (std::size_t i = 0; i < lowers.size(); ++i) {
      prefetch_state(lowers, i, [](const auto& one) { return one.device.value; });
      static_cast<void>(try_grant(lowers[i].device.value, lowers[i].cap, GrantCause::lowered));
    }
  }

  /// Of the device of item i + kAhead.
  template <class Items, class DeviceOf>
  [[gnu::always_inline]] void prefetch_state(const Items& items, std::size_t i,
                                             const DeviceOf& device_of) const {
    if (i + kAhead < items.size()) {
      const std::uint32_t d = device_of(items[i + kAhead]);
      __builtin_prefetch(&loops[d]);
      ledger.prefetch({d});
    }
  }

  /// Less worth per watt, so that the greatest comes first.
  void weigh_raises() {
    for (std::size_t i = 0; i < raises.size(); ++i) {
      if (i + 2 * kAhead < raises.size()) {
        __builtin_prefetch(&devices[raises[i + 2 * kAhead].second].curve);
      }
      if (i + kAhead < raises.size()) {
        __builtin_prefetch(devices[raises[i + kAhead].second].curve.data());
      }
      const auto d = raises[i].second;
      const Watts to = raised(d);
      const double gain = allocate::value_at(devices[d].curve, to) -
                          allocate::value_at(devices[d].curve, loops[d].cap);
      raises[i].first = -gain / in_watts(to - loops[d].cap);
    }
    std::sort(raises.begin(), raises.end());
  }

  void raise() {
    weigh_raises();
    for (std::size_t i = 0; i < raises.size(); ++i) {
      prefetch_state(raises, i, [](const auto& one) { return one.second; });
      const auto d = raises[i].second;
      if (!try_grant(d, raised(d), GrantCause::raised)) {
        const Watts part = std::min(raised(d), ledger.highest_cap({d}));
        if (part > loops[d].cap + rules.dead_band) {
          static_cast<void>(try_grant(d, part, GrantCause::raised_in_part));
        }
      }
    }
  }

  void renew() {
    for (std::size_t i = 0; i < renewals.size(); ++i) {
      prefetch_state(renewals, i, [](std::uint32_t d) { return d; });
      const auto d = renewals[i];
      if (loops[d].ask) {
        static_cast<void>(try_grant(d, loops[d].cap, GrantCause::renewed));
      }
    }
  }

  void advance(Instant now) {
    grants.clear();
    ledger.advance(now);
    discipline.advance(now);
    for (auto& loop : loops) {
      if (loop.runs_out <= now) {
        loop.cap = loop.fail_safe;
      }
    }
  }

  void tick(Instant now) {
    advance(now);
    split();
    look(now);
    lower();
    raise();
    renew();
    forget_awaited();
  }

  void forget_awaited() {
    for (std::size_t d = 0; has_awaited && d < devices.size(); ++d) {
      changed_curve[d] = static_cast<char>(changed_curve[d] | is_awaited[d]);
      is_awaited[d] = 0;
    }
    has_awaited = false;
  }

  bool switch_on(std::size_t d) {
    changed_curve[d] = 1;
    const bool is_on = ledger.switch_on({static_cast<std::uint32_t>(d)});
    if (!is_on) {
      is_awaited[d] = 1;
      has_awaited = true;
    }
    return is_on;
  }

  bool repeat(const Grant& grant) {
    const auto& loop = loops[grant.device.value];
    const auto& answers = grant.grant.answers;
    if (!loop.ask || loop.ask->epoch != answers.epoch || loop.ask->number != answers.number) {
      return false;
    }
    const auto asked = request(grant.device.value, grant.grant.cap);
    if (asked.id != grant.grant.id || asked.void_after != grant.void_after ||
        !ledger.repeat(asked)) {
      return false;
    }
    issue(asked, grant.cause);
    return true;
  }

  // ---- state ------------------------------------------------------------------------------------

  void save(ByteWriter& to) const {
    ledger.save(to);
    for (const auto& limit : limits.limits().limits) {
      to.put(limit.power);
    }
    for (std::size_t d = 0; d < devices.size(); ++d) {
      control::save(demands[d], to);
      loops[d].save(to);
      to.put(most[d]);
      put_curve(to, devices[d].curve);
    }
    restraints.save(to);
    discipline.save(to);
  }

  void resume(ByteReader& from) {
    ledger.resume(from);
    std::vector<Watts> powers(limits.limits().limits.size());
    for (auto& power : powers) {
      power = from.watts();
    }
    limits.restore(powers);
    for (std::size_t d = 0; d < devices.size(); ++d) {
      control::resume(demands[d], from);
      loops[d].resume(from);
      most[d] = from.watts();
      targets[d] = loops[d].cap;
      devices[d].curve = get_curve(from);
    }
    restraints.resume(from);
    discipline.resume(from);
    is_restrained = true;  // until it is known better
    if (!from.is_at_end()) {
      from.fail("it goes on behind its end");
    }
    lay_out();
  }

  ControlRules rules;
  HabitWeight habit_weight;
  std::vector<ControlledDevice> devices;
  allocate::ChangingLimits limits;
  ChargeLedger ledger;
  std::vector<DeviceLoop> loops;
  std::vector<Demand> demands;
  Restraints restraints;
  WriteDiscipline discipline;
  std::optional<allocate::Problem> laid_out;
  std::optional<allocate::Allocator> allocator;
  std::vector<Watts> most;  // by device: the highest cap it may be given now
  std::vector<Watts> targets;
  std::vector<Wanted> wanted_before;  // by device: that the split knows
  std::vector<char> changed_want;     // by device: it wants something else now
  std::vector<char> changed_curve;
  std::vector<char> is_awaited;  // off, and to be on as soon as there is room: until the next tick
  bool has_awaited = false;
  std::vector<std::uint32_t> changed;              // of split()
  bool is_restrained = true;                       // some of `most` may be below the device's own
  bool has_new_limits = false;                     // that the allocator does not know
  std::vector<allocate::CurvePoint> curve_points;  // of curve_of()
  double headroom = 0;
  std::vector<ChargeLedger::Request> lowers;             // of look()
  std::vector<std::pair<double, std::uint32_t>> raises;  // likewise: less worth per watt, device
  std::vector<std::uint32_t> renewals;                   // likewise
  std::vector<Controller::Grant> grants;
};

Controller::Controller(const topology::PowerTree& tree, std::vector<ControlledDevice> devices,
                       const ControlRules& rules)
    : parts_{std::make_unique<Parts>(tree, std::move(devices), rules)} {}

Controller::~Controller() = default;
Controller::Controller(Controller&&) noexcept = default;
Controller& Controller::operator=(Controller&&) noexcept = default;

void Controller::restore(const Grant& grant) {
  const auto& [id, answers, cap, duration] = grant.grant;
  parts_->ledger.restore({grant.device, answers.epoch, id, cap, grant.void_after});
  auto& loop = parts_->loops[grant.device.value];
  loop.last_id = id;
  loop.cap = cap;
  loop.runs_out = grant.void_after - parts_->rules.wearing_in;
}

void Controller::ask(topology::DeviceIndex device, const device::LeaseAsk& ask, Instant now) {
  if (parts_->is_off(device.value)) {
    return;
  }
  auto& loop = parts_->loops[device.value];
  loop.ask = ask;
  loop.asked_at = now;
}

void Controller::report(topology::DeviceIndex device, const device::LeaseReport& report) {
  auto& last_id = parts_->loops[device.value].last_id;
  last_id = std::max(last_id, report.accepted);  // an agent takes rising numbers only
  parts_->ledger.report(device, report);
}

void Controller::read(topology::DeviceIndex device, Instant at, Watts draw, Watts cap) {
  parts_->read(device.value, at, draw, cap);
}

void Controller::set_curve(topology::DeviceIndex device, std::vector<allocate::CurvePoint> curve) {
  parts_->devices[device.value].curve = std::move(curve);
  parts_->changed_curve[device.value] = 1;
}

void Controller::hold_raises(topology::DeviceIndex device, bool is_held) {
  parts_->restraints.hold(device, is_held);
}

void Controller::hold_raises(topology::NodeIndex node, bool is_held) {
  parts_->restraints.hold(node, is_held);
}

void Controller::to_fail_safe(topology::NodeIndex node, bool is_on) {
  parts_->restraints.to_fail_safe(node, is_on);
}

void Controller::maintain(topology::NodeIndex node, bool is_on) {
  parts_->restraints.maintain(node, is_on);
}

void Controller::release(bool is_on) {
  parts_->restraints.release(is_on);
}

void Controller::set_most(topology::DeviceIndex device, Watts most) {
  parts_->restraints.set_most(device, most);
}

bool Controller::set_limit(topology::NodeIndex node, Watts limit) {
  if (!parts_->ledger.set_limit(node, limit)) {
    return false;
  }
  parts_->limits.set(node, limit);
  parts_->has_new_limits = true;
  return true;
}

void Controller::switched_off(topology::DeviceIndex device) {
  parts_->ledger.switched_off(device);
  parts_->loops[device.value].ask.reset();
  parts_->changed_curve[device.value] = 1;
}

bool Controller::switch_on(topology::DeviceIndex device) {
  return parts_->switch_on(device.value);
}

std::span<const Controller::Grant> Controller::tick(Instant now) {
  parts_->tick(now);
  return parts_->grants;
}

bool Controller::repeat(Instant now, std::span<const Grant> grants) {
  parts_->advance(now);
  parts_->forget_awaited();
  return std::all_of(grants.begin(), grants.end(),
                     [&](const Grant& grant) { return parts_->repeat(grant); });
}

std::string Controller::state() const {
  ByteWriter to;
  to.put(kStateVersion);
  parts_->save(to);
  return to.take();
}

void Controller::resume(std::string_view state) {
  ByteReader from{state, "the state of a controller", kDamagedRemedy};
  if (const auto version = from.get<std::uint8_t>(); version != kStateVersion) {
    from.fail("it is of version " + std::to_string(version));
  }
  parts_->resume(from);
}

void Controller::lay_out() {
  parts_->lay_out();
}

std::span<const Watts> Controller::targets() const {
  return parts_->targets;
}

const allocate::Problem& Controller::problem() const {
  return parts_->allocator->problem();
}

const ChargeLedger& Controller::ledger() const {
  return parts_->ledger;
}

}  // namespace perwatt::control
