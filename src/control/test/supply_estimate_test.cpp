#include "perwatt/control/supply_estimate.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "random_site.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/random.hpp"
#include "perwatt/topology/loads.hpp"

namespace perwatt::control {
namespace {

std::vector<Watts> random_draws(const topology::PowerTree& tree, std::mt19937_64& random) {
  std::vector<Watts> draws;
  for (std::size_t d = 0; d < tree.devices().size(); ++d) {
    draws.push_back(watts(700 * uniform_unit(random)));
  }
  return draws;
}

TEST(SupplyEstimate, WithoutMetersItIsTheLoadFlowOfTheTree) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto tree = allocate::random_site(seed, {seed % 2 == 1, seed % 4 > 1, 20});
    std::mt19937_64 random{seed};
    SupplyEstimate estimate{tree, {}};
    for (int round = 0; round < 2; ++round) {
      const auto draws = random_draws(tree, random);
      for (std::uint32_t d = 0; d < draws.size(); ++d) {
        estimate.set_device({d}, draws[d], {});
      }
      estimate.update();
      const auto loads = topology::loads_at(tree, draws);
      for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
        const double supply = in_watts(loads.supply[n]);
        ASSERT_NEAR(in_watts(estimate.supply({n})), supply, 1e-9 * (1 + supply));
        ASSERT_NEAR(in_watts(estimate.expected_by_devices({n}).power), supply, 1e-9 * (1 + supply));
        for (const auto& limit : tree.nodes()[n].limits) {
          ASSERT_NEAR(in_watts(estimate.bounded_by(limit, {n})),
                      in_watts(loads.bounded_by(limit, {n})), 1e-6);
        }
      }
    }
  }
}

/// site (losses 5 %, meter behind them) over rack (fixed 100 W, meter before) over two devices.
topology::PowerTree metered_pair() {
  std::vector<topology::NodeSpec> nodes(2);
  nodes[0].id = nodes[0].place = "site";
  nodes[0].factor = 1.05;
  nodes[0].meter = topology::MeterSide::load;
  nodes[1].id = nodes[1].place = "rack";
  nodes[1].supplies = {{"site", 1}};
  nodes[1].fixed = watts(100);
  nodes[1].meter = topology::MeterSide::supply;
  std::vector<topology::DeviceSpec> devices(2);
  for (std::size_t d = 0; d < 2; ++d) {
    devices[d].id = devices[d].place = "d" + std::to_string(d);
    devices[d].parent = "rack";
    devices[d].max = watts(700);
  }
  return topology::PowerTree::build(nodes, devices);
}

TEST(SupplyEstimate, AMeterStandsForWhatIsBelowAndDoubtsAddUp) {
  const auto tree = metered_pair();
  SupplyEstimate estimate{tree, {}};
  estimate.set_device({0}, watts(300), {});
  estimate.set_device({1}, watts(200), watts(400));
  estimate.update();
  EXPECT_NEAR(in_watts(estimate.supply({1})), 600, 1e-9);
  EXPECT_NEAR(in_watts(estimate.supply({0})), 630, 1e-9);
  const auto rack = estimate.expected_by_devices({1});
  EXPECT_NEAR(in_watts(rack.doubt), 0.05 * 500 + 400 + 0.1 * 100, 1e-9);
  estimate.set_meter({1}, watts(650));
  estimate.update();
  EXPECT_NEAR(in_watts(estimate.supply({0})), 650 * 1.05, 1e-9);
  EXPECT_NEAR(in_watts(estimate.expected_by_meters({0}).power), 650, 1e-9);
  EXPECT_NEAR(in_watts(estimate.expected_by_meters({0}).doubt), 13, 1e-9);
  EXPECT_NEAR(in_watts(estimate.expected_by_devices({0}).power), 600, 1e-9);
  estimate.set_meter({0}, watts(700));
  estimate.set_meter({1}, std::nullopt);
  estimate.update();
  EXPECT_NEAR(in_watts(estimate.supply({0})), 735, 1e-9);
  EXPECT_NEAR(in_watts(estimate.supply({1})), 600 * (1 + 0.01 * 50 / 600), 1e-9);
  EXPECT_NEAR(in_watts(estimate.meter_doubt({0})), 14, 1e-9);
}

TEST(SupplyEstimate, WhatAMeterShowedMoreIsKeptWhenItIsLostWhatItShowedLessIsNot) {
  const auto tree = metered_pair();
  for (const double factor : {0.8, 0.97, 1.03, 1.5}) {
    SupplyEstimate estimate{tree, {}};
    estimate.set_device({0}, watts(300), {});
    estimate.set_device({1}, watts(200), {});
    for (int i = 0; i < 2000; ++i) {
      estimate.set_meter({1}, watts(600 * factor));
      estimate.update();
    }
    EXPECT_NEAR(in_watts(estimate.doubt({1})), 0.02 * 600 * factor, 1e-9);
    estimate.set_meter({1}, std::nullopt);
    estimate.update();
    const double doubt = 0.05 * 500 + 0.1 * 100;
    const double kept = std::clamp(600 * factor, 600.0, 600 + doubt);
    EXPECT_NEAR(in_watts(estimate.supply({1})), kept, 1e-3) << factor;
    EXPECT_GT(in_watts(estimate.doubt({1})), 0.02 * 600);
  }
}

}  // namespace
}  // namespace perwatt::control
