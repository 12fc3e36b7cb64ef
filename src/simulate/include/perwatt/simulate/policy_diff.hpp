// What a change of policy would do: the caps that two policies settle at, given the same demand.
//
// The demand is that of one instant of the first site under its policy, simulated up to there. Then
// each policy has a plant of its own, on which every device goes on wanting just that, until its
// caps have settled (kSettling, or six of its cadences): so a difference is the policy's doing and
// not that of other arrivals. A device whose job is off under a policy wants its idle power there.
//
// Thread rule: none; calls share nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/simulate/scenario.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::simulate {

inline constexpr Seconds kSettling = seconds(300);

/// A site and the policy it has.
struct PolicySide {
  const Scenario& scenario;
  const PolicyPlan& policy;
};

struct NodeUnder {
  Watts at_caps;               // supply with every device at its cap, losses and hosts included
  std::optional<Watts> limit;  // the least
  UsdPerSecond value;          // of what devices below draw: job_curves.hpp
};

struct NodeDiff {
  std::string id;
  topology::NodeKind kind = topology::NodeKind::other;
  std::optional<NodeUnder> before;  // nothing where it is not there
  std::optional<NodeUnder> after;
};

struct DeviceDiff {
  std::string id;
  Watts demand;                 // 0 where the first site does not have it
  std::optional<Watts> before;  // caps; nothing where it is not there
  std::optional<Watts> after;
};

struct PolicyDiff {
  Seconds at;  // since the work began
  std::vector<NodeDiff> nodes;
  std::vector<DeviceDiff> devices;  // of the first site, then those that only the second has
};

/// Nodes and devices are matched by id. REQUIRES: 0 <= at <= warm-up and duration of `before`.
[[nodiscard]] PolicyDiff policy_diff(const PolicySide& before, const PolicySide& after, Seconds at);

}  // namespace perwatt::simulate
