// From specs to a tree: checks, order, indices. See PowerTree::build.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "spec_check.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/hash.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/topology/loads.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::topology {

class TreeBuilder {
 public:
  TreeBuilder(std::vector<NodeSpec> nodes, std::vector<DeviceSpec> devices)
      : nodes_{std::move(nodes)}, devices_{std::move(devices)} {}

  PowerTree build() {
    check_specs(nodes_, devices_);
    index_ids();
    resolve_parents();
    find_root();
    order_nodes();
    place_nodes();
    place_devices();
    place_ids();
    inherit_phases();
    check_paths();
    check_minima();
    return std::move(tree_);
  }

 private:
  static constexpr std::uint32_t kUnplaced = 0xffffffff;

  void index_ids();
  [[nodiscard]] std::uint32_t& slot_of(std::string_view id);
  [[nodiscard]] std::uint32_t node_named(const std::string& id, const std::string& of,
                                         const std::string& place);
  void resolve_parents();
  void find_root();
  void order_nodes();
  [[noreturn]] void complain_of_cycle() const;
  void place_nodes();
  [[nodiscard]] PowerTree::Lists lists_of_children(bool all_supplies) const;
  void place_devices();
  void place_ids();
  void inherit_phases();
  void check_paths();
  void check_minima() const;

  [[nodiscard]] const NodeSpec& spec(std::size_t placed) const { return nodes_[order_[placed]]; }

  [[nodiscard]] static std::string quoted(const std::string& id) {
    return "'" + printable(id) + "'";
  }

  std::vector<NodeSpec> nodes_;
  std::vector<DeviceSpec> devices_;
  std::vector<std::uint32_t> slots_;         // 1 + spec of a node, then of a device
  std::vector<std::uint32_t> parents_;       // specs, those of one node after the other
  std::vector<std::uint32_t> parent_begin_;  // by spec, into parents_
  std::vector<std::uint32_t> order_;         // spec of the n-th placed node
  std::vector<std::uint32_t> placed_;        // by spec
  std::vector<std::uint32_t> device_placed_;
  std::uint32_t root_ = 0;
  PowerTree tree_;
};

std::uint32_t& TreeBuilder::slot_of(std::string_view id) {
  for (std::size_t slot = fnv1a(id);; ++slot) {
    auto& entry = slots_[slot & (slots_.size() - 1)];
    if (entry == 0) {
      return entry;
    }
    const std::size_t at = entry - 1;
    if ((at < nodes_.size() ? nodes_[at].id : devices_[at - nodes_.size()].id) == id) {
      return entry;
    }
  }
}

void TreeBuilder::index_ids() {
  std::size_t size = 16;
  while (size < 2 * (nodes_.size() + devices_.size())) {
    size *= 2;
  }
  slots_.assign(size, 0);
  for (std::size_t i = 0; i < nodes_.size() + devices_.size(); ++i) {
    const bool is_node = i < nodes_.size();
    const auto& id = is_node ? nodes_[i].id : devices_[i - nodes_.size()].id;
    auto& slot = slot_of(id);
    if (slot != 0) {
      throw_bad_input("the id " + quoted(id) + " is given twice",
                      is_node ? nodes_[i].place : devices_[i - nodes_.size()].place,
                      "give every node and device an id of its own");
    }
    slot = static_cast<std::uint32_t>(i + 1);
  }
}

std::uint32_t TreeBuilder::node_named(const std::string& id, const std::string& of,
                                      const std::string& place) {
  const auto entry = slot_of(id);
  if (entry == 0 || entry > nodes_.size()) {
    throw_bad_input(quoted(of) + " is an orphan: its parent " + quoted(id) +
                        (entry == 0 ? " is not there" : " is a device"),
                    place, "name a node of this tree, or add one with that id");
  }
  return entry - 1;
}

void TreeBuilder::resolve_parents() {
  parent_begin_.reserve(nodes_.size() + 1);
  for (const auto& node : nodes_) {
    parent_begin_.push_back(static_cast<std::uint32_t>(parents_.size()));
    for (const auto& supply : node.supplies) {
      const auto parent = node_named(supply.parent, node.id, node.place);
      if (std::find(parents_.begin() + parent_begin_.back(), parents_.end(), parent) !=
          parents_.end()) {
        throw_bad_input(quoted(node.id) + " names its parent " + quoted(supply.parent) + " twice",
                        node.place, "add the two shares, or name the other feed");
      }
      parents_.push_back(parent);
    }
  }
  parent_begin_.push_back(static_cast<std::uint32_t>(parents_.size()));
}

void TreeBuilder::find_root() {
  std::vector<std::uint32_t> roots;
  for (std::uint32_t i = 0; i < nodes_.size() && roots.size() < 2; ++i) {
    if (nodes_[i].supplies.empty()) {
      roots.push_back(i);
    }
  }
  if (roots.size() == 2) {
    throw_bad_input("there are two roots, " + quoted(nodes_[roots[0]].id) + " and " +
                        quoted(nodes_[roots[1]].id),
                    nodes_[roots[1]].place,
                    "give one of them a parent; two utility services hang below one node of kind "
                    "\"site\"");
  }
  if (roots.empty()) {
    complain_of_cycle();
  }
  root_ = roots[0];
}

