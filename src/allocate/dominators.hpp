// Which node of a power tree all ways to another pass.
#pragma once

#include <cstdint>
#include <vector>

#include "perwatt/topology/power_tree.hpp"

namespace perwatt::allocate {

/// By node index.
struct Dominators {
  /// Linear but for nodes with feeds: log(depth) for each feed.
  explicit Dominators(const topology::PowerTree& tree);

  std::vector<std::uint32_t>
      nearest;                       // node that every way from the root passes last; root: itself
  std::vector<std::uint32_t> depth;  // passed by every way
  /// Every way from the root to anything below passes the node.
  std::vector<char> covers;

 private:
  [[nodiscard]] std::uint32_t common(std::uint32_t a, std::uint32_t b) const;

  std::vector<std::uint32_t> jump_;  // an ancestor far up: logarithmic ways (Myers 1983)
};

}  // namespace perwatt::allocate
