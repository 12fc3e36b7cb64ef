#include "perwatt/control/controller.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "bytes.hpp"
#include "curve_bytes.hpp"
#include "restraints.hpp"
#include "write_discipline.hpp"

#include "perwatt/allocate/allocator.hpp"
#include "perwatt/allocate/site_problem.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::control {

namespace {

/// Of the least slope of a curve: what headroom is worth, so that watts nobody wants are shared.
constexpr double kHeadroomWorth = 1e-6;

constexpr std::uint8_t kStateVersion = 3;

/// As value_at, but below its first point the curve goes on as steeply as it begins: a device that
/// falls back below it is still worth raising.
double value_from(std::span<const allocate::CurvePoint> curve, Watts power) {
  if (power >= curve.front().power || curve.size() < 2) {
    return allocate::value_at(curve, power);
  }
  const double slope =
      (curve[1].value - curve[0].value) / in_watts(curve[1].power - curve[0].power);
  return curve[0].value - slope * in_watts(curve[0].power - power);
}

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
  struct DeviceLoop {
    Demand demand;
    std::optional<device::LeaseAsk> ask;  // the last, not answered yet
    Instant asked_at;
    device::GrantId last_id = 0;
    Watts cap;         // of the newest grant; fail-safe before
    Instant runs_out;  // the newest grant, at the latest
  };

  Parts(const topology::PowerTree& tree, std::vector<ControlledDevice> given,
        const ControlRules& with)
      : rules{with},
        devices{std::move(given)},
        limits{tree},
        ledger{tree, terms_of(devices)},
        loops(devices.size()),
        restraints{tree},
        discipline{with.writes, devices.size(), with.dead_band} {
    for (std::size_t d = 0; d < devices.size(); ++d) {
      check_curve(tree, d, devices[d].curve);
      loops[d].cap = devices[d].terms.fail_safe;
      targets.push_back(devices[d].terms.fail_safe);
      most.push_back(devices[d].most);
    }
    set_headroom();
    lay_out_problem(tree);
    wanted_before.resize(devices.size());
    changed_curve.assign(devices.size(), 0);
  }

  static std::vector<ChargeTerms> terms_of(const std::vector<ControlledDevice>& devices) {
    std::vector<ChargeTerms> terms;
    for (const auto& device : devices) {
      terms.push_back(device.terms);
    }
    return terms;
  }

