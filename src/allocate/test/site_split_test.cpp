#include "perwatt/allocate/site_split.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "device_options.hpp"
#include "error_of.hpp"
#include "lp_oracle.hpp"
#include "random_site.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/topology/loads.hpp"

namespace perwatt::allocate {
namespace {

using ::testing::HasSubstr;
using topology::PowerTree;

SiteCurves random_curves(const PowerTree& tree, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  SiteCurves curves;
  curves.value_unit = "tok/s";
  for (int c = 0; c < 4; ++c) {
    SiteCurve curve;
    curve.id = "c" + std::to_string(c);
    curve.is_discrete = c % 2 == 0;
    const auto count = 1 + uniform_below(random, 5);
    for (std::uint64_t s = 0; s < count; ++s) {
      curve.settings.push_back({"", watts(200 * uniform_unit(random) * static_cast<double>(s)),
                                10 * uniform_unit(random)});
    }
    curves.curves.push_back(curve);
  }
  for (const auto& device : tree.devices()) {
    const auto c = uniform_below(random, 4);
    const bool is_steered =
        uniform_below(random, 15) > 0 &&
        device_options(curves.curves[c], device.guaranteed, device.max, 1).has_value();
    curves.curve_of.push_back(is_steered ? std::optional<std::size_t>{c} : std::nullopt);
  }
  return curves;
}

/// One limit of the tree, as a row over the devices' own watts.
struct Row {
  topology::NodeIndex node;
  std::vector<double> coefficients;
  double room = 0;
};

/// Straight from the supplies of the tree: nothing of site_limits.
std::vector<Row> rows_of(const PowerTree& tree) {
  std::vector<Row> rows;
  const std::vector<Watts> nothing(tree.devices().size());
  const auto idle = topology::loads_at(tree, nothing);
  std::vector<topology::NodeLoads> with_one;
  for (std::size_t d = 0; d < nothing.size(); ++d) {
    auto draws = nothing;
    draws[d] = watts(1000);
    with_one.push_back(topology::loads_at(tree, draws));
  }
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    for (const auto& limit : tree.node({n}).limits) {
      Row row{{n}, {}, in_watts(limit.power - idle.bounded_by(limit, {n}))};
      for (const auto& loads : with_one) {
        row.coefficients.push_back(
            in_watts(loads.bounded_by(limit, {n}) - idle.bounded_by(limit, {n})) / 1000);
      }
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

Problem program_of(const PowerTree& tree, const SiteCurves& curves, const std::vector<Row>& rows) {
  Problem problem{Policy::value};
  problem.add_node(std::nullopt, Watts::from_base(std::numeric_limits<double>::infinity()));
  for (std::size_t d = 0; d < tree.devices().size(); ++d) {
    const auto& device = tree.devices()[d];
    const auto curve = curves.curve_of[d];
    problem.add_device(
        NodeIndex{0},
        curve ? device_options(curves.curves[*curve], device.guaranteed, device.max, 1)->hull
              : std::vector<CurvePoint>{{device.max, 0}});
  }
  for (const auto& row : rows) {
    std::vector<WattShare> shares;
    for (std::uint32_t d = 0; d < row.coefficients.size(); ++d) {
      if (row.coefficients[d] > 1e-9) {
        shares.push_back({DeviceIndex{d}, row.coefficients[d]});
      }
    }
    problem.add_cross_limit(watts(row.room), std::move(shares));
  }
  return problem;
}

void expect_within_limits(const PowerTree& tree, const std::vector<Watts>& draws) {
  const auto loads = topology::loads_at(tree, draws);
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    for (const auto& limit : tree.node({n}).limits) {
      EXPECT_LE(in_watts(loads.bounded_by(limit, {n})), in_watts(limit.power) * (1 + 1e-8));
    }
  }
}

class SiteKinds : public ::testing::TestWithParam<SiteKind> {};

INSTANTIATE_TEST_SUITE_P(Trees, SiteKinds,
                         ::testing::Values(SiteKind{false, false, 20}, SiteKind{true, false, 20},
                                           SiteKind{false, true, 12}, SiteKind{true, true, 12}));

TEST_P(SiteKinds, SplitEqualsTheProgramOverTheTreesOwnSupplies) {
  int optimal = 0;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    const auto tree = random_site(seed, GetParam());
    const auto curves = random_curves(tree, seed);
    const auto split = split_site(tree, curves);
    const auto best = best_by_program(program_of(tree, curves, rows_of(tree)));
    ASSERT_EQ(split.status == Status::optimal, best.has_value());
    if (!best) {
      EXPECT_FALSE(split.overfull.empty());
      continue;
    }
    ++optimal;
    EXPECT_NEAR(split.value, best->front(), 1e-6 * (1 + best->front()));
    EXPECT_LE(split.bound, best->front() + 1e-6 * (1 + best->front()));
    expect_within_limits(tree, split.device_power);
    expect_within_limits(tree, split.settings.device_power);
    EXPECT_LE(split.settings.value, split.bound * (1 + 1e-9) + 1e-9);
    EXPECT_GE(split.gap_ratio(), -1e-9);
    double value = 0;
    for (std::size_t d = 0; d < tree.devices().size(); ++d) {
      const auto curve = curves.curve_of[d];
      const auto setting = split.settings.setting[d];
      EXPECT_EQ(setting.has_value(), curve && curves.curves[*curve].is_discrete);
      if (setting) {
        const auto& taken = curves.curves[*curve].settings[*setting];
        EXPECT_GE(in_watts(split.settings.device_power[d]), in_watts(taken.power) * (1 - 1e-9));
        value += taken.value;
      } else if (curve) {
        const auto& device = tree.devices()[d];
        const auto options =
            device_options(curves.curves[*curve], device.guaranteed, device.max, 1);
        value += value_at(options->hull, split.settings.device_power[d]);
      }
    }
    EXPECT_NEAR(split.settings.value, value, 1e-6 * (1 + value));
  }
  EXPECT_GT(optimal, 20);
}

/// Moves all rows of a node at once.
std::optional<double> best_at(const Problem& program, const std::vector<Row>& rows,
                              topology::NodeIndex node, double change) {
  auto changed = program;
  for (std::uint32_t r = 0; r < rows.size(); ++r) {
    if (rows[r].node == node) {
      changed.set_cross_limit(CrossLimitIndex{r}, watts(rows[r].room + change));
    }
  }
  const auto best = best_by_program(changed);
  return best ? std::optional{best->front()} : std::nullopt;
}

TEST_P(SiteKinds, PricesAreWhatALittleMoreAndLessOfALimitChange) {
  constexpr double kStep = 1e-4;
  int priced = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const auto tree = random_site(seed, GetParam());
    const auto curves = random_curves(tree, seed);
    const auto split = split_site(tree, curves);
    if (split.status == Status::infeasible) {
      continue;
    }
    const auto rows = rows_of(tree);
    const auto program = program_of(tree, curves, rows);
    for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
      const auto& limits = tree.node({n}).limits;
      if (limits.empty()) {
        continue;
      }
      const auto& price = split.prices[n];
      const auto more = best_at(program, rows, {n}, kStep);
      const auto less = best_at(program, rows, {n}, -kStep);
      priced += price.price_per_watt > 0;
      ASSERT_TRUE(more);
      ASSERT_EQ(price.loss_per_watt.has_value(), less.has_value());
      const double gain = (*more - split.value) / kStep;
      const double loss = less ? (split.value - *less) / kStep : 0;
      if (limits.size() == 1) {
        EXPECT_NEAR(price.price_per_watt, gain, 1e-3);
        EXPECT_NEAR(price.loss_per_watt.value_or(0), loss, 1e-3);
      } else {  // of several limits on different devices it is the dearest alone
        EXPECT_LE(price.price_per_watt, gain + 1e-3);
        EXPECT_LE(price.loss_per_watt.value_or(0), loss + 1e-3);
      }
    }
  }
  EXPECT_GT(priced, 20);
}

