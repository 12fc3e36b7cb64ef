#include "perwatt/control/charge_ledger.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <utility>

#include "perwatt/base/bytes.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::control {

namespace {

using topology::PowerTree;

constexpr double kMicrowattsPerWatt = 1e6;
constexpr Watts kMostWatts = watts(1e6);
constexpr double kMostOvershoot = 10;
constexpr Instant kNever = Instant::from_nanoseconds(std::numeric_limits<std::int64_t>::max());
constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max() / 4;

bool is_within(Watts power) {
  return power >= Watts{} && power <= kMostWatts;
}

void check_terms(const PowerTree& tree, std::span<const ChargeTerms> terms) {
  if (terms.size() != tree.devices().size()) {
    throw_bad_input("there are terms of " + std::to_string(terms.size()) + " devices for " +
                        std::to_string(tree.devices().size()),
                    "terms", "give one for each device of the tree");
  }
  for (std::size_t d = 0; d < terms.size(); ++d) {
    const auto& one = terms[d];
    const bool is_fine = is_within(one.fail_safe) && is_within(one.beside) &&
                         one.overshoot_ratio >= 0 && one.overshoot_ratio <= kMostOvershoot;
    if (!is_fine) {
      throw_bad_input(
          "the terms of device '" + printable(tree.devices()[d].id) + "' are out of range", "terms",
          "give watts from 0 to 1 MW and an overshoot from 0 to 10");
    }
  }
}

std::int64_t limit_in_microwatts(Watts limit) {
  const double microwatts = in_watts(limit) * kMicrowattsPerWatt;
  return microwatts < static_cast<double>(kUnlimited)
             ? static_cast<std::int64_t>(std::floor(microwatts))
             : kUnlimited;
}

}  // namespace

std::shared_ptr<const ChargeLedger::Layout> ChargeLedger::layout_of(
    const PowerTree& tree, const allocate::SiteLimits& limits) {
  auto layout = std::make_shared<Layout>();
  for (const auto& sum : limits.nested) {
    layout->parent.push_back(sum.parent);
  }
  layout->first_cross.assign(tree.nodes().size() + 1, 0);
  for (const auto& cross : limits.cross) {
    for (const auto& share : cross.shares) {
      ++layout->first_cross[share.first.value + 1];
    }
  }
  std::partial_sum(layout->first_cross.begin(), layout->first_cross.end(),
                   layout->first_cross.begin());
  layout->cross_shares.resize(layout->first_cross.back());
  auto next = layout->first_cross;
  for (std::uint32_t k = 0; k < limits.cross.size(); ++k) {
    for (const auto& [node, ratio] : limits.cross[k].shares) {
      layout->cross_shares[next[node.value]++] = {k, ratio};
    }
  }
  layout->device_factor = limits.units.device_factor;
  layout->fixed_supply = limits.units.fixed_supply;
  for (const auto& limit : limits.limits) {
    layout->tree_power.push_back(limit.power);
  }
  return layout;
}

std::vector<ChargeLedger::DeviceState> ChargeLedger::states_of(const PowerTree& tree,
                                                               const allocate::SiteLimits& limits,
                                                               std::span<const ChargeTerms> terms) {
  std::vector<DeviceState> states(terms.size());
  for (std::size_t d = 0; d < states.size(); ++d) {
    states[d].node = tree.devices()[d].parent.value;
    states[d].sum = limits.sum_of[states[d].node];
    states[d].overshoot_ratio = terms[d].overshoot_ratio;
    states[d].beside = terms[d].beside;
    states[d].root_factor = limits.units.device_factor[d];
  }
  return states;
}