  static void check_curve(const topology::PowerTree& tree, std::size_t d,
                          std::span<const allocate::CurvePoint> curve) {
    if (const auto fault = allocate::curve_fault(curve)) {
      const topology::DeviceIndex index{static_cast<std::uint32_t>(d)};
      throw_bad_input("the curve of device '" + printable(tree.device(index).id) + "': " + *fault,
                      "curve", "give the upper hull of its points, least watts first");
    }
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
      wanted_before[d] = {loops[d].demand.estimate(), loops[d].demand.habits()};
      changed_curve[d] = 0;
    }
    allocator.emplace(*laid_out);
  }

  [[nodiscard]] Watts charge_at_root(std::size_t d, Watts cap) const {
    const auto& terms = devices[d].terms;
    return (cap * (1 + terms.overshoot_ratio) + terms.beside) *
           limits.limits().units.device_factor[d];
  }

  [[nodiscard]] Watts cap_for(std::size_t d, Watts at_root) const {
    const auto& terms = devices[d].terms;
    const Watts draw = at_root * (1 / limits.limits().units.device_factor[d]) - terms.beside;
    return std::clamp(draw * (1 / (1 + terms.overshoot_ratio)), devices[d].least, most[d]);
  }

  /// The device's curve up to what it wants, then what its habits are worth. Fail-safe is charged
  /// in any case, so it comes first.
  [[nodiscard]] std::span<const allocate::CurvePoint> curve_of(std::size_t d) {
    const auto& device = devices[d];
    const auto& curve = device.curve;
    const Watts fail_safe = std::clamp(device.terms.fail_safe, device.least, device.most);
    const Watts highest = std::max(most[d], fail_safe);
    const Watts wanted = std::clamp(loops[d].demand.estimate(), fail_safe, highest);
    auto& points = split_curve;
    points.clear();
    const auto add = [&](Watts cap, double value) {
      const Watts power = charge_at_root(d, cap);
      if (points.empty() || power > points.back().power) {
        points.push_back({power, value});
      }
    };
    add(fail_safe, value_from(curve, fail_safe));
    for (const auto& point : curve) {
      if (point.power > fail_safe && point.power < wanted) {
        add(point.power, point.value);
      }
    }
    add(wanted, value_from(curve, wanted));
    add_habits(d, wanted, highest, points);
    return points;
  }

  /// Beyond what a device wants now, a watt is worth its value times the share of time in which it
  /// is wanted, and headroom at least.
  void add_habits(std::size_t d, Watts wanted, Watts highest,
                  std::vector<allocate::CurvePoint>& points) const {
    const auto& device = devices[d];
    const auto habits = loops[d].demand.habits();
    double last_slope = std::numeric_limits<double>::infinity();
    if (points.size() > 1) {
      const auto& before = points[points.size() - 2];
      last_slope = std::max(
          0.0, (points.back().value - before.value) / in_watts(points.back().power - before.power));
    }
    Watts from = wanted;
    for (std::size_t k = 0; k < Demand::kLevels; ++k) {
      const Watts level = device.least + (device.most - device.least) *
                                             (static_cast<double>(k + 1) / Demand::kLevels);
      const Watts to = std::min(level, highest);
      const Watts power = charge_at_root(d, to);
      const bool is_last_alike =
          k + 1 == Demand::kLevels || to == highest || habits[k] != habits[k + 1];
      if (power <= points.back().power || !is_last_alike) {
        continue;
      }
      const double share = habits[k] / double{Demand::kParts};
      const double more = in_watts(power - points.back().power);
      const double gain =
          allocate::value_at(device.curve, to) - allocate::value_at(device.curve, from);
      last_slope = std::min(last_slope, std::max(headroom, share * gain / more));
      points.push_back({power, points.back().value + last_slope * more});
      from = to;
    }
  }

  /// So little that no watt anybody wants is given up for it.
  void set_headroom() {
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t d = 0; d < devices.size(); ++d) {
      const auto& curve = devices[d].curve;
      for (std::size_t i = 1; i < curve.size(); ++i) {
        const double slope =
            (curve[i].value - curve[i - 1].value) /
            in_watts(charge_at_root(d, curve[i].power) - charge_at_root(d, curve[i - 1].power));
        least = slope > 0 ? std::min(least, slope) : least;
      }
    }
    headroom = std::isfinite(least) ? least * kHeadroomWorth : kHeadroomWorth;
  }

  /// The highest cap each may be given now, whatever it wants.
  void restrain() {
    restraints.refresh();
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

  void split() {
    restrain();
    if (has_new_limits) {  // of however many nodes: one layout
      lay_out();
    }
    for (std::size_t d = 0; d < devices.size(); ++d) {
      const std::pair wanted{loops[d].demand.estimate(), loops[d].demand.habits()};
      if (changed_curve[d] || wanted != wanted_before[d]) {
        allocator->set_curve(allocate::DeviceIndex{static_cast<std::uint32_t>(d)}, curve_of(d));
        wanted_before[d] = wanted;
        changed_curve[d] = 0;
      }
    }
    const auto& answer = allocator->resolve();
    for (std::size_t d = 0; d < devices.size(); ++d) {
      targets[d] = answer.status == allocate::Status::optimal
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

  /// Devices that are to get less. Where a limit is over all go at once, or none.
  void lower() {
    std::vector<ChargeLedger::Request> lowers;
    const Watts dead_band = ledger.is_over() ? Watts{} : rules.dead_band;
    for (std::size_t d = 0; d < devices.size(); ++d) {
      const Watts kept = restraints.is_given_up(d) ? Watts{} : dead_band;
      if (loops[d].ask && targets[d] < loops[d].cap - kept) {
        lowers.push_back(request(d, targets[d]));
      }
    }
    if (ledger.is_over()) {
      if (ledger.admit_lowers(lowers)) {
        std::for_each(lowers.begin(), lowers.end(),
                      [&](const auto& one) { issue(one, GrantCause::over_limit); });
      }
      return;
    }
    for (const auto& one : lowers) {
      static_cast<void>(try_grant(one.device.value, one.cap, GrantCause::lowered));
    }
  }

  /// As far as the write rules let it go now.
  [[nodiscard]] Watts raised(std::size_t d) const {
    return discipline.highest(d, loops[d].cap, targets[d]);
  }

  void raise() {
    std::vector<std::pair<double, std::size_t>> raises;  // worth per watt
    for (std::size_t d = 0; d < devices.size(); ++d) {
      const Watts more = raised(d) - loops[d].cap;
      if (loops[d].ask && more > rules.dead_band) {
        const double gain = allocate::value_at(devices[d].curve, raised(d)) -
                            allocate::value_at(devices[d].curve, loops[d].cap);
        raises.emplace_back(-gain / in_watts(more), d);
      }
    }
    std::sort(raises.begin(), raises.end());
    for (const auto& [worth, d] : raises) {
      if (!try_grant(d, raised(d), GrantCause::raised)) {
        const Watts part = std::min(raised(d), ledger.highest_cap({static_cast<std::uint32_t>(d)}));
        if (part > loops[d].cap + rules.dead_band) {
          static_cast<void>(try_grant(d, part, GrantCause::raised_in_part));
        }
      }
    }
  }

  /// Leases that would run out, but for those of fail-safe, to which devices go alone.
  void renew(Instant now) {
    for (std::size_t d = 0; d < devices.size(); ++d) {
      const auto& loop = loops[d];
      if (loop.ask && loop.cap != devices[d].terms.fail_safe &&
          loop.runs_out < now + rules.renew_before) {
        static_cast<void>(try_grant(d, loop.cap, GrantCause::renewed));
      }
    }
  }

  void advance(Instant now) {
    grants.clear();
    ledger.advance(now);
    discipline.advance(now);
    for (std::size_t d = 0; d < devices.size(); ++d) {
      if (loops[d].runs_out <= now) {
        loops[d].cap = devices[d].terms.fail_safe;
      }
    }
  }

  void tick(Instant now) {
    advance(now);
    split();
    lower();
    raise();
    renew(now);
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
      const auto& loop = loops[d];
      const auto& memory = loop.demand.memory();
      to.put(memory.before);
      to.put(memory.now);
      to.put(memory.half_began);
      to.put(memory.last);
      for (const float above : memory.above) {
        to.put(above);
      }
      to.put(std::uint8_t{memory.has_read});
      to.put(most[d]);
      const auto ask = loop.ask.value_or(device::LeaseAsk{});
      to.put(std::uint8_t{loop.ask.has_value()});
      to.put(ask.epoch);
      to.put(ask.number);
      to.put(loop.asked_at);
      to.put(loop.last_id);
      to.put(loop.cap);
      to.put(loop.runs_out);
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
      auto& loop = loops[d];
      Demand::Memory memory;
      memory.before = from.watts();
      memory.now = from.watts();
      memory.half_began = from.instant();
      memory.last = from.instant();
      for (float& above : memory.above) {
        above = from.get<float>();
      }
      memory.has_read = from.get<std::uint8_t>() != 0;
      most[d] = from.watts();
      loop.demand.resume(memory);
      const bool has_ask = from.get<std::uint8_t>() != 0;
      device::LeaseAsk ask;
      ask.epoch = from.get<device::AgentEpoch>();
      ask.number = from.get<std::uint64_t>();
      loop.ask = has_ask ? std::optional{ask} : std::nullopt;
      loop.asked_at = from.instant();
      loop.last_id = from.get<device::GrantId>();
      loop.cap = from.watts();
      loop.runs_out = from.instant();
      targets[d] = loop.cap;
      devices[d].curve = get_curve(from);
    }
    restraints.resume(from);
    discipline.resume(from);
    if (!from.is_at_end()) {
      from.fail("it goes on behind its end");
    }
    lay_out();
  }

  ControlRules rules;
  std::vector<ControlledDevice> devices;
  allocate::ChangingLimits limits;
  ChargeLedger ledger;
  std::vector<DeviceLoop> loops;
  Restraints restraints;
  WriteDiscipline discipline;
  std::optional<allocate::Problem> laid_out;
  std::optional<allocate::Allocator> allocator;
  std::vector<Watts> most;  // by device: the highest cap it may be given now
  std::vector<Watts> targets;
  std::vector<std::pair<Watts, Demand::Habits>> wanted_before;
  std::vector<char> changed_curve;
  bool has_new_limits = false;                    // that the allocator does not know
  std::vector<allocate::CurvePoint> split_curve;  // of curve_of()
  double headroom = kHeadroomWorth;               // per root watt, the same for all
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
  const auto& own = parts_->devices[device.value];
  parts_->loops[device.value].demand.read(parts_->rules.demand, at, draw, cap, own.least, own.most);
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

std::span<const Controller::Grant> Controller::tick(Instant now) {
  parts_->tick(now);
  return parts_->grants;
}

bool Controller::repeat(Instant now, std::span<const Grant> grants) {
  parts_->advance(now);
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
  ByteReader from{state, "the state of a controller"};
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