TEST(SiteSplit, LimitsOfEachPhaseMoveTogether) {
  topology::NodeSpec pdu;
  pdu.id = pdu.place = "pdu";
  for (const auto phase : topology::kPhases) {
    pdu.limits.push_back({topology::LimitKind::breaker, watts(100), {}, std::nullopt, phase});
  }
  topology::DeviceSpec device;
  device.id = device.place = "d";
  device.parent = "pdu";
  device.max = watts(1000);
  SiteCurves curves;
  curves.curves = {{"c", {{"", watts(0), 0}, {"", watts(1000), 2000}}, false, "cap", ""}};
  curves.curve_of = {0};
  const auto split = split_site(PowerTree::build({pdu}, {device}), curves);
  EXPECT_NEAR(split.value, 600, 1e-9);
  EXPECT_NEAR(split.prices[0].price_per_watt, 6, 1e-9);  // a watt more of each phase
}

TEST(SiteSplit, DevicesThatExactlyFitBehindLossesAllGetTheirSetting) {
  for (int count = 7; count < 24; ++count) {
    for (int fits = 2; fits < 6; ++fits) {
      topology::NodeSpec rack;
      rack.id = rack.place = "rack";
      rack.factor = 1 / 0.97;
      rack.limits = {
          {topology::LimitKind::breaker, watts(fits * 700 / 0.97), {}, std::nullopt, std::nullopt}};
      std::vector<topology::DeviceSpec> devices(static_cast<std::size_t>(count));
      for (int d = 0; d < count; ++d) {
        auto& device = devices[static_cast<std::size_t>(d)];
        device.id = device.place = "d" + std::to_string(d);
        device.parent = "rack";
        device.max = watts(700);
      }
      SiteCurves curves;
      curves.curves = {{"c", {{"", watts(0), 0}, {"", watts(700), 700}}, true, "cap", ""}};
      curves.curve_of.assign(devices.size(), 0);
      const auto split = split_site(PowerTree::build({rack}, devices), curves);
      EXPECT_EQ(split.settings.value, 700 * fits);
      EXPECT_LT(split.gap_ratio(), 1e-9);
    }
  }
}