ChargeLedger::ChargeLedger(const PowerTree& tree, std::span<const ChargeTerms> terms) {
  check_terms(tree, terms);
  const auto limits = allocate::site_limits(tree);
  layout_ = layout_of(tree, limits);
  limits_ = limits.limits;
  const auto least = limits.least();
  std::transform(least.nested.begin(), least.nested.end(), std::back_inserter(limit_.nested),
                 limit_in_microwatts);
  std::transform(least.cross.begin(), least.cross.end(), std::back_inserter(limit_.cross),
                 limit_in_microwatts);
  charged_.nested.assign(limit_.nested.size(), 0);
  charged_.cross.assign(limit_.cross.size(), 0);
  devices_ = states_of(tree, limits, terms);
  charge_.resize(devices_.size());
  next_void_.assign(devices_.size(), kNever);
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    auto& state = devices_[d];
    state.fail_safe = charge_[d] = state.ceiling = charge_of(d, terms[d].fail_safe);
    change(d, 0, charge_[d], charged_);
  }
  ceilings_ = charged_;
  fail_safe_ = charged_;
  if (const auto node = is_over()) {
    throw_bad_input("the fail-safe caps of the devices below '" + printable(tree.node(*node).id) +
                        "' pass its limit",
                    "topology", "lower fail_safe, or give the node less to feed");
  }
}

ChargeLedger::Microwatts ChargeLedger::charge_of(std::size_t device, Watts cap) const {
  const auto& state = devices_[device];
  const Watts draw = cap * (1 + state.overshoot_ratio) + state.beside;
  return static_cast<Microwatts>(
      std::ceil(in_watts(draw) * state.root_factor * kMicrowattsPerWatt));
}

ChargeLedger::Microwatts ChargeLedger::part_of(Microwatts charge, double ratio) {
  return static_cast<Microwatts>(std::ceil(static_cast<double>(charge) * ratio));
}

std::span<const ChargeLedger::CrossShare> ChargeLedger::cross_of(std::size_t device) const {
  if (layout_->cross_shares.empty()) {
    return {};
  }
  const auto node = devices_[device].node;
  return std::span{layout_->cross_shares}.subspan(
      layout_->first_cross[node], layout_->first_cross[node + 1] - layout_->first_cross[node]);
}

void ChargeLedger::change(std::size_t device, Microwatts from, Microwatts to, Sums& sums) const {
  for (auto s = devices_[device].sum; s != allocate::kNoSum; s = layout_->parent[s]) {
    sums.nested[s] += to - from;
  }
  for (const auto& [sum, ratio] : cross_of(device)) {
    sums.cross[sum] += part_of(to, ratio) - part_of(from, ratio);
  }
}

bool ChargeLedger::has_room(std::size_t device, Microwatts from, Microwatts to,
                            const Sums& sums) const {
  for (auto s = devices_[device].sum; s != allocate::kNoSum; s = layout_->parent[s]) {
    if (sums.nested[s] + to - from > limit_.nested[s]) {
      return false;
    }
  }
  const auto crossed = cross_of(device);
  return std::all_of(crossed.begin(), crossed.end(), [&](const CrossShare& share) {
    return sums.cross[share.sum] + part_of(to, share.ratio) - part_of(from, share.ratio) <=
           limit_.cross[share.sum];
  });
}

bool ChargeLedger::is_grantable(const Request& request) const {
  const auto& state = devices_[request.device.value];
  return is_within(request.cap) && request.id > state.last_id && !state.is_off;
}

bool ChargeLedger::admit(const Request& request) {
  if (!is_grantable(request)) {
    return false;
  }
  const auto d = request.device.value;
  const auto& state = devices_[d];
  const Microwatts asked = charge_of(d, request.cap);
  const Microwatts ceiling = std::max(state.fail_safe, asked);
  const bool is_over = !has_room(d, 0, 0, charged_);
  const bool fits = is_over
                        ? ceiling <= state.ceiling && has_room(d, state.ceiling, ceiling, ceilings_)
                        : asked <= charge_[d] || has_room(d, charge_[d], asked, charged_);
  return fits && enter(d, {request.id, request.epoch, asked, request.void_after}, ceiling);
}

