// The supply of every node for given draws of the devices, and the limits it passes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::topology {

/// A level of every device.
enum class DrawLevel { minimum, guaranteed, fail_safe, maximum };

/// "minimum", …
[[nodiscard]] std::string_view to_string(DrawLevel level);

/// By device index. A device without fail_safe counts with its maximum: nobody knows better.
[[nodiscard]] std::vector<Watts> device_draws(const PowerTree& tree, DrawLevel level);

struct NodeLoads {
  std::vector<Watts> supply;                       // by node index
  std::vector<std::array<Watts, 3>> phase_supply;  // by node index; only with has_phase_limits()

  /// What a limit of `n` bounds: the whole supply or that of its phase.
  [[nodiscard]] Watts bounded_by(const Limit& limit, NodeIndex n) const {
    return limit.phase ? phase_supply[n.value][static_cast<std::size_t>(*limit.phase)]
                       : supply[n.value];
  }
};

/// `draws` by device index, each >= 0, all feeds up. Linear in nodes, devices and supplies.
[[nodiscard]] NodeLoads loads_at(const PowerTree& tree, std::span<const Watts> draws);

/// The same from what is drawn directly at each node (by node index), by devices or untold.
[[nodiscard]] NodeLoads loads_from(const PowerTree& tree, std::span<const Watts> own_loads);

/// By node index: the sum over its devices.
[[nodiscard]] std::vector<Watts> own_loads(const PowerTree& tree, std::span<const Watts> draws);

/// A limit that is passed.
struct Overload {
  NodeIndex node;
  std::uint32_t limit = 0;  // index into Node::limits
  Watts load;               // above the limit's power
  /// How long that may last when the load came at once: by the limit's curve; else until the mean
  /// over its window, begun at the load before, reaches the limit. Nothing without either.
  std::optional<Seconds> time_allowed;
};

/// A load within one part in 10^9 of a limit is at it, not above.
[[nodiscard]] bool passes(Watts load, Watts limit);

/// Every passed limit in the order of nodes. `before` are the loads that the windows begin with:
/// nothing means that the present loads have lasted, so that no window helps.
[[nodiscard]] std::vector<Overload> overloads(const PowerTree& tree, const NodeLoads& loads,
                                              const NodeLoads* before = nullptr);

/// time_allowed of one limit.
[[nodiscard]] std::optional<Seconds> time_allowed(const Limit& limit, Watts load,
                                                  std::optional<Watts> before);

}  // namespace perwatt::topology