TEST(SiteSplit, SettingsLieBetweenTheBestOfAllCombinationsAndTheBound) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const auto tree = random_site(seed, {seed % 2 == 0, false, 2});
    auto curves = random_curves(tree, seed);
    for (auto& curve : curves.curves) {
      curve.is_discrete = true;
    }
    for (std::size_t d = 0; d < tree.devices().size(); ++d) {
      const auto& device = tree.devices()[d];
      if (curves.curve_of[d] &&
          !device_options(curves.curves[*curves.curve_of[d]], device.guaranteed, device.max, 1)) {
        curves.curve_of[d] = std::nullopt;
      }
    }
    const auto split = split_site(tree, curves);
    if (split.status == Status::infeasible) {
      continue;
    }
    std::vector<std::vector<DeviceOption>> choices;
    for (std::size_t d = 0; d < tree.devices().size(); ++d) {
      const auto& device = tree.devices()[d];
      const auto curve = curves.curve_of[d];
      choices.push_back(
          curve ? device_options(curves.curves[*curve], device.guaranteed, device.max, 1)->options
                : std::vector<DeviceOption>{{device.max, 0, 0}});
    }
    const auto rows = rows_of(tree);
    double best = -1;
    std::vector<std::size_t> at(choices.size(), 0);
    for (bool is_done = false; !is_done;) {
      double value = 0;
      bool fits = true;
      for (std::size_t d = 0; d < at.size(); ++d) {
        value += choices[d][at[d]].value;
      }
      for (const auto& row : rows) {
        double used = 0;
        for (std::size_t d = 0; d < at.size(); ++d) {
          used += row.coefficients[d] * in_watts(choices[d][at[d]].power);
        }
        fits = fits && used <= row.room * (1 + 1e-9);
      }
      best = fits ? std::max(best, value) : best;
      std::size_t d = 0;
      while (d < at.size() && ++at[d] == choices[d].size()) {
        at[d++] = 0;
      }
      is_done = d == at.size();
    }
    EXPECT_LE(split.settings.value, best * (1 + 1e-9));
    EXPECT_GE(split.bound, best * (1 - 1e-9));
  }
}

topology::NodeSpec node(const std::string& id, std::vector<topology::SupplySpec> supplies,
                        double limit_watts) {
  topology::NodeSpec spec;
  spec.id = spec.place = id;
  spec.supplies = std::move(supplies);
  spec.limits = {
      {topology::LimitKind::breaker, watts(limit_watts), {}, std::nullopt, std::nullopt}};
  return spec;
}

TEST(SiteSplit, WhereBothSidesAreMetOneAloneIsWorthNothing) {
  std::vector<topology::NodeSpec> nodes{node("site", {}, 10000), node("a", {{"site", 1}}, 400),
                                        node("b", {{"site", 1}}, 400),
                                        node("rack", {{"a", 0.5}, {"b", 0.5}}, 10000)};
  topology::DeviceSpec device;
  device.id = device.place = "d";
  device.parent = "rack";
  device.max = watts(1000);
  SiteCurves curves;
  curves.curves = {{"c", {{"", watts(0), 0}, {"", watts(1000), 2000}}, false, "cap", ""}};
  curves.curve_of = {0};
  const auto even = split_site(PowerTree::build(nodes, {device}), curves);
  EXPECT_EQ(even.value, 1600);
  EXPECT_EQ(even.prices[1].price_per_watt, 0);
  EXPECT_EQ(even.prices[1].loss_per_watt, 4);  // a watt less of one side is two of the rack
  nodes[2].limits[0].power = watts(450);
  const auto uneven = split_site(PowerTree::build(nodes, {device}), curves);
  EXPECT_EQ(uneven.prices[1].price_per_watt, 4);
  EXPECT_EQ(uneven.prices[2].price_per_watt, 0);
  EXPECT_EQ(uneven.prices[2].loss_per_watt, 0);
}

TEST(SiteSplit, ADeviceWithoutACurveCountsWithItsMaximum) {
  topology::DeviceSpec steered;
  steered.id = steered.place = "s";
  steered.parent = "site";
  steered.max = watts(700);
  auto other = steered;
  other.id = other.place = "o";
  other.max = watts(300);
  SiteCurves curves;
  curves.curves = {
      {"c", {{"", watts(100), 1}, {"", watts(700), 7}}, false, "cap", "site.toml:3: id"}};
  curves.curve_of = {0, std::nullopt};
  const auto split =
      split_site(PowerTree::build({node("site", {}, 800)}, {steered, other}), curves);
  EXPECT_EQ(split.device_power[0], watts(500));
  EXPECT_EQ(split.device_power[1], watts(300));
  const auto none = split_site(PowerTree::build({node("site", {}, 350)}, {steered, other}), curves);
  EXPECT_EQ(none.status, Status::infeasible);
  ASSERT_EQ(none.overfull.size(), 1U);
  steered.max = watts(50);
  EXPECT_THAT(error_of([&] {
                static_cast<void>(split_site(
                    PowerTree::build({node("site", {}, 800)}, {steered, other}), curves));
              }),
              HasSubstr("all settings of the curve 'c' take more than the 50 W of device 's'"));
}

}  // namespace
}  // namespace perwatt::allocate
