// Plants and trees that several tests build.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/simulate/plant.hpp"

namespace perwatt::simulate {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr topology::NodeIndex kRoot{0};

inline topology::NodeSpec plant_node(const std::string& id, const std::string& parent) {
  topology::NodeSpec spec;
  spec.id = id;
  if (!parent.empty()) {
    spec.supplies = {{parent, 1}};
  }
  spec.meter = topology::MeterSide::supply;
  return spec;
}

inline topology::DeviceSpec plant_device(const std::string& id, const std::string& parent) {
  topology::DeviceSpec spec;
  spec.id = id;
  spec.parent = parent;
  spec.min = watts(200);
  spec.max = watts(700);
  return spec;
}

/// `count` devices on one node.
inline topology::PowerTree flat_tree(int count, const std::vector<topology::Limit>& limits = {}) {
  auto root = plant_node("root", "");
  root.limits = limits;
  std::vector<topology::DeviceSpec> devices;
  for (int d = 0; d < count; ++d) {
    devices.push_back(plant_device("gpu-" + std::to_string(d), "root"));
  }
  return topology::PowerTree::build({root}, devices);
}

/// Draws 100 W idle; obeys and draws at once.
inline DeviceKind prompt_kind() {
  DeviceKind kind;
  kind.name = "gpu";
  kind.idle = watts(100);
  kind.lowest_cap = watts(200);
  kind.highest_cap = watts(700);
  return kind;
}

/// Steps of 10 ms, one kind.
inline PlantSpec plant_spec(const DeviceKind& kind) {
  PlantSpec spec;
  spec.step_ns = 10 * kMillisecond;
  spec.seed = 11;
  spec.kinds = {kind};
  return spec;
}

inline void run_steps(Plant& plant, int steps) {
  for (int s = 0; s < steps; ++s) {
    plant.step();
  }
}

inline double draw_of(const Plant& plant, std::uint32_t device) {
  return static_cast<double>(plant.draw_watts()[device]);
}

}  // namespace perwatt::simulate
