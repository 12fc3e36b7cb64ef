// Trees that several tests build.
#pragma once

#include <string>
#include <vector>

#include "perwatt/topology/power_tree.hpp"

namespace perwatt::topology {

inline NodeSpec node_spec(const std::string& id, const std::string& parent) {
  NodeSpec spec;
  spec.id = id;
  if (!parent.empty()) {
    spec.supplies = {{parent, 1}};
  }
  spec.place = "site.toml: " + id;
  return spec;
}

inline NodeSpec node_spec(const std::string& id, const std::string& parent, double limit_watts) {
  auto spec = node_spec(id, parent);
  spec.limits = {{LimitKind::breaker, watts(limit_watts), {}, std::nullopt, std::nullopt}};
  return spec;
}

inline DeviceSpec device_spec(const std::string& id, const std::string& parent, double min_watts,
                              double max_watts) {
  DeviceSpec spec;
  spec.id = id;
  spec.parent = parent;
  spec.min = watts(min_watts);
  spec.max = watts(max_watts);
  spec.place = "site.toml: " + id;
  return spec;
}

}  // namespace perwatt::topology
