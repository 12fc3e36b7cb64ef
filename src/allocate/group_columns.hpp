// What can be chosen where groups cross branches: pieces of single devices' curves, and steps of
// the one cap of a group.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "tree_order.hpp"

#include "perwatt/allocate/problem.hpp"

namespace perwatt::allocate {

/// So many watts to each of a set of devices, worth `slopes` per watt by class.
struct GroupColumn {
  double watts = 0;                // of one device, at most
  double start = 0;                // watts of it in the split without groups
  std::uint32_t first_member = 0;  // the devices that get it, in GroupColumns::members
  std::uint32_t member_count = 0;
  bool is_cap_group = false;
  std::uint32_t first_worth = 0;  // in GroupColumns::worths
  std::uint32_t worth_count = 0;
};

struct GroupColumns {
  /// Columns of all devices, filled in the order of their curves up to `device_watts`. Devices side
  /// by side that are equal in all that matters share columns: with concave curves they do best
  /// with equal watts.
  GroupColumns(const Problem& problem, const std::vector<Watts>& device_watts);

  std::vector<GroupColumn> columns;
  std::vector<std::uint32_t> members;               // DeviceIndex
  std::vector<std::pair<Priority, double>> worths;  // class, value per watt of one device
  std::vector<double> least_watts;                  // by DeviceIndex, of a group's own least cap
  /// By DeviceIndex: cross limits by number, and what a watt counts there.
  std::vector<std::vector<std::pair<std::uint32_t, double>>> crossed;
  double least_value = 0;
  std::vector<Priority> classes;     // highest first; one of 0 under Policy::value
  std::vector<CapGroupIndex> split;  // groups without a cap that suits all members
};

}  // namespace perwatt::allocate
