// A power tree from the messages of a building management system, as the DSX Exchange BMS schema
// has them (facts: data/schemas/dsx-bms.yaml 1.x; topics BMS/v1/PUB/{Metadata|Value}/...).
//
// One message per line: {"topic": "BMS/v1/PUB/...", "payload": {...}}. PowerMeter and Rack points
// make the tree: a meter's servesId names its children, CurrentLimit its limit, ActivePower and
// RackPower the readings. Everything else is passed over. See docs/reference/topology.md.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::topology {

struct BmsReading {
  std::string id;
  Seconds time;  // since 1970-01-01 UTC
  Watts power;
};

struct BmsSite {
  PowerTree tree;
  std::vector<BmsReading> readings;    // in the order of the file; of quality 1 alone
  std::vector<std::string> untrusted;  // "meter pdu-1: ActivePower": values of another quality
  std::size_t passed_over = 0;         // messages of other objects and points
};

/// `name` stands for the file in messages. A current limit in amperes is sqrt(3) times the line
/// voltage of the same meter times its power factor (1 when not told) in watts.
///
/// Throws Error(bad_input), naming line and meter, for text that is no such message, a unit it does
/// not know, a limit in amperes without a trusted voltage, a limit without a trusted value, an
/// object served that no message describes, and whatever PowerTree::build refuses.
[[nodiscard]] BmsSite read_bms(std::string_view text, const std::string& name);

}  // namespace perwatt::topology
