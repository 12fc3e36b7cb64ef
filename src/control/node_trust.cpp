#include "perwatt/control/node_trust.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/topology/root_units.hpp"

namespace perwatt::control {

NodeTrust::NodeTrust(const topology::PowerTree& tree, const NodeTrustRules& rules)
    : rules_{rules}, nodes_(tree.nodes().size()), is_trusted_(tree.devices().size(), 1) {
  if (!(rules.untrusted_ratio >= 0 && rules.untrusted_ratio <= 1 && rules.clear_ratio >= 0 &&
        rules.clear_ratio <= rules.untrusted_ratio && rules.least_untrusted >= 1)) {
    throw_bad_input("a rule of untrusted nodes is out of range", "rules",
                    "give 0 <= clear_ratio <= untrusted_ratio <= 1 and least_untrusted >= 1");
  }
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    above_from_.push_back(static_cast<std::uint32_t>(above_.size()));
    const auto range = tree.devices_of({n});
    if (range.first.value == range.end.value) {
      continue;
    }
    for (const auto& above : topology::ancestors_of(tree, {n})) {
      above_.push_back(above.node.value);
      nodes_[above.node.value].devices += range.end.value - range.first.value;
    }
  }
  above_from_.push_back(static_cast<std::uint32_t>(above_.size()));
  for (const auto& device : tree.devices()) {
    node_of_.push_back(device.parent.value);
  }
  changes_.reserve(nodes_.size());
}

void NodeTrust::set_trusted(topology::DeviceIndex device, bool is_trusted) noexcept {
  if ((is_trusted_[device.value] != 0) == is_trusted) {
    return;
  }
  is_trusted_[device.value] = is_trusted ? 1 : 0;
  const auto node = node_of_[device.value];
  for (auto i = above_from_[node]; i < above_from_[node + 1]; ++i) {
    auto& untrusted = nodes_[above_[i]].untrusted;
    untrusted = is_trusted ? untrusted - 1 : untrusted + 1;
  }
}

NodeOrder NodeTrust::next_order(NodeState& node, Instant now) const noexcept {
  const bool is_few = node.untrusted < static_cast<std::uint32_t>(rules_.least_untrusted);
  const bool is_over = !is_few && node.untrusted > rules_.untrusted_ratio * node.devices;
  const bool is_clear = is_few || node.untrusted <= rules_.clear_ratio * node.devices;
  node.over_since = is_over ? std::optional{node.over_since.value_or(now)} : std::nullopt;
  node.clear_since = is_clear ? std::optional{node.clear_since.value_or(now)} : std::nullopt;
  if (is_over) {
    const bool is_long = now - *node.over_since > rules_.fail_safe_after;
    return is_long || node.order == NodeOrder::to_fail_safe ? NodeOrder::to_fail_safe
                                                            : NodeOrder::hold_raises;
  }
  const Seconds wait =
      node.order == NodeOrder::to_fail_safe ? rules_.clear_after : rules_.hold_clear_after;
  return is_clear && now - *node.clear_since >= wait ? NodeOrder::normal : node.order;
}

std::span<const NodeTrust::Change> NodeTrust::tick(Instant now) noexcept {
  changes_.clear();
  for (std::uint32_t n = 0; n < nodes_.size(); ++n) {
    const auto order = next_order(nodes_[n], now);
    if (order != nodes_[n].order) {
      nodes_[n].order = order;
      changes_.push_back({{n}, order});
    }
  }
  return changes_;
}

}  // namespace perwatt::control
