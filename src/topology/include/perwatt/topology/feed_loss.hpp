// What the other feeds carry when one is lost.
//
// A node is lost with all its supply. A node that hangs on it alone goes dark; one with another
// parent up takes everything from those left, in proportion to their shares. Losses looked at:
// every node that is one of several parents of another, and every node above several such: the
// nodes on the only way to one of these carry the same loss with less load left beside it.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/topology/loads.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::topology {

/// The loads of all nodes at one level.
struct LevelLoads {
  std::string name;              // "maximum", "readings", …
  std::vector<Watts> own_loads;  // by node index: what its devices draw
};

/// From draws by device index.
[[nodiscard]] LevelLoads level_loads(const PowerTree& tree, DrawLevel level);

struct FeedLossAtLevel {
  std::vector<Overload> overloads;  // limits passed because of the loss, by descending node index
};

struct FeedLoss {
  NodeIndex lost;
  std::vector<NodeIndex> or_above;  // nodes on the only way to it: their loss leaves no more load
  std::size_t switched_nodes = 0;   // live on on their other feeds
  std::size_t dark_nodes = 0;       // with the lost one
  std::size_t dark_devices = 0;
  std::vector<FeedLossAtLevel> levels;  // as the levels asked for

  [[nodiscard]] bool carried_at(std::size_t level) const { return levels[level].overloads.empty(); }
};

struct FeedLossStudy {
  std::vector<FeedLoss> losses;  // by node index of the lost
  std::size_t not_studied = 0;   // losses beyond the work that was allowed
};

/// Looks at every loss at every level. `most_visits` bounds the work, counted in nodes visited: a
/// loss costs the nodes below it and those above what is switched.
[[nodiscard]] FeedLossStudy study_feed_losses(const PowerTree& tree,
                                              std::span<const LevelLoads> levels,
                                              std::size_t most_visits = 50'000'000);

}  // namespace perwatt::topology
