// The rows of a split where sums cross branches: nodes that can be full, cross limits, guarantees.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "group_columns.hpp"
#include "tree_order.hpp"

#include "perwatt/allocate/problem.hpp"

namespace perwatt::allocate {

inline constexpr double kNoBound = std::numeric_limits<double>::max();

/// Bounds on the watts beyond the least ones.
struct GroupRow {
  double lower = -kNoBound;
  double upper = kNoBound;
};

struct GroupRows {
  GroupRows(const Problem& problem, const TreeOrder& order, const GroupColumns& columns);

  /// Of a watt of each of the column's devices: coefficients by row, in `into`, which is emptied.
  /// Adds the rows it looked at to `steps`.
  void entries_of(const GroupColumn& column, std::map<std::uint32_t, double>& into,
                  std::size_t& steps) const;

  [[nodiscard]] std::size_t place_of_parent(std::uint32_t device) const {
    return order.place_of[static_cast<std::size_t>(problem.devices()[device].parent)];
  }

  const Problem& problem;
  const TreeOrder& order;
  const GroupColumns& columns;
  std::vector<GroupRow> rows;
  std::vector<std::uint32_t> row_of_place;  // TreeOrder::kNone: the devices below cannot fill it
  std::vector<char> has_no_room;            // by place: least watts fill it
  std::uint32_t first_cross = 0;
  std::uint32_t first_guarantee = 0;
  std::vector<NodeIndex> overfull;              // least watts are above the limit
  std::vector<CrossLimitIndex> overfull_cross;  // the same

 private:
  void lay_out_nodes();
  void lay_out_cross_limits();
  void lay_out_guarantees();
  void add_device(std::uint32_t device, double times, std::map<std::uint32_t, double>& into,
                  std::size_t& steps) const;

  std::vector<std::uint32_t> row_from_;  // by place: the nearest with a row, itself or above
};

}  // namespace perwatt::allocate
