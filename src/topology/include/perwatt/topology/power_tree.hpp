// The power tree of a site: every limit is one of a node's, every watt is a device's or a loss.
//
// Two sides of a node. Its *load* is what flows out of it: the draw of its own devices and of the
// nodes below it. Its *supply* is what flows into it, and what its limits bound:
//
//     supply = fixed + factor * load          (factor >= 1, fixed >= 0)
//
// `factor` is the proportional loss (1 / efficiency), `fixed` whatever flows whatever the load is:
// no-load loss of a transformer, the host, fans and switches beside the devices of a node.
//
// Feeds. A node may take its supply from several parents, each a fixed share of it in normal
// operation (A/B feeds). When parents fail, the others carry everything in proportion to their
// shares (feed_loss.hpp). The first parent named is the node's place in the tree that people see.
//
// A PowerTree is a value: immutable, safe to read from any thread. Nodes are stored parents before
// children (every parent, also the second feed), devices in the order of their nodes, so that one
// pass over an index range is a walk down or up. Nothing here recurses: a chain of a million nodes
// is as good as a bush. Format and formulas: docs/reference/topology.md.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"

namespace perwatt::topology {

/// Position of a node in its tree; the root is 0, a parent is below its children.
struct NodeIndex {
  std::uint32_t value = 0;
  auto operator<=>(const NodeIndex&) const = default;
};

/// Position of a device in its tree.
struct DeviceIndex {
  std::uint32_t value = 0;
  auto operator<=>(const DeviceIndex&) const = default;
};

enum class NodeKind { site, utility, switchboard, ups, pdu, row, rack, node, other };

/// "utility", …
[[nodiscard]] std::string_view to_string(NodeKind kind);
[[nodiscard]] std::optional<NodeKind> parse_node_kind(std::string_view text);

/// Of a three-phase system. A node of one phase has everything below it on that phase; a node
/// without one spreads its supply evenly over the phases of what feeds it.
enum class Phase { l1, l2, l3 };

inline constexpr std::array kPhases{Phase::l1, Phase::l2, Phase::l3};

/// "L1", …
[[nodiscard]] std::string_view to_string(Phase phase);

/// L1, L2, L3, and the A, B, C and 1, 2, 3 of the DSX BMS schema.
[[nodiscard]] std::optional<Phase> parse_phase(std::string_view text);

/// What sets a limit.
enum class LimitKind { breaker, ups, demand, contract, cooling, other };

/// "breaker", …
[[nodiscard]] std::string_view to_string(LimitKind kind);
[[nodiscard]] std::optional<LimitKind> parse_limit_kind(std::string_view text);

/// How long a multiple of the rating may flow.
struct TripPoint {
  double ratio = 0;  // supply / rating, above 1
  Seconds time;      // above 0
};

/// A time-current curve. Without points it is the inverse-time law of the breakers of Facebook's
/// Dynamo (Wu et al., ISCA 2016: 10 % over for 17 min, 40 % over for 1 min), fitted:
///
///     time = 55.6 s / (ratio^2 - 1)^1.864
///
/// With points: straight between them in log(ratio^2 - 1) and log(time); the first point's time
/// for all that is nearer to the rating, at once for all that is beyond the last.
struct TripCurve {
  std::vector<TripPoint> points;  // ratios ascending, times not ascending

  /// Until it trips, or nothing when it never does (ratio <= 1). Monotone in `ratio`.
  [[nodiscard]] std::optional<Seconds> time_to_trip(double ratio) const;
};

/// Bounds the supply of a node, or of one phase of it.
struct Limit {
  LimitKind kind = LimitKind::other;
  Watts power;                     // above 0; the mean supply over any `window`
  Seconds window;                  // 0: at every instant
  std::optional<TripCurve> curve;  // supply above `power` that it stands for a while
  std::optional<Phase> phase;      // bounds this phase alone; else the sum of all
};

/// Where a node's meter sits: before its losses or behind them.
enum class MeterSide { supply, load };

[[nodiscard]] std::string_view to_string(MeterSide side);
[[nodiscard]] std::optional<MeterSide> parse_meter_side(std::string_view text);

/// One parent of a node and the part of the node's supply it carries while all parents are up.
struct Supply {
  NodeIndex parent;
  double share_ratio = 1;  // above 0; those of a node sum to 1
};

struct Node {
  std::string id;  // unique among nodes and devices
  NodeKind kind = NodeKind::other;
  std::vector<Supply> supplies;  // none: the root; the first is its place in the tree
  std::vector<Limit> limits;
  double factor = 1;           // supply per watt of load, without `fixed`; >= 1
  Watts fixed;                 // >= 0
  std::string feed;            // "A", "B"; empty when it belongs to none
  std::optional<Phase> phase;  // as given or inherited from its parents
  std::optional<MeterSide> meter;