void TreeBuilder::order_nodes() {
  // Kahn's order, first in first out: every supply of a node before the node.
  std::vector<std::uint32_t> begin(nodes_.size() + 2, 0);
  for (const auto parent : parents_) {
    ++begin[parent + 2];
  }
  for (std::size_t i = 2; i < begin.size(); ++i) {
    begin[i] += begin[i - 1];
  }
  std::vector<std::uint32_t> fed(parents_.size());
  std::vector<std::uint32_t> waits(nodes_.size());
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    waits[i] = parent_begin_[i + 1] - parent_begin_[i];
    for (auto e = parent_begin_[i]; e < parent_begin_[i + 1]; ++e) {
      fed[begin[parents_[e] + 1]++] = i;
    }
  }
  placed_.assign(nodes_.size(), kUnplaced);
  order_.reserve(nodes_.size());
  order_.push_back(root_);
  for (std::size_t next = 0; next < order_.size(); ++next) {
    const auto at = order_[next];
    placed_[at] = static_cast<std::uint32_t>(next);
    for (auto e = begin[at]; e < begin[at + 1]; ++e) {
      if (--waits[fed[e]] == 0) {
        order_.push_back(fed[e]);
      }
    }
  }
  if (order_.size() < nodes_.size()) {
    complain_of_cycle();
  }
}

void TreeBuilder::complain_of_cycle() const {
  // Above every node that could not be placed stands another one: walking up closes a cycle.
  const auto is_placed = [&](std::uint32_t i) {
    return !placed_.empty() && placed_[i] != kUnplaced;
  };
  std::uint32_t at = 0;
  while (is_placed(at)) {
    ++at;
  }
  std::vector<std::uint32_t> step(nodes_.size(), 0);
  std::vector<std::uint32_t> path;
  while (step[at] == 0) {
    path.push_back(at);
    step[at] = static_cast<std::uint32_t>(path.size());
    const auto first = parents_.begin() + parent_begin_[at];
    const auto last = parents_.begin() + parent_begin_[at + 1];
    at = *std::find_if(first, last, [&](std::uint32_t parent) { return !is_placed(parent); });
  }
  path.erase(path.begin(), path.begin() + (step[at] - 1));
  constexpr std::size_t kMostNamed = 6;
  std::string cycle;
  for (std::size_t i = 0; i < std::min(path.size(), kMostNamed); ++i) {
    cycle += quoted(nodes_[path[i]].id) + " below ";
  }
  if (path.size() > kMostNamed) {
    cycle += "… (" + std::to_string(path.size()) + " nodes) below ";
  }
  throw_bad_input("a cycle: " + cycle + quoted(nodes_[at].id), nodes_[at].place,
                  "give one of them a parent nearer to the root");
}

void TreeBuilder::place_nodes() {
  tree_.nodes_.reserve(nodes_.size());
  for (const auto i : order_) {
    auto& from = nodes_[i];
    Node node;
    node.id = from.id;
    node.kind = from.kind;
    for (std::size_t s = 0; s < from.supplies.size(); ++s) {
      node.supplies.push_back(
          {{placed_[parents_[parent_begin_[i] + s]]}, from.supplies[s].share_ratio});
    }
    node.limits = std::move(from.limits);
    node.factor = from.factor;
    node.fixed = from.fixed;
    node.feed = std::move(from.feed);
    node.phase = from.phase;
    node.meter = from.meter;
    tree_.has_feeds_ = tree_.has_feeds_ || node.supplies.size() > 1;
    for (const auto& limit : node.limits) {
      tree_.has_phase_limits_ = tree_.has_phase_limits_ || limit.phase.has_value();
    }
    tree_.nodes_.push_back(std::move(node));
  }
  tree_.children_ = lists_of_children(false);
  tree_.fed_ = lists_of_children(true);
}

PowerTree::Lists TreeBuilder::lists_of_children(bool all_supplies) const {
  // Siblings in the order of their specs, which is that of the file.
  PowerTree::Lists lists;
  lists.begin.assign(nodes_.size() + 2, 0);
  const auto count = [&](const Node& node) {
    return all_supplies ? node.supplies.size() : std::min<std::size_t>(1, node.supplies.size());
  };
  for (const auto& node : tree_.nodes_) {
    for (std::size_t s = 0; s < count(node); ++s) {
      ++lists.begin[node.supplies[s].parent.value + 2];
    }
  }
  for (std::size_t i = 2; i < lists.begin.size(); ++i) {
    lists.begin[i] += lists.begin[i - 1];
  }
  lists.items.resize(lists.begin.back());
  for (const auto n : placed_) {
    const auto& node = tree_.nodes_[n];
    for (std::size_t s = 0; s < count(node); ++s) {
      lists.items[lists.begin[node.supplies[s].parent.value + 1]++] = {n};
    }
  }
  lists.begin.pop_back();
  return lists;
}

