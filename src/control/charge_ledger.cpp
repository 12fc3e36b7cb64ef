#include "perwatt/control/charge_ledger.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::control {

namespace {

using topology::PowerTree;

constexpr double kMicrowattsPerWatt = 1e6;
constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max() / 4;

std::int64_t limit_in_microwatts(Watts limit) {
  const double microwatts = in_watts(limit) * kMicrowattsPerWatt;
  return microwatts < static_cast<double>(kUnlimited)
             ? static_cast<std::int64_t>(std::floor(microwatts))
             : kUnlimited;
}

}  // namespace

std::shared_ptr<const ChargeLedger::Layout> ChargeLedger::layout_of(
    const PowerTree& tree, const allocate::SiteLimits& limits, std::span<const ChargeTerms> terms) {
  auto layout = std::make_shared<Layout>();
  for (const auto& sum : limits.nested) {
    layout->parent.push_back(sum.parent);
  }
  for (const auto& device : tree.devices()) {
    layout->node_of.push_back(device.parent.value);
    layout->sum_of.push_back(limits.sum_of[device.parent.value]);
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
  layout->terms.assign(terms.begin(), terms.end());
  return layout;
}

ChargeLedger::ChargeLedger(const PowerTree& tree, std::span<const ChargeTerms> terms) {
  const auto limits = allocate::site_limits(tree);
  layout_ = layout_of(tree, limits, terms);
  limits_ = limits.limits;
  nested_limit_.assign(limits.nested.size(), kUnlimited);
  cross_limit_.assign(limits.cross.size(), kUnlimited);
  for (const auto& limit : limits_) {
    auto& least = limit.is_cross ? cross_limit_[limit.sum] : nested_limit_[limit.sum];
    least = std::min(least, limit_in_microwatts(limit.limit_on_sum()));
  }
  nested_.assign(nested_limit_.size(), 0);
  cross_.assign(cross_limit_.size(), 0);
  devices_.resize(tree.devices().size());
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    devices_[d].fail_safe = charge_of(d, terms[d].fail_safe);
    change_charge(d, devices_[d].fail_safe);
  }
  if (const auto node = is_over()) {
    throw_bad_input("the fail-safe caps of the devices below '" + printable(tree.node(*node).id) +
                        "' pass its limit",
                    "topology", "lower fail_safe, or give the node less to feed");
  }
}

ChargeLedger::Microwatts ChargeLedger::charge_of(std::size_t device, Watts cap) const {
  const auto& terms = layout_->terms[device];
  const Watts draw = cap * (1 + terms.overshoot_ratio) + terms.beside;
  return static_cast<Microwatts>(
      std::ceil(in_watts(draw) * layout_->device_factor[device] * kMicrowattsPerWatt));
}

ChargeLedger::Microwatts ChargeLedger::part_of(Microwatts charge, double ratio) {
  return static_cast<Microwatts>(std::ceil(static_cast<double>(charge) * ratio));
}

std::span<const ChargeLedger::CrossShare> ChargeLedger::cross_of(std::size_t device) const {
  const auto node = layout_->node_of[device];
  return std::span{layout_->cross_shares}.subspan(
      layout_->first_cross[node], layout_->first_cross[node + 1] - layout_->first_cross[node]);
}

void ChargeLedger::change_charge(std::size_t device, Microwatts charge) {
  const Microwatts before = devices_[device].charge;
  devices_[device].charge = charge;
  for (auto s = layout_->sum_of[device]; s != allocate::kNoSum; s = layout_->parent[s]) {
    nested_[s] += charge - before;
  }
  for (const auto& [sum, ratio] : cross_of(device)) {
    cross_[sum] += part_of(charge, ratio) - part_of(before, ratio);
  }
}

bool ChargeLedger::has_room(std::size_t device, Microwatts charge) const {
  const Microwatts before = devices_[device].charge;
  for (auto s = layout_->sum_of[device]; s != allocate::kNoSum; s = layout_->parent[s]) {
    if (nested_[s] + charge - before > nested_limit_[s]) {
      return false;
    }
  }
  const auto crossed = cross_of(device);
  return std::all_of(crossed.begin(), crossed.end(), [&](const CrossShare& share) {
    return cross_[share.sum] + part_of(charge, share.ratio) - part_of(before, share.ratio) <=
           cross_limit_[share.sum];
  });
}

bool ChargeLedger::admit(topology::DeviceIndex device, device::AgentEpoch epoch, device::GrantId id,
                         Watts cap, Instant void_after) {
  const auto& state = devices_[device.value];
  const Microwatts asked = charge_of(device.value, cap);
  const Microwatts charge = std::max(state.charge, asked);
  if (charge > state.charge && !has_room(device.value, charge)) {
    return false;
  }
  enter(device.value, {id, epoch, asked, void_after});
  return true;
}

