// What people order of a controller while it runs.
#pragma once

#include <cstdint>

#include "perwatt/topology/power_tree.hpp"

namespace perwatt::simulate {

enum class OrderKind : std::uint8_t {
  maintain,  // a node is in maintenance, or no more
  release    // control of the whole site is given up, or taken again
};

struct SiteOrder {
  OrderKind kind = OrderKind::maintain;
  topology::NodeIndex node;  // of maintain, in the tree as it is under the policy
  bool is_on = true;
};

}  // namespace perwatt::simulate
