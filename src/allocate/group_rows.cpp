#include "group_rows.hpp"

#include <algorithm>
#include <cmath>

namespace perwatt::allocate {

GroupRows::GroupRows(const Problem& of, const TreeOrder& in_order, const GroupColumns& of_columns)
    : problem{of}, order{in_order}, columns{of_columns} {
  lay_out_nodes();
  lay_out_cross_limits();
  lay_out_guarantees();
  row_from_.assign(row_of_place.size(), TreeOrder::kNone);
  for (std::size_t place = row_from_.size(); place-- > 0;) {
    if (row_of_place[place] != TreeOrder::kNone) {
      row_from_[place] = static_cast<std::uint32_t>(place);
    } else if (order.parent[place] != TreeOrder::kNone) {
      row_from_[place] = row_from_[order.parent[place]];
    }
  }
}

/// A row for each node that the devices below could fill.
void GroupRows::lay_out_nodes() {
  const std::size_t count = order.node_at.size();
  std::vector<double> least(count, 0.0);
  std::vector<double> most(count, 0.0);
  for (const auto& column : columns.columns) {
    for (std::size_t m = 0; m < column.member_count; ++m) {
      most[place_of_parent(columns.members[column.first_member + m])] += column.watts;
    }
  }
  for (std::uint32_t d = 0; d < columns.least_watts.size(); ++d) {
    least[place_of_parent(d)] += columns.least_watts[d];
  }
  row_of_place.assign(count, TreeOrder::kNone);
  has_no_room.assign(count, 0);
  for (std::size_t place = 0; place < count; ++place) {
    const double limit = problem.nodes()[order.node_at[place]].limit.in_base();
    const double room = limit - least[place];
    if (room < -limit * kSumRounding) {
      overfull.push_back(NodeIndex{order.node_at[place]});
    }
    has_no_room[place] = std::isfinite(limit) && room <= limit * kMetExactly ? 1 : 0;
    // Limits that are met together with all those below count too: they take the gain from these.
    if (std::isfinite(limit) && most[place] >= room - limit * kSumRounding) {
      row_of_place[place] = static_cast<std::uint32_t>(rows.size());
      most[place] = has_no_room[place] ? 0.0 : room;
      rows.push_back({-kNoBound, most[place]});
    }
    if (order.parent[place] != TreeOrder::kNone) {
      least[order.parent[place]] += least[place];
      most[order.parent[place]] += most[place];
    }
  }
}

void GroupRows::lay_out_cross_limits() {
  first_cross = static_cast<std::uint32_t>(rows.size());
  const auto limits = problem.cross_limits();
  for (std::uint32_t k = 0; k < limits.size(); ++k) {
    const double limit = limits[k].limit.in_base();
    double room = limit;
    for (const auto& [device, ratio] : limits[k].shares) {
      room -= ratio * columns.least_watts[static_cast<std::size_t>(device)];
    }
    if (room < -limit * kSumRounding) {
      overfull_cross.push_back(CrossLimitIndex{k});
    }
    const bool has_room = room > limit * kMetExactly;
    rows.push_back({-kNoBound, std::isinf(limit) ? kNoBound : has_room ? room : 0.0});
  }
}

void GroupRows::lay_out_guarantees() {
  first_guarantee = static_cast<std::uint32_t>(rows.size());
  for (const Watts watts : problem.guarantees()) {
    rows.push_back({watts.in_base(), kNoBound});
  }
  for (std::uint32_t d = 0; d < columns.least_watts.size(); ++d) {
    if (const auto guarantee = problem.devices()[d].terms.guarantee) {
      rows[first_guarantee + static_cast<std::size_t>(*guarantee)].lower -= columns.least_watts[d];
    }
  }
}

void GroupRows::add_device(std::uint32_t device, double times,
                           std::map<std::uint32_t, double>& into, std::size_t& steps) const {
  for (auto place = row_from_[place_of_parent(device)]; place != TreeOrder::kNone;) {
    into[row_of_place[place]] += times;
    ++steps;
    const auto parent = order.parent[place];
    place = parent == TreeOrder::kNone ? TreeOrder::kNone : row_from_[parent];
  }
  for (const auto& [cross, ratio] : columns.crossed[device]) {
    into[first_cross + cross] += ratio * times;
    ++steps;
  }
  if (const auto guarantee = problem.devices()[device].terms.guarantee) {
    into[first_guarantee + static_cast<std::uint32_t>(*guarantee)] += times;
  }
}

void GroupRows::entries_of(const GroupColumn& column, std::map<std::uint32_t, double>& into,
                           std::size_t& steps) const {
  into.clear();
  if (!column.is_cap_group) {  // equal devices have equal rows
    add_device(columns.members[column.first_member], column.member_count, into, steps);
    return;
  }
  for (std::size_t m = 0; m < column.member_count; ++m) {
    add_device(columns.members[column.first_member + m], 1.0, into, steps);
  }
}

}  // namespace perwatt::allocate
