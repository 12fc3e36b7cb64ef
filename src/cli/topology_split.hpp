// The best split of watts over a site's tree, where its devices have power curves.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "topology_input.hpp"
#include <nlohmann/json.hpp>

#include "perwatt/allocate/site_curves.hpp"
#include "perwatt/allocate/site_split.hpp"
#include "perwatt/topology/outline.hpp"

namespace perwatt::cli {

struct TopologySplit {
  allocate::SiteCurves curves;
  allocate::SiteSplit split;
  topology::FiguresBeside beside;  // caps and prices, empty where infeasible

  /// Per node or device a column of its own: only of a split that is there.
  [[nodiscard]] bool has_figures() const { return split.status == allocate::Status::optimal; }
};

/// Of SITE.toml, with the files beside it. Throws as read_site_curves does.
[[nodiscard]] allocate::SiteCurves read_curves(const TopologyFiles& files,
                                               const topology::PowerTree& tree);

/// Nothing when no device has a curve. Throws as read_site_curves and split_site do.
[[nodiscard]] std::optional<TopologySplit> split_of(const TopologyFiles& files,
                                                    const topology::PowerTree& tree);

/// The settings of a line's devices and how many have each, most first; empty where any watts can
/// be set. REQUIRES: a line of devices, has_figures().
[[nodiscard]] std::vector<std::pair<std::string, std::size_t>> settings_of(
    const TopologySplit& split, const topology::OutlineLine& line);

/// What it makes, above the table.
[[nodiscard]] std::string split_text(const topology::PowerTree& tree, const TopologySplit& split);

[[nodiscard]] nlohmann::ordered_json split_json(const topology::PowerTree& tree,
                                                const TopologySplit& split);

}  // namespace perwatt::cli
