#include "perwatt/simulate/plant.hpp"

#include <optional>
#include <utility>
#include <vector>

#include "check_plant.hpp"
#include "device_bank.hpp"
#include "limit_meter.hpp"
#include "node_sums.hpp"
#include "sensor_bank.hpp"

namespace perwatt::simulate {

namespace {

PlantSpec checked_spec(const topology::PowerTree& tree, PlantSpec spec) {
  check_plant(tree, spec);
  if (spec.kind_of_device.empty()) {
    spec.kind_of_device.assign(tree.devices().size(), 0);
  }
  return spec;
}

std::optional<SensorBank> sensor_bank(const std::optional<SensorSpec>& sensors, SensorUses uses,
                                      const PlantSpec& spec, std::size_t count) {
  if (!sensors) {
    return std::nullopt;
  }
  return SensorBank{*sensors, uses, spec.seed, spec.step_ns, count};
}

}  // namespace

struct Plant::Parts {
  Parts(topology::PowerTree site_tree, PlantSpec plant_spec)
      : tree{std::move(site_tree)},
        spec{checked_spec(tree, std::move(plant_spec))},
        bank{spec},
        sums{tree, spec.kind_of_device, spec.kinds.size()},
        meter{tree, spec.step_ns * spec.meter_steps, spec.breaker_recovery},
        device_sensors{sensor_bank(spec.device_sensors,
                                   {RandomUse::device_noise, RandomUse::device_bias}, spec,
                                   tree.devices().size())},
        node_sensors{sensor_bank(spec.node_sensors, {RandomUse::node_noise, RandomUse::node_bias},
                                 spec, tree.nodes().size())} {
    sums.add_up(bank.draw_watts());
    sample();
  }

  void meter_interval() {
    sums.add_up(bank.draw_watts());
    sums.add_energy(interval());
    meter.judge(sums);
    if (spec.trips_open && !meter.tripped().empty()) {
      for (const auto node : meter.tripped()) {
        sums.set_open(node, true);
      }
      power_live_nodes();
    }
  }

  void power_live_nodes() {
    sums.recompute_live();
    for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
      const auto [first, end] = tree.devices_of({n});
      bank.set_powered(first.value, end.value, sums.is_live(n));
    }
  }

  void sample() {
    if (device_sensors && device_sensors->is_due(steps_done)) {
      const float* draw_watts = bank.draw_watts().data();
      device_sensors->sample(steps_done, [draw_watts](std::size_t d) { return draw_watts[d]; });
    }
    if (node_sensors && node_sensors->is_due(steps_done)) {
      node_sensors->sample(steps_done, [this](std::size_t n) { return metered_watts(n); });
    }
  }

  [[nodiscard]] double metered_watts(std::size_t node) const {
    return tree.nodes()[node].meter == topology::MeterSide::load ? sums.load_watts(node)
                                                                 : sums.supply_watts()[node];
  }

  [[nodiscard]] Seconds interval() const { return spec.step() * spec.meter_steps; }

  topology::PowerTree tree;
  PlantSpec spec;
  DeviceBank bank;
  NodeSums sums;
  LimitMeter meter;
  std::optional<SensorBank> device_sensors;
  std::optional<SensorBank> node_sensors;
  std::int64_t steps_done = 0;
};

Plant::Plant(topology::PowerTree tree, PlantSpec spec)
    : parts_{std::make_unique<Parts>(std::move(tree), std::move(spec))} {}

Plant::Plant(Plant&&) noexcept = default;
Plant& Plant::operator=(Plant&&) noexcept = default;
Plant::~Plant() = default;

const topology::PowerTree& Plant::tree() const {
  return parts_->tree;
}

const PlantSpec& Plant::spec() const {
  return parts_->spec;
}

std::int64_t Plant::steps_done() const {
  return parts_->steps_done;
}

Instant Plant::now() const {
  return Instant::from_nanoseconds(parts_->steps_done * parts_->spec.step_ns);
}

void Plant::set_demands(topology::DeviceIndex first, std::span<const float> demand_watts) {
  parts_->bank.set_demands(first.value, demand_watts);
}

void Plant::set_demand(topology::DeviceIndex device, Watts demand) {
  const auto demand_watts = static_cast<float>(in_watts(demand));
  parts_->bank.set_demands(device.value, {&demand_watts, 1});
}

void Plant::set_on(topology::DeviceIndex device, bool on) {
  parts_->bank.set_on(device.value, on);
}

CapWrite Plant::write_cap(topology::DeviceIndex device, Watts cap) {
  return parts_->bank.write_cap(device.value, static_cast<float>(in_watts(cap)),
                                parts_->steps_done);
}

void Plant::set_breaker_open(topology::NodeIndex node, bool open) {
  if (parts_->sums.is_open(node.value) == open) {
    return;
  }
  parts_->sums.set_open(node.value, open);
  parts_->meter.cool(node.value);
  parts_->power_live_nodes();
}

void Plant::set_faults(topology::DeviceIndex device, const DeviceFaults& faults) {
  check_faults(faults);
  parts_->bank.set_faults(device.value, faults);
}

void Plant::set_sensor_fault(topology::DeviceIndex device, const SensorFault& fault) {
  check_fault(fault);
  if (parts_->device_sensors) {
    parts_->device_sensors->set_fault(device.value, fault, parts_->steps_done);
  }
}

void Plant::set_sensor_fault(topology::NodeIndex node, const SensorFault& fault) {
  check_fault(fault);
  if (parts_->node_sensors) {
    parts_->node_sensors->set_fault(node.value, fault, parts_->steps_done);
  }
}

void Plant::step() noexcept {
  auto& parts = *parts_;
  parts.bank.step(parts.steps_done);
  ++parts.steps_done;
  if (parts.steps_done % parts.spec.meter_steps == 0) {
    parts.meter_interval();
  }
  parts.sample();
}

std::span<const float> Plant::draw_watts() const {
  return parts_->bank.draw_watts();
}

std::span<const double> Plant::supply_watts() const {
  return parts_->sums.supply_watts();
}

bool Plant::is_live(topology::NodeIndex node) const {
  return parts_->sums.is_live(node.value);
}

bool Plant::has_power(topology::DeviceIndex device) const {
  return parts_->bank.has_power(device.value);
}

Joules Plant::energy_of_node(topology::NodeIndex node) const {
  return Joules::from_base(parts_->sums.node_joules(node.value));
}

Joules Plant::energy_of_kind(std::size_t kind) const {
  return Joules::from_base(parts_->sums.kind_joules(kind));
}

Violations Plant::violations(topology::NodeIndex node, std::size_t limit) const {
  return parts_->meter.violations(node.value, limit);
}

Violations Plant::violations() const {
  return parts_->meter.total();
}

Reading Plant::read_device(topology::DeviceIndex device) const {
  if (!parts_->device_sensors) {
    return {};
  }
  return parts_->device_sensors->read(device.value, parts_->steps_done);
}

Reading Plant::read_node(topology::NodeIndex node) const {
  if (!parts_->node_sensors || !parts_->tree.node(node).meter) {
    return {};
  }
  return parts_->node_sensors->read(node.value, parts_->steps_done);
}

Watts Plant::read_cap(topology::DeviceIndex device) const {
  return watts(static_cast<double>(parts_->bank.reported_cap_watts(device.value)));
}

}  // namespace perwatt::simulate