bool ChargeLedger::admit_lowers(std::span<const Request> requests) {
  Sums after = ceilings_;
  std::vector<Grant> grants;
  for (const auto& request : requests) {
    if (!is_grantable(request)) {
      return false;
    }
    const auto d = request.device.value;
    const auto& state = devices_[d];
    grants.push_back({request.id, request.epoch, charge_of(d, request.cap), request.void_after});
    const Microwatts ceiling = std::max(state.fail_safe, grants.back().charge);
    if (ceiling > state.ceiling || place_for(d, grants.back()) == kGrants) {
      return false;
    }
    change(d, state.ceiling, ceiling, after);
  }
  for (const auto& request : requests) {
    if (!has_room(request.device.value, 0, 0, after)) {
      return false;
    }
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto d = requests[i].device.value;
    static_cast<void>(enter(d, grants[i], std::max(devices_[d].fail_safe, grants[i].charge)));
  }
  return true;
}

void ChargeLedger::restore(const Request& request) {
  const auto d = request.device.value;
  const Watts cap = is_within(request.cap) ? request.cap : kMostWatts;
  const Grant grant{request.id, request.epoch, charge_of(d, cap), request.void_after};
  // The ceiling stays: what was sent before the start is no ground to renew it.
  if (enter(d, grant, devices_[d].ceiling)) {
    return;
  }
  auto& first = devices_[d].grants[0];  // the two oldest become one, as long and as high as either
  const auto& second = devices_[d].grants[1];
  first = {second.id, std::max(first.epoch, second.epoch), std::max(first.charge, second.charge),
           std::max(first.void_after, second.void_after)};
  auto& grants = devices_[d].grants;
  std::move(grants.begin() + 2, grants.end(), grants.begin() + 1);
  --devices_[d].count;
  static_cast<void>(enter(d, grant, devices_[d].ceiling));
}

bool ChargeLedger::repeat(const Request& request) {
  if (!is_grantable(request)) {
    return false;
  }
  const auto d = request.device.value;
  const Microwatts charge = charge_of(d, request.cap);
  return enter(d, {request.id, request.epoch, charge, request.void_after},
               std::max(devices_[d].fail_safe, charge));
}

/// How many grants stay beside a new one: those it does not stand for. What is no higher, void no
/// later and of no later epoch is dead whenever the new one is.
std::size_t ChargeLedger::place_for(std::size_t device, const Grant& grant) const {
  const auto& state = devices_[device];
  return static_cast<std::size_t>(
      std::count_if(state.grants.begin(), state.grants.begin() + state.count,
                    [&](const Grant& older) { return !stands_for(grant, older); }));
}

bool ChargeLedger::stands_for(const Grant& newer, const Grant& older) {
  return older.charge <= newer.charge && older.void_after <= newer.void_after &&
         older.epoch <= newer.epoch;
}

bool ChargeLedger::enter(std::size_t device, const Grant& grant, Microwatts ceiling) {
  auto& state = devices_[device];
  if (place_for(device, grant) == kGrants) {
    return false;
  }
  const auto end = state.grants.begin() + state.count;
  const auto kept = std::remove_if(state.grants.begin(), end,
                                   [&](const Grant& older) { return stands_for(grant, older); });
  *kept = grant;
  state.count = static_cast<std::uint32_t>(kept - state.grants.begin()) + 1;
  state.last_id = std::max(state.last_id, grant.id);
  settle(device, ceiling);
  return true;
}

template <class IsDead>
void ChargeLedger::drop(std::size_t device, const IsDead& is_dead) {
  auto& state = devices_[device];
  const auto end = state.grants.begin() + state.count;
  const auto kept = std::remove_if(state.grants.begin(), end, is_dead);
  if (kept == end) {
    return;
  }
  state.count = static_cast<std::uint32_t>(kept - state.grants.begin());
  settle(device, state.ceiling);
}

/// The charge of the grants that are left; the ceiling is no higher.
void ChargeLedger::settle(std::size_t device, Microwatts ceiling) {
  auto& state = devices_[device];
  Instant next_void = kNever;
  for (std::size_t g = 0; g < state.count; ++g) {
    next_void = std::min(next_void, state.grants[g].void_after);
  }
  next_void_[device] = next_void;
  const Microwatts charge = state.is_off ? least_charge(device) : charge_when_on(device);
  const Microwatts lower = std::min(ceiling, charge);
  change(device, charge_[device], charge, charged_);
  change(device, state.ceiling, lower, ceilings_);
  charge_[device] = charge;
  state.ceiling = lower;
}

