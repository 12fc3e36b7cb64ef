// Two trees are the same whatever the order of their nodes.
#pragma once

#include <gtest/gtest.h>

#include "perwatt/topology/power_tree.hpp"

namespace perwatt::topology {

inline void expect_same_tree(const PowerTree& a, const PowerTree& b) {
  EXPECT_EQ(a.nodes().size(), b.nodes().size());
  EXPECT_EQ(a.devices().size(), b.devices().size());
  for (const auto& node : a.nodes()) {
    const auto found = b.find_node(node.id);
    ASSERT_TRUE(found) << node.id;
    const auto& other = b.node(*found);
    EXPECT_EQ(node.kind, other.kind) << node.id;
    EXPECT_EQ(node.factor, other.factor) << node.id;
    EXPECT_EQ(node.fixed, other.fixed) << node.id;
    EXPECT_EQ(node.feed, other.feed) << node.id;
    EXPECT_EQ(node.phase, other.phase) << node.id;
    EXPECT_EQ(node.meter, other.meter) << node.id;
    ASSERT_EQ(node.supplies.size(), other.supplies.size()) << node.id;
    for (std::size_t i = 0; i < node.supplies.size(); ++i) {
      EXPECT_EQ(a.node(node.supplies[i].parent).id, b.node(other.supplies[i].parent).id);
      EXPECT_EQ(node.supplies[i].share_ratio, other.supplies[i].share_ratio);
    }
    ASSERT_EQ(node.limits.size(), other.limits.size()) << node.id;
    for (std::size_t i = 0; i < node.limits.size(); ++i) {
      EXPECT_EQ(node.limits[i].kind, other.limits[i].kind);
      EXPECT_NEAR(in_watts(node.limits[i].power), in_watts(other.limits[i].power), 1e-6);
      EXPECT_EQ(node.limits[i].window, other.limits[i].window);
      EXPECT_EQ(node.limits[i].phase, other.limits[i].phase);
      EXPECT_EQ(node.limits[i].curve.has_value(), other.limits[i].curve.has_value());
    }
  }
}

}  // namespace perwatt::topology
