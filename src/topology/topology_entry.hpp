// One [[topology.node]] or [[topology.device]] as it is written, before repetition.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "perwatt/base/config.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::topology {

struct TopologyEntry {
  std::string id;
  std::vector<SupplySpec> parents;          // names of entries or ids; none for the root
  std::optional<std::uint32_t> count;       // ids end in -1, -2, … when given
  std::variant<NodeSpec, DeviceSpec> made;  // without id and parents

  [[nodiscard]] const std::string& place() const;
};

[[nodiscard]] TopologyEntry read_node_entry(const ConfigTable& table);
[[nodiscard]] TopologyEntry read_device_entry(const ConfigTable& table);

}  // namespace perwatt::topology
