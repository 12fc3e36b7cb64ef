// The order in which a tree is solved: children before parents, the subtree of a node and its
// devices side by side, the child with most devices first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "perwatt/allocate/problem.hpp"

namespace perwatt::allocate {

/// Of a limit: least watts above it by so much still fit.
inline constexpr double kSumRounding = 1e-9;

/// Of a limit: sums this near to it meet it exactly, whatever order they were added in.
inline constexpr double kMetExactly = 1e-12;

struct TreeOrder {
  explicit TreeOrder(const Problem& problem);

  static constexpr std::uint32_t kNone = 0xffffffff;

  // By place of a node in the order; the root is last.
  std::vector<std::uint32_t> node_at;
  std::vector<std::uint32_t> parent;        // place; kNone at the root
  std::vector<std::uint32_t> first_child;   // place of the child with most devices; kNone at a leaf
  std::vector<std::uint32_t> first_device;  // place of its first own device; one more than nodes
  std::vector<std::uint32_t> subtree;       // place of the first node of its subtree

  std::vector<std::uint32_t> place_of;  // by NodeIndex

  std::vector<std::uint32_t> owner;            // place of its node by place of a device
  std::vector<std::uint32_t> device_at;        // DeviceIndex by place of a device
  std::vector<std::uint32_t> place_of_device;  // by DeviceIndex
};

}  // namespace perwatt::allocate