void ChargeLedger::restore(topology::DeviceIndex device, device::AgentEpoch epoch,
                           device::GrantId id, Watts cap, Instant void_after) {
  enter(device.value, {id, epoch, charge_of(device.value, cap), void_after});
}

void ChargeLedger::enter(std::size_t device, const Grant& grant) {
  auto& state = devices_[device];
  if (state.count == kGrants) {  // the two oldest become one, as long and as high as either
    auto& first = state.grants[0];
    const auto& second = state.grants[1];
    first = {second.id, second.epoch, std::max(first.charge, second.charge),
             std::max(first.void_after, second.void_after)};
    std::move(state.grants.begin() + 2, state.grants.end(), state.grants.begin() + 1);
    --state.count;
  }
  state.grants[state.count++] = grant;
  settle(device);
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
  settle(device);
}

/// The charge of the grants that are left.
void ChargeLedger::settle(std::size_t device) {
  const auto& state = devices_[device];
  Microwatts charge = state.fail_safe;
  for (std::size_t g = 0; g < state.count; ++g) {
    charge = std::max(charge, state.grants[g].charge);
  }
  if (charge != state.charge) {
    change_charge(device, charge);
  }
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
    drop(d, [&](const Grant& grant) { return grant.void_after <= now; });
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
  const Watts before = std::exchange(found->power, std::max(Watts{}, limit - idle));
  Microwatts least = kUnlimited;
  for (const auto& one : limits_) {
    if (one.sum == found->sum && one.is_cross == found->is_cross) {
      least = std::min(least, limit_in_microwatts(one.limit_on_sum()));
    }
  }
  Microwatts at_fail_safe = 0;
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    if (found->is_cross) {
      for (const auto& [sum, ratio] : cross_of(d)) {
        at_fail_safe += sum == found->sum ? part_of(devices_[d].fail_safe, ratio) : 0;
      }
      continue;
    }
    for (auto s = layout_->sum_of[d]; s != allocate::kNoSum; s = layout_->parent[s]) {
      at_fail_safe += s == found->sum ? devices_[d].fail_safe : 0;
    }
  }
  if (at_fail_safe > least) {
    found->power = before;
    return false;
  }
  (found->is_cross ? cross_limit_ : nested_limit_)[found->sum] = least;
  return true;
}

Watts ChargeLedger::charge(topology::DeviceIndex device) const {
  return watts(static_cast<double>(devices_[device.value].charge) / kMicrowattsPerWatt /
               layout_->device_factor[device.value]);
}

Watts ChargeLedger::highest_cap(topology::DeviceIndex device) const {
  const auto d = device.value;
  const Microwatts charge = devices_[d].charge;
  double highest = static_cast<double>(kUnlimited);
  for (auto s = layout_->sum_of[d]; s != allocate::kNoSum; s = layout_->parent[s]) {
    highest = std::min(highest, static_cast<double>(nested_limit_[s] - nested_[s] + charge));
  }
  for (const auto& [sum, ratio] : cross_of(d)) {
    const Microwatts part = cross_limit_[sum] - cross_[sum] + part_of(charge, ratio);
    highest = std::min(highest, static_cast<double>(part) / ratio);
  }
  const double draw = std::max(0.0, highest - 1) / kMicrowattsPerWatt / layout_->device_factor[d];
  return std::max(Watts{}, (watts(draw) - layout_->terms[d].beside) *
                               (1 / (1 + layout_->terms[d].overshoot_ratio)));
}

std::optional<topology::NodeIndex> ChargeLedger::is_over() const {
  for (const auto& limit : limits_) {
    const bool is_over = limit.is_cross ? cross_[limit.sum] > cross_limit_[limit.sum]
                                        : nested_[limit.sum] > nested_limit_[limit.sum];
    if (is_over) {
      return limit.node;
    }
  }
  return std::nullopt;
}

std::optional<const char*> ChargeLedger::fault() const {
  std::vector<Microwatts> nested(nested_.size(), 0);
  std::vector<Microwatts> cross(cross_.size(), 0);
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    const auto& state = devices_[d];
    Microwatts charge = state.fail_safe;
    for (std::size_t g = 0; g < state.count; ++g) {
      charge = std::max(charge, state.grants[g].charge);
    }
    if (charge != state.charge) {
      return "a device is not charged with its highest grant";
    }
    for (auto s = layout_->sum_of[d]; s != allocate::kNoSum; s = layout_->parent[s]) {
      nested[s] += charge;
    }
    for (const auto& [sum, ratio] : cross_of(d)) {
      cross[sum] += part_of(charge, ratio);
    }
  }
  if (nested != nested_ || cross != cross_) {
    return "a sum is not that of its devices";
  }
  return std::nullopt;
}

}  // namespace perwatt::control
