#include "dominators.hpp"

#include <algorithm>
#include <limits>

namespace perwatt::allocate {

Dominators::Dominators(const topology::PowerTree& tree) {
  const auto nodes = tree.nodes();
  nearest.resize(nodes.size(), 0);
  depth.resize(nodes.size(), 0);
  jump_.resize(nodes.size(), 0);
  for (std::uint32_t n = 1; n < nodes.size(); ++n) {
    std::uint32_t above = nodes[n].supplies[0].parent.value;
    for (const auto& supply : nodes[n].supplies) {
      above = common(above, supply.parent.value);
    }
    nearest[n] = above;
    depth[n] = depth[above] + 1;
    const std::uint32_t far = jump_[above];
    jump_[n] = depth[above] - depth[far] == depth[far] - depth[jump_[far]] ? jump_[far] : above;
  }
  // The least depth of a dominator of anything below: less than a node's own where a way leads
  // around the node.
  std::vector<std::uint32_t> least(nodes.size(), std::numeric_limits<std::uint32_t>::max());
  covers.resize(nodes.size());
  for (std::size_t n = nodes.size(); n-- > 0;) {
    covers[n] = least[n] >= depth[n] ? 1 : 0;
    for (const auto& supply : nodes[n].supplies) {
      auto& above = least[supply.parent.value];
      above = std::min({above, least[n], depth[nearest[n]]});
    }
  }
}

std::uint32_t Dominators::common(std::uint32_t a, std::uint32_t b) const {
  const auto lift = [this](std::uint32_t from, std::uint32_t to_depth) {
    while (depth[from] > to_depth) {
      from = depth[jump_[from]] >= to_depth ? jump_[from] : nearest[from];
    }
    return from;
  };
  a = lift(a, depth[b]);
  b = lift(b, depth[a]);
  while (a != b) {
    const bool is_far = jump_[a] != jump_[b];
    a = is_far ? jump_[a] : nearest[a];
    b = is_far ? jump_[b] : nearest[b];
  }
  return a;
}

}  // namespace perwatt::allocate
