// The tree as lines for people: parents above their children, alike siblings as one line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/topology/loads.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::topology {

/// What is drawn of each node and device, by index; nothing where nobody knows.
struct KnownDraws {
  std::vector<std::optional<Watts>> nodes;    // supplies
  std::vector<std::optional<Watts>> devices;  // draws
};

/// One figure more of each node and device, by index: siblings are alike only where these agree
/// too, to seven digits.
struct FiguresBeside {
  std::vector<double> nodes;
  std::vector<double> devices;
};

/// One line: a node, or devices of one node. With `alike` > 1 it stands for that many siblings in a
/// row that are the same but for their ids, with all below them, draws included.
struct OutlineLine {
  std::size_t depth = 0;  // 0: the root
  NodeIndex node;         // the first of the alike, or the parent of the devices
  std::optional<DeviceIndex> device;
  std::string id;       // the last part: what the parent's id and a "/" stand before is left out
  std::string last_id;  // of the last of the alike; empty for one
  std::size_t alike = 1;
};

/// The figures beside a line; of one of the alike.
struct LineFigures {
  std::optional<Watts> limit;     // the least lasting one of the node; the highest cap of a device
  const Limit* set_by = nullptr;  // which of the node's limits that is; null for devices
  std::optional<Watts> draw;
  Watts at_maximum;                 // supply, or draw, with every device at its maximum
  std::optional<Watts> headroom;    // limit - draw
  std::optional<double> use_ratio;  // draw, or where unknown at_maximum, over limit
};

/// `maximum` are the loads of DrawLevel::maximum.
[[nodiscard]] LineFigures figures_of(const PowerTree& tree, const NodeLoads& maximum,
                                     const KnownDraws& draws, const OutlineLine& line);

/// From the root down along first supplies. `all` gives every node and device a line of its own.
/// Linear but for the sorting of attributes; no recursion.
[[nodiscard]] std::vector<OutlineLine> outline(const PowerTree& tree, const KnownDraws& draws,
                                               bool all, const FiguresBeside* beside = nullptr);

}  // namespace perwatt::topology