  /// The least limit of the whole node (not of one phase), if it has any: what a supply that never
  /// ends must stay within, whatever the windows and curves.
  [[nodiscard]] std::optional<Watts> steady_limit() const;
};

/// A leaf that can be told how much to draw.
struct Device {
  std::string id;  // unique among nodes and devices
  NodeIndex parent;
  Watts min;                       // the lowest cap that can be set; 0 <= min
  Watts max;                       // the highest; min <= max
  Watts guaranteed;                // never capped below; min <= guaranteed <= max
  std::optional<Watts> fail_safe;  // the cap it falls back to alone; min <= it <= max
  std::string vendor;              // empty when not told
  std::string accelerator;         // empty when not told
  std::string curve;               // id of its power curve; empty: it is not steered
};

/// Half-open range of devices.
struct DeviceRange {
  DeviceIndex first;
  DeviceIndex end;
};

struct SupplySpec {
  std::string parent;
  double share_ratio = 1;
};

/// A node as it is written. `place` ("file:line: key") stands in messages about it.
struct NodeSpec {
  std::string id;
  NodeKind kind = NodeKind::other;
  std::vector<SupplySpec> supplies;
  std::vector<Limit> limits;
  double factor = 1;
  Watts fixed;
  std::string feed;
  std::optional<Phase> phase;
  std::optional<MeterSide> meter;
  std::string place;
};

struct DeviceSpec {
  std::string id;
  std::string parent;
  Watts min;
  Watts max;
  std::optional<Watts> guaranteed;  // else min
  std::optional<Watts> fail_safe;
  std::string vendor;
  std::string accelerator;
  std::string curve;
  std::string place;
};

inline constexpr std::size_t kMostNodes = 4'000'000;
inline constexpr std::size_t kMostFeeds = 16;  // of one node
inline constexpr std::size_t kMostDevices = 8'000'000;
/// Losses from a device to the root may not multiply to more: beyond lies a mistyped efficiency.
inline constexpr double kMostPathFactor = 1000;

class PowerTree {
 public:
  /// Checks everything and orders it; linear in nodes, devices and supplies. The order of the specs
  /// decides the order among siblings and nothing else.
  ///
  /// Throws Error(bad_input) with the place, the node and a remedy for: no node, two roots, a cycle
  /// (naming nodes on it), an unknown parent, an id twice, a number that is negative or not finite,
  /// a factor below 1, a limit of 0, shares that do not sum to 1, phases that contradict, a device
  /// whose min, guaranteed, fail_safe and max are not in order, and devices at their minima that,
  /// with all losses, already pass a limit (the node nearest to the devices is named).
  [[nodiscard]] static PowerTree build(std::vector<NodeSpec> nodes,
                                       std::vector<DeviceSpec> devices);

  [[nodiscard]] std::span<const Node> nodes() const { return nodes_; }

  [[nodiscard]] std::span<const Device> devices() const { return devices_; }

  [[nodiscard]] const Node& node(NodeIndex n) const { return nodes_[n.value]; }

  [[nodiscard]] const Device& device(DeviceIndex d) const { return devices_[d.value]; }

  /// The place in the tree that people see: the first supply. REQUIRES: `n` is not the root.
  [[nodiscard]] NodeIndex parent(NodeIndex n) const { return nodes_[n.value].supplies[0].parent; }

  /// Nodes whose first supply is `n`, in the order they were written.
  [[nodiscard]] std::span<const NodeIndex> children(NodeIndex n) const;

  /// Nodes that `n` supplies, be it in part.
  [[nodiscard]] std::span<const NodeIndex> fed_by(NodeIndex n) const;

  /// Devices directly on `n`.
  [[nodiscard]] DeviceRange devices_of(NodeIndex n) const {
    return {{device_begin_[n.value]}, {device_begin_[n.value + 1]}};
  }

  [[nodiscard]] std::optional<NodeIndex> find_node(std::string_view id) const;
  [[nodiscard]] std::optional<DeviceIndex> find_device(std::string_view id) const;

  /// Some node has two parents: the tree is a directed graph without cycles.
  [[nodiscard]] bool has_feeds() const { return has_feeds_; }

  /// Some limit bounds one phase.
  [[nodiscard]] bool has_phase_limits() const { return has_phase_limits_; }

  /// Nodes on the longest way from the root to a leaf along first supplies.
  [[nodiscard]] std::size_t depth() const { return depth_; }

 private:
  friend class TreeBuilder;

  PowerTree() = default;

  /// Position among the nodes, then the devices.
  [[nodiscard]] std::optional<std::size_t> find(std::string_view id) const;

  /// One list per node, end to end.
  struct Lists {
    std::vector<std::uint32_t> begin;
    std::vector<NodeIndex> items;
  };

  std::vector<Node> nodes_;
  std::vector<Device> devices_;
  Lists children_;
  Lists fed_;
  std::vector<std::uint32_t> device_begin_;
  std::vector<std::uint32_t> slots_;  // hash table of ids: 0 free, else 1 + node, then devices
  bool has_feeds_ = false;
  bool has_phase_limits_ = false;
  std::size_t depth_ = 0;
};

}  // namespace perwatt::topology