/// Whatever was granted.
ChargeLedger::Microwatts ChargeLedger::least_charge(std::size_t device) const {
  return devices_[device].is_off ? charge_of(device, {}) : devices_[device].fail_safe;
}

ChargeLedger::Microwatts ChargeLedger::charge_when_on(std::size_t device) const {
  const auto& state = devices_[device];
  Microwatts charge = state.fail_safe;
  for (std::size_t g = 0; g < state.count; ++g) {
    charge = std::max(charge, state.grants[g].charge);
  }
  return charge;
}

/// The sums at fail-safe with it; what is charged is the caller's.
void ChargeLedger::set_off(std::size_t device, bool is_off) {
  const Microwatts before = least_charge(device);
  devices_[device].is_off = is_off;
  change(device, before, least_charge(device), fail_safe_);
}

void ChargeLedger::switched_off(topology::DeviceIndex device) {
  set_off(device.value, true);
  settle(device.value, least_charge(device.value));
}

bool ChargeLedger::switch_on(topology::DeviceIndex device) {
  const auto d = device.value;
  if (!devices_[d].is_off) {
    return !is_over();
  }
  if (!has_room(d, charge_[d], charge_when_on(d), charged_)) {
    return false;
  }
  set_off(d, false);
  settle(d, devices_[d].fail_safe);
  return true;
}

void ChargeLedger::report(topology::DeviceIndex device, const device::LeaseReport& report) {
  if (!report.is_settled) {
    return;
  }
  drop(device.value, [&](const Grant& grant) {
    const bool is_past =
        grant.id < report.accepted || (grant.id == report.accepted && report.is_lapsed);
    return grant.epoch < report.epoch || (grant.epoch == report.epoch && is_past);
  });
}

void ChargeLedger::advance(Instant now) {
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    if (next_void_[d] <= now) {
      drop(d, [&](const Grant& grant) { return grant.void_after <= now; });
    }
  }
}

bool ChargeLedger::set_limit(topology::NodeIndex node, Watts limit) {
  // A site limit of the node as a whole, its idle supply taken off as site_limits does.
  const auto found =
      std::find_if(limits_.begin(), limits_.end(),
                   [&](const allocate::SiteLimit& one) { return one.node == node && !one.phase; });
  if (found == limits_.end()) {
    return false;
  }
  const Watts idle = layout_->fixed_supply[node.value];
  const Watts most = layout_->tree_power[static_cast<std::size_t>(found - limits_.begin())];
  const Watts before = std::exchange(found->power, std::min(most, std::max(Watts{}, limit - idle)));
  Microwatts least = kUnlimited;
  for (const auto& one : limits_) {
    if (one.sum == found->sum && one.is_cross == found->is_cross) {
      least = std::min(least, limit_in_microwatts(one.limit_on_sum()));
    }
  }
  const auto& at_fail_safe = found->is_cross ? fail_safe_.cross : fail_safe_.nested;
  if (at_fail_safe[found->sum] > least) {
    found->power = before;
    return false;
  }
  (found->is_cross ? limit_.cross : limit_.nested)[found->sum] = least;
  return true;
}

Watts ChargeLedger::charge(topology::DeviceIndex device) const {
  return watts(static_cast<double>(charge_[device.value]) / kMicrowattsPerWatt /
               layout_->device_factor[device.value]);
}

Watts ChargeLedger::highest_cap(topology::DeviceIndex device) const {
  const auto d = device.value;
  const Microwatts charge = charge_[d];
  double highest = static_cast<double>(kUnlimited);
  if (!has_room(d, 0, 0, charged_)) {
    return cap_of(d, static_cast<double>(devices_[d].ceiling));
  }
  for (auto s = devices_[d].sum; s != allocate::kNoSum; s = layout_->parent[s]) {
    highest =
        std::min(highest, static_cast<double>(limit_.nested[s] - charged_.nested[s] + charge));
  }
  for (const auto& [sum, ratio] : cross_of(d)) {
    const Microwatts part = limit_.cross[sum] - charged_.cross[sum] + part_of(charge, ratio);
    highest = std::min(highest, static_cast<double>(part) / ratio);
  }
  return cap_of(d, highest - 1);
}

