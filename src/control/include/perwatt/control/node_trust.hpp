// What becomes of a part of the site whose devices are not read.
//
// A node counts the devices below it (along all feeds, each once). When more than untrusted_ratio
// of them, and at least least_untrusted, have no trusted reading, raises below it are held in the
// same tick; when that lasts longer than fail_safe_after, its devices go to fail-safe. It ends when
// no more than clear_ratio (or fewer than least_untrusted) have been untrusted for
// hold_clear_after, or for clear_after where devices went to fail-safe.
//
// An order is for all devices below the node: a device obeys the strictest of the nodes above it
// (Controller::hold_raises, Controller::to_fail_safe). docs/model/control.md#readings-and-alarms
//
// Thread rule: one thread at a time. No clock, no allocation after construction.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::control {

struct NodeTrustRules {
  double untrusted_ratio = 0.2;  // 0 to 1
  int least_untrusted = 2;       // one sensor that broke holds no node
  Seconds fail_safe_after = seconds(30);
  double clear_ratio = 0.1;  // 0 to untrusted_ratio
  Seconds hold_clear_after = seconds(5);
  Seconds clear_after = seconds(30);
};

enum class NodeOrder : std::uint8_t { normal, hold_raises, to_fail_safe };

class NodeTrust {
 public:
  struct Change {
    topology::NodeIndex node;
    NodeOrder order;
  };

  /// All devices trusted. Throws Error(bad_input) for rules out of range.
  NodeTrust(const topology::PowerTree& tree, const NodeTrustRules& rules);

  /// Constant time when nothing changes, else linear in the nodes above.
  void set_trusted(topology::DeviceIndex device, bool is_trusted) noexcept;

  /// The orders that change now, by node. They hold until the next tick.
  [[nodiscard]] std::span<const Change> tick(Instant now) noexcept;

  [[nodiscard]] NodeOrder order(topology::NodeIndex node) const noexcept {
    return nodes_[node.value].order;
  }

  [[nodiscard]] std::uint32_t untrusted(topology::NodeIndex node) const noexcept {
    return nodes_[node.value].untrusted;
  }

  [[nodiscard]] std::uint32_t devices(topology::NodeIndex node) const noexcept {
    return nodes_[node.value].devices;
  }

 private:
  struct NodeState {
    std::uint32_t devices = 0;
    std::uint32_t untrusted = 0;
    NodeOrder order = NodeOrder::normal;
    std::optional<Instant> over_since;
    std::optional<Instant> clear_since;
  };

  [[nodiscard]] NodeOrder next_order(NodeState& node, Instant now) const noexcept;

  NodeTrustRules rules_;
  std::vector<NodeState> nodes_;
  std::vector<char> is_trusted_;           // by device
  std::vector<std::uint32_t> node_of_;     // by device
  std::vector<std::uint32_t> above_from_;  // by node, in above_; one more at the end
  std::vector<std::uint32_t> above_;       // the node itself and all above
  std::vector<Change> changes_;
};

}  // namespace perwatt::control
