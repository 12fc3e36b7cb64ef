// Readings of the meters of a tree, and whether they agree with one another as the tree has them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/topology/loads.hpp"
#include "perwatt/topology/power_tree.hpp"
#include "perwatt/topology/read_bms.hpp"

namespace perwatt::topology {

/// Of one node or device.
struct ReadingSeries {
  std::vector<Seconds> times;  // ascending
  std::vector<Watts> powers;   // as many

  /// Nothing when it is empty.
  [[nodiscard]] std::optional<Watts> mean() const;
};

/// By index. A node's readings are those of its meter, on its side (Node::meter, else its supply).
struct Readings {
  std::vector<ReadingSeries> nodes;
  std::vector<ReadingSeries> devices;
};

/// A CSV table with the columns time (seconds), id and watts, in any order of rows; other columns
/// are left alone. Throws Error(bad_input) with the line for a number that is none or not finite, a
/// device or node that the tree does not have, and a table without rows.
[[nodiscard]] Readings read_readings(std::string_view text, const std::string& name,
                                     const PowerTree& tree);

/// The readings that came with the messages of a BMS.
[[nodiscard]] Readings readings_of(const BmsSite& site);

/// The mean supply of every node: by its own meter, else from what hangs below it. Nothing where a
/// leaf below has no reading.
struct MeteredSupply {
  std::vector<std::optional<Watts>> supply;      // by node index
  std::vector<std::optional<Watts>> from_below;  // what its children and devices add up to
};

[[nodiscard]] MeteredSupply metered_supply(const PowerTree& tree, const Readings& readings);

/// One meter against the sum of what it feeds.
struct MeterFinding {
  NodeIndex node;
  Watts reading;   // mean supply by its meter
  Watts expected;  // fixed + factor * (children by their shares + devices)
  bool agrees = false;
  bool assumes_shares = false;  // a child has several feeds and was split as declared

  [[nodiscard]] Watts residual() const { return reading - expected; }
};

/// Every metered node whose children are all known, in the order of nodes. A meter agrees when its
/// residual is within `tolerance_ratio` of the larger of reading and expected.
[[nodiscard]] std::vector<MeterFinding> check_meters(const PowerTree& tree,
                                                     const Readings& readings,
                                                     double tolerance_ratio);

/// What is drawn directly at each node (by node index), from readings: at a leaf its supply without
/// its losses; elsewhere the devices' own readings.
struct MeteredLoads {
  std::vector<Watts> own_loads;      // meaningful without `unknown`
  std::optional<NodeIndex> unknown;  // a leaf without a reading
};

[[nodiscard]] MeteredLoads metered_loads(const PowerTree& tree, const Readings& readings);

}  // namespace perwatt::topology