void TreeBuilder::place_devices() {
  std::vector<std::uint32_t> parents;
  parents.reserve(devices_.size());
  auto& begin = tree_.device_begin_;
  begin.assign(nodes_.size() + 2, 0);
  for (const auto& device : devices_) {
    parents.push_back(placed_[node_named(device.parent, device.id, device.place)]);
    ++begin[parents.back() + 2];
  }
  for (std::size_t i = 2; i < begin.size(); ++i) {
    begin[i] += begin[i - 1];
  }
  tree_.devices_.resize(devices_.size());
  device_placed_.resize(devices_.size());
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    auto& from = devices_[i];
    device_placed_[i] = begin[parents[i] + 1]++;
    tree_.devices_[device_placed_[i]] = {from.id,
                                         {parents[i]},
                                         from.min,
                                         from.max,
                                         from.guaranteed.value_or(from.min),
                                         from.fail_safe,
                                         std::move(from.vendor),
                                         std::move(from.accelerator),
                                         std::move(from.curve)};
  }
  begin.pop_back();
}

void TreeBuilder::place_ids() {
  for (auto& slot : slots_) {
    if (slot != 0) {
      const std::size_t at = slot - 1;
      slot = 1 + (at < nodes_.size() ? placed_[at]
                                     : static_cast<std::uint32_t>(nodes_.size()) +
                                           device_placed_[at - nodes_.size()]);
    }
  }
  tree_.slots_ = std::move(slots_);
}

void TreeBuilder::inherit_phases() {
  for (std::size_t n = 0; n < tree_.nodes_.size(); ++n) {
    auto& node = tree_.nodes_[n];
    for (const auto& supply : node.supplies) {
      const auto& parent = tree_.nodes_[supply.parent.value];
      if (parent.phase && node.phase && *parent.phase != *node.phase) {
        throw_bad_input(quoted(node.id) + " is on " + std::string{to_string(*node.phase)} +
                            ", but its parent " + quoted(parent.id) + " on " +
                            std::string{to_string(*parent.phase)},
                        spec(n).place, "give both the same phase");
      }
      if (parent.phase) {
        node.phase = parent.phase;
      }
    }
    for (const auto& limit : node.limits) {
      if (limit.phase && node.phase && *limit.phase != *node.phase) {
        throw_bad_input(quoted(node.id) + " is on " + std::string{to_string(*node.phase)} +
                            ", but has a limit of " + std::string{to_string(*limit.phase)},
                        spec(n).place, "drop the phase of the limit");
      }
    }
  }
}

void TreeBuilder::check_paths() {
  std::vector<double> factor(tree_.nodes_.size(), 0);
  std::vector<std::uint32_t> depth(tree_.nodes_.size(), 1);
  factor[0] = 1;
  for (std::size_t n = 0; n < tree_.nodes_.size(); ++n) {
    const auto& node = tree_.nodes_[n];
    for (const auto& supply : node.supplies) {
      const auto above = supply.parent.value;
      factor[n] += supply.share_ratio * tree_.nodes_[above].factor * factor[above];
    }
    if (!node.supplies.empty()) {
      depth[n] = depth[node.supplies[0].parent.value] + 1;
    }
    tree_.depth_ = std::max<std::size_t>(tree_.depth_, depth[n]);
    if (factor[n] * node.factor > kMostPathFactor) {
      throw_bad_input("the losses from the root down to " + quoted(node.id) + " multiply to " +
                          shortest(factor[n] * node.factor),
                      spec(n).place,
                      "correct an efficiency above it: they may multiply to " +
                          shortest(kMostPathFactor) + " at most");
    }
  }
}

void TreeBuilder::check_minima() const {
  const auto loads = loads_at(tree_, device_draws(tree_, DrawLevel::minimum));
  const auto passed = overloads(tree_, loads);
  if (passed.empty()) {
    return;
  }
  const auto& nearest = passed.back();  // to the devices: nodes are stored parents first
  const auto& node = tree_.node(nearest.node);
  const auto& limit = node.limits[nearest.limit];
  throw_bad_input(
      quoted(node.id) + " draws " + significant(in_watts(nearest.load), 6) +
          " W while every device below it is at its minimum, with losses, above its limit of " +
          significant(in_watts(limit.power), 6) + " W (" + std::string{to_string(limit.kind)} +
          (limit.phase ? ", " + std::string{to_string(*limit.phase)} : "") + ")",
      spec(nearest.node.value).place, "raise the limit, or lower minima or the number of devices");
}

PowerTree PowerTree::build(std::vector<NodeSpec> nodes, std::vector<DeviceSpec> devices) {
  return TreeBuilder{std::move(nodes), std::move(devices)}.build();
}

}  // namespace perwatt::topology
