// The split of watts over a tree of limits: what is asked.
//
// A tree of nodes, each with a limit in watts; devices hang on any node. A device turns watts into
// value along a concave curve. All watts are of one boundary: the caller scales curves and limits
// to it (linear losses keep limits nested, docs/model/allocate.md#losses). Value is in the
// curves' own unit (tokens/s, USD/h, …).
//
// A problem is a plain value; distinct objects may be used from distinct threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "perwatt/base/units.hpp"

namespace perwatt::allocate {

/// A node, a device, a group: its number in the order of adding.
enum class NodeIndex : std::uint32_t {};
enum class DeviceIndex : std::uint32_t {};
enum class CapGroupIndex : std::uint32_t {};
enum class GuaranteeIndex : std::uint32_t {};
enum class CrossLimitIndex : std::uint32_t {};

/// How much a class of devices comes before others: 0 is the lowest, and the default.
using Priority = std::int32_t;

enum class Policy {
  value,     // the greatest sum of value
  priority,  // the greatest value of the highest class, then of the next, and so on
};

struct CurvePoint {
  Watts power;
  double value = 0;

  bool operator==(const CurvePoint&) const = default;
};

/// What is wrong with a curve, in words, or nothing. A curve has one point or more, figures of 1e15
/// at most, with power of 0 or more that rises strictly and value that is concave in it: no slope
/// above the one before by more than 1e-9 of it. Value may fall.
[[nodiscard]] std::optional<const char*> curve_fault(std::span<const CurvePoint> curve);

/// The value at `power`, which counts as the nearer end where it is outside. REQUIRES: a curve
/// without a fault.
[[nodiscard]] double value_at(std::span<const CurvePoint> curve, Watts power);

/// What a device is beside its curve.
struct DeviceTerms {
  Priority priority = 0;
  std::optional<CapGroupIndex> same_cap;  // all members get the same watts
  std::optional<GuaranteeIndex> guarantee;
};

/// How much a watt of a device counts in a sum.
struct WattShare {
  DeviceIndex device{};
  double ratio = 1;
};

class Problem {
 public:
  /// A limit on a sum of watts that is no subtree's: of feeds that share devices, of a phase.
  struct CrossLimit {
    Watts limit;
    std::vector<WattShare> shares;
  };

  struct Node {
    std::optional<NodeIndex> parent;
    Watts limit;
  };

  struct Device {
    NodeIndex parent{};
    DeviceTerms terms;
    std::size_t first_point = 0;
    std::size_t end_point = 0;
    std::size_t end_of_room = 0;  // for its points
  };

  explicit Problem(Policy policy) : policy_{policy} {}

  /// The first node is the root and has no parent; any other names a node added before.
  /// REQUIRES: that, and a limit from 0 to 1e15 W, or infinite: none.
  NodeIndex add_node(std::optional<NodeIndex> parent, Watts limit);

  /// REQUIRES: a curve without a fault. A device gets at least its first point's watts and at most
  /// its last point's. Room for `most_points` spares a new layout when set_curve() gives as many.
  DeviceIndex add_device(NodeIndex parent, std::span<const CurvePoint> curve,
                         const DeviceTerms& terms = {}, std::size_t most_points = 0);

  CapGroupIndex add_cap_group();

  /// The devices of the group get no less than `watts` together.
  GuaranteeIndex add_guarantee(Watts watts);

  /// The sum of ratio * watts over `shares` is `limit` at most. REQUIRES: devices added before,
  /// each once, ratios from 1e-9 to 1e9, a limit as in add_node.
  CrossLimitIndex add_cross_limit(Watts limit, std::vector<WattShare> shares);

  /// REQUIRES: as add_node and add_device.
  void set_limit(NodeIndex node, Watts limit);
  void set_cross_limit(CrossLimitIndex cross, Watts limit);
  void set_curve(DeviceIndex device, std::span<const CurvePoint> curve);

  /// As Allocator::prefetch.
  [[gnu::always_inline]] void prefetch(DeviceIndex device) const noexcept {
    const auto& own = devices_[static_cast<std::size_t>(device)];
    constexpr std::size_t kLine = 64 / sizeof(CurvePoint);
    for (std::size_t i = own.first_point; i < own.end_of_room; i += kLine) {
      __builtin_prefetch(points_.data() + i, 1);
    }
  }

  [[nodiscard]] Policy policy() const { return policy_; }

  [[nodiscard]] std::span<const Node> nodes() const { return nodes_; }

  [[nodiscard]] std::span<const Device> devices() const { return devices_; }

  [[nodiscard]] std::span<const Watts> guarantees() const { return guarantees_; }

  [[nodiscard]] std::span<const CrossLimit> cross_limits() const { return cross_limits_; }

  [[nodiscard]] std::size_t cap_group_count() const { return cap_groups_; }

  [[nodiscard]] std::span<const CurvePoint> curve(DeviceIndex device) const;

 private:
  Policy policy_;
  std::vector<Node> nodes_;
  std::vector<Device> devices_;
  std::vector<CurvePoint> points_;
  std::vector<Watts> guarantees_;
  std::vector<CrossLimit> cross_limits_;
  std::size_t cap_groups_ = 0;
};

}  // namespace perwatt::allocate
