// The answers of perwatt topology for machines: docs/reference/topology.md.
#pragma once

#include "topology_input.hpp"
#include "topology_split.hpp"
#include <nlohmann/json.hpp>

#include "perwatt/topology/site_check.hpp"

namespace perwatt::cli {

/// `split` may be null.
[[nodiscard]] nlohmann::ordered_json tree_json(const TopologyInput& input, bool all,
                                               const TopologySplit* split);

[[nodiscard]] nlohmann::ordered_json check_json(const TopologyInput& input,
                                                const topology::SiteCheck& check);

}  // namespace perwatt::cli
