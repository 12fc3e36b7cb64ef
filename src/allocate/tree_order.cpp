#include "tree_order.hpp"

#include <utility>

namespace perwatt::allocate {

TreeOrder::TreeOrder(const Problem& problem) {
  const auto nodes = problem.nodes();
  const auto devices = problem.devices();
  const std::size_t count = nodes.size();
  const auto parent_of = [&](std::size_t n) {
    return static_cast<std::uint32_t>(*nodes[n].parent);
  };

  // A parent is added before its children: what lies below is known by one pass backwards.
  std::vector<std::uint32_t> devices_below(count, 0);
  for (const auto& device : devices) {
    ++devices_below[static_cast<std::size_t>(device.parent)];
  }
  std::vector<std::uint32_t> own_devices = devices_below;
  std::vector<std::uint32_t> nodes_below(count, 1);
  std::vector<std::uint32_t> first_of_children(count + 1, 0);
  for (std::size_t n = count; n-- > 1;) {
    devices_below[parent_of(n)] += devices_below[n];
    nodes_below[parent_of(n)] += nodes_below[n];
    ++first_of_children[parent_of(n) + 1];
  }
  for (std::size_t n = 0; n < count; ++n) {
    first_of_children[n + 1] += first_of_children[n];
  }
  std::vector<std::uint32_t> children(count - 1);
  std::vector<std::uint32_t> filled = first_of_children;
  for (std::size_t n = 1; n < count; ++n) {
    auto& end = filled[parent_of(n)];
    children[end] = static_cast<std::uint32_t>(n);
    auto& heaviest = children[first_of_children[parent_of(n)]];
    if (devices_below[n] > devices_below[heaviest]) {
      std::swap(heaviest, children[end]);
    }
    ++end;
  }

  node_at.resize(count);
  place_of.resize(count);
  parent.assign(count, kNone);
  first_child.assign(count, kNone);
  subtree.resize(count);
  std::vector<std::uint32_t> block(count, 0);  // where the places of a subtree begin
  for (std::size_t n = 0; n < count; ++n) {
    const std::uint32_t place = block[n] + nodes_below[n] - 1;
    place_of[n] = place;
    node_at[place] = static_cast<std::uint32_t>(n);
    subtree[place] = block[n];
    std::uint32_t next = block[n];
    for (std::size_t i = first_of_children[n]; i < first_of_children[n + 1]; ++i) {
      const std::uint32_t child = children[i];
      block[child] = next;
      next += nodes_below[child];
      const std::uint32_t child_place = next - 1;
      parent[child_place] = place;
      if (first_child[place] == kNone) {
        first_child[place] = child_place;
      }
    }
  }

  first_device.resize(count + 1);
  first_device[0] = 0;
  for (std::size_t place = 0; place < count; ++place) {
    first_device[place + 1] = first_device[place] + own_devices[node_at[place]];
  }
  std::vector<std::uint32_t> next_device(first_device.begin(), first_device.end() - 1);
  owner.resize(devices.size());
  device_at.resize(devices.size());
  place_of_device.resize(devices.size());
  for (std::size_t d = 0; d < devices.size(); ++d) {
    const std::uint32_t node_place = place_of[static_cast<std::size_t>(devices[d].parent)];
    const std::uint32_t place = next_device[node_place]++;
    owner[place] = node_place;
    device_at[place] = static_cast<std::uint32_t>(d);
    place_of_device[d] = place;
  }
}

}  // namespace perwatt::allocate