/// The cap of a charge at the root.
Watts ChargeLedger::cap_of(std::size_t device, double microwatts) const {
  const auto& state = devices_[device];
  const double draw = std::max(0.0, microwatts) / kMicrowattsPerWatt / state.root_factor;
  return std::clamp((watts(draw) - state.beside) * (1 / (1 + state.overshoot_ratio)), Watts{},
                    kMostWatts);
}

std::optional<topology::NodeIndex> ChargeLedger::is_over() const {
  for (const auto& limit : limits_) {
    const bool is_over = limit.is_cross ? charged_.cross[limit.sum] > limit_.cross[limit.sum]
                                        : charged_.nested[limit.sum] > limit_.nested[limit.sum];
    if (is_over) {
      return limit.node;
    }
  }
  return std::nullopt;
}

void ChargeLedger::save(ByteWriter& to) const {
  for (const auto& limit : limits_) {
    to.put(limit.power);
  }
  for (const auto* sums : {&limit_.nested, &limit_.cross}) {
    for (const Microwatts limit : *sums) {
      to.put(limit);
    }
  }
  for (const auto& state : devices_) {
    to.put(state.ceiling);
    to.put(state.last_id);
    to.put(std::uint8_t{state.is_off});
    to.put(state.count);
    for (std::size_t g = 0; g < state.count; ++g) {
      const auto& grant = state.grants[g];
      to.put(grant.id);
      to.put(grant.epoch);
      to.put(grant.charge);
      to.put(grant.void_after);
    }
  }
}

void ChargeLedger::resume(ByteReader& from) {
  for (auto& limit : limits_) {
    limit.power = from.watts();
  }
  for (auto* sums : {&limit_.nested, &limit_.cross}) {
    for (Microwatts& limit : *sums) {
      limit = from.get<Microwatts>();
    }
  }
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    set_off(d, false);
  }
  charged_ = fail_safe_;
  ceilings_ = fail_safe_;
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    auto& state = devices_[d];
    charge_[d] = state.ceiling = state.fail_safe;
    const auto ceiling = from.get<Microwatts>();
    state.last_id = from.get<device::GrantId>();
    set_off(d, from.get<std::uint8_t>() != 0);
    state.count = from.get<std::uint32_t>();
    if (state.count > kGrants) {
      from.fail("a device has more grants than it can have");
    }
    for (std::size_t g = 0; g < state.count; ++g) {
      auto& grant = state.grants[g];
      grant.id = from.get<device::GrantId>();
      grant.epoch = from.get<device::AgentEpoch>();
      grant.charge = from.get<Microwatts>();
      grant.void_after = from.instant();
    }
    settle(d, ceiling);
  }
  if (const auto found = fault()) {
    from.fail(*found);
  }
}

std::optional<const char*> ChargeLedger::fault() const {
  Sums charged{std::vector<Microwatts>(charged_.nested.size(), 0),
               std::vector<Microwatts>(charged_.cross.size(), 0)};
  Sums ceilings = charged;
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    const auto& state = devices_[d];
    const Microwatts charge = state.is_off ? least_charge(d) : charge_when_on(d);
    if (charge != charge_[d] || state.ceiling > charge || state.ceiling < least_charge(d)) {
      return "a device is not charged with its highest grant";
    }
    change(d, 0, charge, charged);
    change(d, 0, state.ceiling, ceilings);
  }
  if (charged.nested != charged_.nested || charged.cross != charged_.cross ||
      ceilings.nested != ceilings_.nested || ceilings.cross != ceilings_.cross) {
    return "a sum is not that of its devices";
  }
  return std::nullopt;
}

}  // namespace perwatt::control
