#include "perwatt/control/supply_estimate.hpp"

#include <algorithm>

#include "perwatt/topology/root_units.hpp"

namespace perwatt::control {

namespace {

constexpr double kLearnedPart = 0.01;  // an update

}  // namespace

SupplyEstimate::SupplyEstimate(const topology::PowerTree& tree, const SensorErrors& errors)
    : tree_{&tree}, errors_{errors}, nodes_(tree.nodes().size()), devices_(tree.devices().size()) {}

void SupplyEstimate::set_device(topology::DeviceIndex device, Watts draw, Watts doubt) noexcept {
  devices_[device.value] = {in_watts(draw), in_watts(doubt)};
}

void SupplyEstimate::set_meter(topology::NodeIndex node, std::optional<Watts> power) noexcept {
  nodes_[node.value].meter = power;
}

SupplyEstimate::Flow SupplyEstimate::supply_of(const topology::Node& node,
                                               const Flow& load) const noexcept {
  const double fixed = in_watts(node.fixed);
  return {fixed + node.factor * load.power,
          node.factor * load.doubt + errors_.fixed_ratio * fixed +
              errors_.loss_ratio * (node.factor - 1) * load.power};
}

void SupplyEstimate::add_own(std::uint32_t n) noexcept {
  auto& flows = nodes_[n];
  Flow own;
  const auto range = tree_->devices_of({n});
  for (auto d = range.first.value; d < range.end.value; ++d) {
    own.power += devices_[d].power;
    own.doubt += devices_[d].doubt + errors_.device_ratio * devices_[d].power;
  }
  for (auto* load : {&flows.load_by_meters, &flows.load_by_devices}) {
    load->power += own.power;
    load->doubt += own.doubt;
  }
  if (tree_->has_phase_limits()) {
    for (const auto phase : topology::kPhases) {
      flows.phase_watts[static_cast<std::size_t>(phase)] +=
          own.power * topology::phase_share(tree_->node({n}).phase, phase);
    }
  }
}

void SupplyEstimate::add_phases(std::uint32_t n) noexcept {
  const auto& node = tree_->node({n});
  auto& flows = nodes_[n];
  flows.phase_sum = 0;
  for (const auto phase : topology::kPhases) {
    auto& power = flows.phase_watts[static_cast<std::size_t>(phase)];
    power = power * node.factor + in_watts(node.fixed) * topology::phase_share(node.phase, phase);
    flows.phase_sum += power;
  }
  for (const auto& part : node.supplies) {
    auto& above = nodes_[part.parent.value].phase_watts;
    for (std::size_t p = 0; p < above.size(); ++p) {
      above[p] += flows.phase_watts[p] * part.share_ratio;
    }
  }
}

SupplyEstimate::Flow SupplyEstimate::best_supply(std::uint32_t n) noexcept {
  const auto& node = tree_->node({n});
  auto& flows = nodes_[n];
  Flow below = supply_of(node, flows.load_by_meters);
  if (!flows.meter) {
    const double learned = std::max(1.0, flows.learned);
    return {below.power * learned, below.doubt * learned};
  }
  const double metered = in_watts(*flows.meter);
  const Flow seen{metered, errors_.meter_ratio * metered};
  const Flow best = node.meter == topology::MeterSide::load ? supply_of(node, seen) : seen;
  if (below.power > 0) {
    const double most = below.doubt / below.power;
    const double ratio = std::clamp(best.power / below.power, 1 - most, 1 + most);
    flows.learned += kLearnedPart * (ratio - flows.learned);
  }
  return best;
}

void SupplyEstimate::update() noexcept {
  for (auto& flows : nodes_) {
    flows.load_by_meters = flows.load_by_devices = {};
    flows.phase_watts = {};
  }
  for (auto n = static_cast<std::uint32_t>(nodes_.size()); n-- > 0;) {
    const auto& node = tree_->node({n});
    auto& flows = nodes_[n];
    add_own(n);
    if (tree_->has_phase_limits()) {
      add_phases(n);
    }
    const Flow by_devices = supply_of(node, flows.load_by_devices);
    const Flow best = best_supply(n);
    flows.supply = best.power;
    flows.doubt = best.doubt;
    const double share_error = node.supplies.size() > 1 ? errors_.share_ratio : 0;
    for (const auto& part : node.supplies) {
      auto& above = nodes_[part.parent.value];
      const auto add = [&](Flow& load, const Flow& supply) {
        load.power += supply.power * part.share_ratio;
        load.doubt += (supply.doubt + share_error * supply.power) * part.share_ratio;
      };
      add(above.load_by_meters, best);
      add(above.load_by_devices, by_devices);
    }
  }
}

Watts SupplyEstimate::bounded_by(const topology::Limit& limit,
                                 topology::NodeIndex node) const noexcept {
  const auto& flows = nodes_[node.value];
  if (!limit.phase) {
    return watts(flows.supply);
  }
  const double on_phase = flows.phase_watts[static_cast<std::size_t>(*limit.phase)];
  return watts(flows.phase_sum > 0 ? flows.supply * (on_phase / flows.phase_sum)
                                   : flows.supply / static_cast<double>(topology::kPhases.size()));
}

SupplyEstimate::Seen SupplyEstimate::at_meter(topology::NodeIndex index,
                                              const Flow& load) const noexcept {
  const auto& node = tree_->node(index);
  const Flow flow = node.meter == topology::MeterSide::load ? load : supply_of(node, load);
  return {watts(flow.power), watts(flow.doubt)};
}

SupplyEstimate::Seen SupplyEstimate::expected_by_meters(topology::NodeIndex node) const noexcept {
  return at_meter(node, nodes_[node.value].load_by_meters);
}

SupplyEstimate::Seen SupplyEstimate::expected_by_devices(topology::NodeIndex node) const noexcept {
  return at_meter(node, nodes_[node.value].load_by_devices);
}

Watts SupplyEstimate::meter_doubt(topology::NodeIndex node) const noexcept {
  return nodes_[node.value].meter.value_or(Watts{}) * errors_.meter_ratio;
}

}  // namespace perwatt::control
