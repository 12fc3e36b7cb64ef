#include "perwatt/allocate/allocator.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include "cut.hpp"
#include "expectations.hpp"
#include "lp_oracle.hpp"
#include "random_problem.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::allocate {
namespace {

using ::testing::ElementsAre;

TEST(Allocator, EqualsLinearProgramOnRandomTrees) {
  for (std::uint64_t seed = 0; seed < 2500; ++seed) {
    SCOPED_TRACE(seed);
    ProblemKind kind;
    kind.is_whole = seed % 3 == 0;
    kind.policy = seed % 5 == 0 ? Policy::priority : Policy::value;
    kind.tightness = seed % 7 == 0 ? 20 : 0;
    expect_equals_program(RandomProblem{seed}.make(kind), 1e-7);
    if (HasFailure()) {
      return;
    }
  }
}

TEST(Allocator, PricesAreTheChangesOfOneWattMoreAndOneLess) {
  int priced = 0;
  int corners = 0;
  for (std::uint64_t seed = 0; seed < 700; ++seed) {
    SCOPED_TRACE(seed);
    ProblemKind kind;
    kind.is_whole = true;  // between whole watts values are straight
    kind.most_nodes = 12;
    kind.most_devices = 20;
    kind.policy = seed % 4 == 0 ? Policy::priority : Policy::value;
    const Problem problem = RandomProblem{seed}.make(kind);
    Allocator allocator{problem};
    const auto& answer = allocator.solve();
    ASSERT_EQ(answer.status, Status::optimal);
    for (std::size_t n = 0; n < answer.nodes.size(); ++n) {
      if (std::isinf(problem.nodes()[n].limit.in_base())) {
        EXPECT_EQ(answer.nodes[n].price_per_watt, 0);
        continue;
      }
      Allocator more{with_limit(problem, n, 1)};
      EXPECT_NEAR(more.solve().value - answer.value, answer.nodes[n].price_per_watt, 1e-9) << n;
      priced += answer.nodes[n].price_per_watt != 0 ? 1 : 0;
      if (problem.nodes()[n].limit < watts(1)) {
        continue;
      }
      Allocator less{with_limit(problem, n, -1)};
      const auto& shorter = less.solve();
      EXPECT_EQ(shorter.status == Status::optimal, answer.nodes[n].loss_per_watt.has_value()) << n;
      if (shorter.status == Status::optimal && answer.nodes[n].loss_per_watt) {
        EXPECT_NEAR(answer.value - shorter.value, *answer.nodes[n].loss_per_watt, 1e-9) << n;
        corners += *answer.nodes[n].loss_per_watt != answer.nodes[n].price_per_watt ? 1 : 0;
      }
    }
    if (HasFailure()) {
      return;
    }
  }
  EXPECT_GT(priced, 500);
  EXPECT_GT(corners, 100);
}

TEST(Allocator, MoreLimitNeverLowersTheValue) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    ProblemKind kind;
    kind.guarantees = seed % 6 == 0 ? 1 : 0;
    const Problem problem = RandomProblem{seed}.make(kind);
    Allocator allocator{problem};
    const Allocation before = allocator.solve();
    for (std::size_t n = 0; n < problem.nodes().size(); n += 3) {
      Allocator more{with_limit(problem, n, RandomProblem{seed + n}.share(0, 20))};
      const auto& after = more.solve();
      if (before.status == Status::optimal) {
        ASSERT_EQ(after.status, Status::optimal);
        EXPECT_GE(after.value, before.value - 1e-9 * std::abs(before.value)) << seed;
      }
    }
  }
}

/// The same tree with children and devices in another order.
Problem shuffled(const Problem& problem, std::mt19937_64& random, std::vector<std::size_t>& node_to,
                 std::vector<std::size_t>& device_to) {
  Problem other{problem.policy()};
  node_to.assign(problem.nodes().size(), 0);
  std::vector<std::size_t> ready{0};
  std::vector<std::vector<std::size_t>> children(problem.nodes().size());
  for (std::size_t n = 1; n < problem.nodes().size(); ++n) {
    children[static_cast<std::size_t>(*problem.nodes()[n].parent)].push_back(n);
  }
  while (!ready.empty()) {
    const std::size_t pick =
        std::uniform_int_distribution<std::size_t>{0, ready.size() - 1}(random);
    const std::size_t n = ready[pick];
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(pick));
    std::optional<NodeIndex> parent = problem.nodes()[n].parent;
    if (parent) {
      parent = NodeIndex{static_cast<std::uint32_t>(node_to[static_cast<std::size_t>(*parent)])};
    }
    node_to[n] = static_cast<std::size_t>(other.add_node(parent, problem.nodes()[n].limit));
    ready.insert(ready.end(), children[n].begin(), children[n].end());
  }
  std::vector<std::size_t> order(problem.devices().size());
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(order.begin(), order.end(), random);
  device_to.assign(order.size(), 0);
  for (const std::size_t d : order) {
    const auto& device = problem.devices()[d];
    device_to[d] = static_cast<std::size_t>(other.add_device(
        NodeIndex{static_cast<std::uint32_t>(node_to[static_cast<std::size_t>(device.parent)])},
        problem.curve(DeviceIndex{static_cast<std::uint32_t>(d)}), device.terms));
  }
  return other;
}

TEST(Allocator, OrderOfNodesAndDevicesChangesNothing) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    ProblemKind kind;
    kind.is_whole = seed % 2 == 0;  // many ties
    kind.policy = seed % 3 == 0 ? Policy::priority : Policy::value;
    const Problem problem = RandomProblem{seed}.make(kind);
    std::mt19937_64 random{seed};
    std::vector<std::size_t> node_to;
    std::vector<std::size_t> device_to;
    Allocator one{problem};
    Allocator other{shuffled(problem, random, node_to, device_to)};
    const auto& a = one.solve();
    const auto& b = other.solve();
    ASSERT_EQ(a.status, b.status);
    if (seed % 2 == 0) {
      EXPECT_EQ(a.value, b.value);
    } else {
      EXPECT_NEAR(a.value, b.value, 1e-12 * std::abs(a.value));
    }
    for (std::size_t d = 0; d < device_to.size(); ++d) {
      EXPECT_NEAR(a.device_watts[d].in_base(), b.device_watts[device_to[d]].in_base(), 1e-9);
    }
    for (std::size_t n = 0; n < node_to.size(); ++n) {
      EXPECT_NEAR(a.nodes[n].price_per_watt, b.nodes[node_to[n]].price_per_watt, 1e-12);
    }
  }
}

TEST(Allocator, SubtreeDependsOnlyOnTheWattsItIsGiven) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const Problem problem = RandomProblem{seed}.make({});
    Allocator whole{problem};
    const Allocation answer = whole.solve();
    const std::size_t top = seed % problem.nodes().size();
    std::vector<std::optional<NodeIndex>> place(problem.nodes().size());
    Problem part{Policy::value};
    std::vector<std::size_t> devices;
    for (std::size_t n = top; n < problem.nodes().size(); ++n) {
      const auto parent = problem.nodes()[n].parent;
      if (n == top) {
        place[n] = part.add_node(std::nullopt, answer.nodes[n].power);
      } else if (parent && place[static_cast<std::size_t>(*parent)]) {
        place[n] =
            part.add_node(place[static_cast<std::size_t>(*parent)], problem.nodes()[n].limit);
      }
    }
    double value = 0;
    for (std::size_t d = 0; d < problem.devices().size(); ++d) {
      const auto at = place[static_cast<std::size_t>(problem.devices()[d].parent)];
      const auto curve = problem.curve(DeviceIndex{static_cast<std::uint32_t>(d)});
      if (at) {
        part.add_device(*at, curve);
        devices.push_back(d);
        value += value_at(curve, answer.device_watts[d]);
      }
    }
    Allocator alone{part};
    const auto& again = alone.solve();
    ASSERT_EQ(again.status, Status::optimal);
    EXPECT_NEAR(again.value, value, 1e-9 * (1 + std::abs(value)));
    for (std::size_t i = 0; i < devices.size(); ++i) {
      EXPECT_NEAR(again.device_watts[i].in_base(), answer.device_watts[devices[i]].in_base(), 1e-7);
    }
  }
}

/// All splits of whole watts, by trying.
double best_by_trying(const Problem& problem, std::vector<double>& watts_of, std::size_t d) {
  if (d == watts_of.size()) {
    std::vector<double> used(problem.nodes().size(), 0.0);
    double value = 0;
    for (std::size_t i = 0; i < watts_of.size(); ++i) {
      value +=
          value_at(problem.curve(DeviceIndex{static_cast<std::uint32_t>(i)}), watts(watts_of[i]));
      for (std::optional<NodeIndex> n = problem.devices()[i].parent; n;
           n = problem.nodes()[static_cast<std::size_t>(*n)].parent) {
        used[static_cast<std::size_t>(*n)] += watts_of[i];
      }
    }
    for (std::size_t n = 0; n < used.size(); ++n) {
      if (used[n] > problem.nodes()[n].limit.in_base()) {
        return -1;
      }
    }
    return value;
  }
  const auto curve = problem.curve(DeviceIndex{static_cast<std::uint32_t>(d)});
  double best = -1;
  for (double w = curve.front().power.in_base(); w <= curve.back().power.in_base(); ++w) {
    watts_of[d] = w;
    best = std::max(best, best_by_trying(problem, watts_of, d + 1));
  }
  return best;
}

TEST(Allocator, EqualsTryingAllSplitsOfWholeWatts) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    ProblemKind kind;
    kind.is_whole = true;
    kind.most_nodes = 5;
    kind.most_devices = 3;
    const Problem problem = RandomProblem{seed}.make(kind);
    Allocator allocator{problem};
    std::vector<double> watts_of(problem.devices().size());
    EXPECT_EQ(allocator.solve().value, best_by_trying(problem, watts_of, 0)) << seed;
  }
}

TEST(Allocator, AThousandTimesAThousandDeepOrWideIsSolved) {
  const std::vector<CurvePoint> curve{{watts(1), 0}, {watts(2), 2}, {watts(4), 3}};
  constexpr int kMany = 1000000;
  Problem deep{Policy::value};
  auto node = deep.add_node(std::nullopt, watts(1.2 * kMany));
  for (int i = 1; i < kMany; ++i) {  // each limit a little below what reaches it
    deep.add_device(node, curve);
    node = deep.add_node(node, watts(1.2 * (kMany - i)));
  }
  Allocator deep_allocator{std::move(deep)};
  const auto& deep_answer = deep_allocator.solve();
  EXPECT_EQ(deep_answer.status, Status::optimal);
  EXPECT_NEAR(deep_answer.nodes[0].power.in_base(), 1.2 * kMany, 2);

  Problem wide{Policy::value};
  const auto root = wide.add_node(std::nullopt, watts(2.5 * kMany));
  for (int i = 0; i < kMany; ++i) {
    wide.add_device(wide.add_node(root, watts(3)), curve);
  }
  Allocator wide_allocator{std::move(wide)};
  const auto& wide_answer = wide_allocator.solve();
  EXPECT_EQ(wide_answer.value, 2.25 * kMany);
  EXPECT_EQ(wide_answer.nodes[0].price_per_watt, 0.5);
  EXPECT_EQ(wide_answer.device_watts.front(), wide_answer.device_watts.back());  // ties share
}

TEST(Allocator, ResolveIsWhatASolveFromNothingFinds) {
  int changed = 0;
  std::size_t updated = 0;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    ProblemKind kind;
    kind.most_nodes = 60;
    kind.most_devices = 600;
    kind.is_whole = seed % 4 == 0;
    kind.policy = seed % 3 == 0 ? Policy::priority : Policy::value;
    Problem problem = RandomProblem{seed}.make(kind);
    RandomProblem random{seed + 1000};
    Allocator allocator{problem};
    allocator.solve();
    for (int step = 0; step < 30; ++step) {
      const int devices = static_cast<int>(problem.devices().size());
      for (int i = random.whole(0, 1 + devices / 50); i >= 0; --i) {
        const DeviceIndex device{static_cast<std::uint32_t>(random.whole(0, devices - 1))};
        const auto curve = random.whole(0, 60) == 0 ? random.curve(kind.is_whole)
                                                    : random.scaled(problem.curve(device));
        problem.set_curve(device, curve);
        allocator.set_curve(device, curve);
      }
      if (random.whole(0, 2) == 0) {
        const auto n =
            static_cast<std::size_t>(random.whole(0, static_cast<int>(problem.nodes().size()) - 1));
        const NodeIndex node{static_cast<std::uint32_t>(n)};
        Watts limit = problem.nodes()[n].limit * random.share(0.98, 1.02);
        if (random.whole(0, 9) == 0) {  // one limit goes, or comes
          limit = std::isinf(limit.in_base()) ? watts(500)
                                              : watts(std::numeric_limits<double>::infinity());
        }
        problem.set_limit(node, limit);
        allocator.set_limit(node, limit);
      }
      const auto& answer = allocator.resolve();
      Allocator fresh{problem};
      const auto& expected = fresh.solve();
      ASSERT_EQ(answer.status, expected.status) << step;
      if (expected.status != Status::optimal) {
        continue;
      }
      ASSERT_NEAR(answer.value, expected.value, 1e-9 * (1 + std::abs(expected.value))) << step;
      for (std::size_t d = 0; d < problem.devices().size(); ++d) {
        ASSERT_NEAR(answer.device_watts[d].in_base(), expected.device_watts[d].in_base(), 1e-7)
            << step << " device " << d;
      }
      for (std::size_t n = 0; n < problem.nodes().size(); ++n) {
        ASSERT_NEAR(answer.nodes[n].power.in_base(), expected.nodes[n].power.in_base(), 1e-7);
        ASSERT_NEAR(answer.nodes[n].price_per_watt, expected.nodes[n].price_per_watt, 1e-9) << n;
        ASSERT_EQ(answer.nodes[n].loss_per_watt.has_value(),
                  expected.nodes[n].loss_per_watt.has_value());
        ASSERT_NEAR(answer.nodes[n].loss_per_watt.value_or(0),
                    expected.nodes[n].loss_per_watt.value_or(0), 1e-9)
            << n;
      }
      ++changed;
    }
    updated += allocator.update_count();
  }
  EXPECT_GT(changed, 1000);
  EXPECT_GT(updated, 1000U);
}

/// A chain solved by a list in order: each limit lets the least worth go.
double value_of_chain(const std::vector<std::vector<Piece<double>>>& added,
                      const std::vector<double>& limits) {
  std::vector<Piece<double>> kept;
  for (std::size_t n = 0; n < limits.size(); ++n) {
    kept.insert(kept.end(), added[n].begin(), added[n].end());
    std::sort(kept.begin(), kept.end(), comes_first<double>);
    double watts = 0;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      watts += kept[i].watts;
      if (watts > limits[n]) {
        kept[i].watts -= watts - limits[n];
        kept.resize(i + 1);
      }
    }
  }
  double value = 0;
  for (const auto& piece : kept) {
    value += piece.key * piece.watts;
  }
  return value;
}

TEST(Allocator, LongChainsOfLimitsKeepTheBest) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    RandomProblem random{seed};
    std::vector<std::vector<Piece<double>>> added;
    std::vector<double> limits;
    double watts_below = 0;
    const int length = random.whole(10, 60);
    for (int n = 0; n < length; ++n) {
      const int more = n == 0
                           ? random.whole(800, 2000)
                           : (random.whole(0, 7) == 0 ? random.whole(20, 400) : random.whole(0, 2));
      added.emplace_back();
      for (int i = 0; i < more; ++i) {
        added.back().push_back({static_cast<double>(random.whole(1, 100000)),
                                static_cast<double>(random.whole(1, 9))});
        watts_below += added.back().back().watts;
      }
      limits.push_back(std::max(1.0, watts_below - random.whole(-1, 40)));
      watts_below = std::min(watts_below, limits.back());
    }
    Problem problem{Policy::value};
    std::vector<NodeIndex> nodes;
    for (std::size_t n = limits.size(); n-- > 0;) {
      nodes.push_back(problem.add_node(nodes.empty() ? std::nullopt : std::optional{nodes.back()},
                                       watts(limits[n])));
      for (const auto& piece : added[n]) {
        problem.add_device(
            nodes.back(),
            std::vector<CurvePoint>{{watts(0), 0}, {watts(piece.watts), piece.key * piece.watts}});
      }
    }
    Allocator allocator{std::move(problem)};
    EXPECT_EQ(allocator.solve().value, value_of_chain(added, limits)) << seed;
  }
}

TEST(Allocator, DecimalLimitsMetExactlyAreMetInAnyOrder) {
  int met = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    RandomProblem random{seed};
    std::vector<double> widths;
    double sum = 0;
    const int count = random.whole(2, 9);
    for (int i = 0; i < count; ++i) {
      widths.push_back(random.whole(1, 9999) / 10.0);
      sum += widths.back();
    }
    const double limit = std::round(sum * 10) / 10;
    std::shuffle(widths.begin(), widths.end(), std::mt19937_64{seed});
    Problem problem{Policy::value};
    const auto root = problem.add_node(std::nullopt, watts(limit + 1));
    const auto rack = problem.add_node(root, watts(limit));
    double value = 0;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const double slope = 10.0 + static_cast<double>(i);
      problem.add_device(
          rack, std::vector<CurvePoint>{{watts(0), 0}, {watts(widths[i]), widths[i] * slope}});
      value += widths[i] * slope;
    }
    problem.add_device(root, std::vector<CurvePoint>{{watts(0), 0}, {watts(1), 0.5}});
    problem.add_device(root, std::vector<CurvePoint>{{watts(0), 0}, {watts(1), 1}});
    Allocator allocator{std::move(problem)};
    const auto& answer = allocator.solve();
    EXPECT_NEAR(answer.value, value + 1, 1e-9 * value);
    EXPECT_EQ(answer.nodes[1].price_per_watt, 0);
    EXPECT_NEAR(answer.nodes[1].loss_per_watt.value(), 10 - 0.5, 1e-9);
    ++met;
  }
  EXPECT_EQ(met, 400);
}

TEST(Allocator, ResolveOnADeepTreeIsASolve) {
  constexpr int kDeep = 20000;
  const std::vector<CurvePoint> curve{{watts(1), 0}, {watts(2), 2}, {watts(4), 3}};
  Problem problem{Policy::value};
  auto node = problem.add_node(std::nullopt, watts(1.2 * kDeep));
  for (int i = 1; i < kDeep; ++i) {
    problem.add_device(node, curve);
    node = problem.add_node(node, watts(1.2 * (kDeep - i)));
  }
  Allocator allocator{problem};
  allocator.solve();
  for (std::uint32_t d = 0; d < 20; ++d) {
    const std::vector<CurvePoint> other{{watts(1), 0}, {watts(2), 2.5 + d}, {watts(4), 4.0 + d}};
    allocator.set_curve(DeviceIndex{d * 900}, other);
    problem.set_curve(DeviceIndex{d * 900}, other);
    Allocator fresh{problem};
    EXPECT_NEAR(allocator.resolve().value, fresh.solve().value, 1e-6);
  }
}

TEST(Allocator, InfeasibleIsAnAnswerWithItsNodes) {
  Problem problem{Policy::value};
  const auto root = problem.add_node(std::nullopt, watts(100));
  const auto rack = problem.add_node(root, watts(10));
  problem.add_device(rack, std::vector<CurvePoint>{{watts(12), 1}});
  Allocator allocator{problem};
  const auto& answer = allocator.solve();
  EXPECT_EQ(answer.status, Status::infeasible);
  EXPECT_THAT(answer.overfull, ElementsAre(rack));
}

TEST(CurveFault, SaysWhatIsWrong) {
  const auto fault = [](std::vector<CurvePoint> curve) { return curve_fault(curve).has_value(); };
  EXPECT_FALSE(fault({{watts(0), 0}}));
  EXPECT_FALSE(fault({{watts(0), 0}, {watts(1), 2}, {watts(2), 1}}));
  EXPECT_TRUE(fault({}));
  EXPECT_TRUE(fault({{watts(0), 0}, {watts(1), 1}, {watts(2), 3}}));
  EXPECT_TRUE(fault({{watts(1), 0}, {watts(1), 1}}));
  EXPECT_TRUE(fault({{watts(-1), 0}}));
  EXPECT_TRUE(fault({{watts(0), std::numeric_limits<double>::quiet_NaN()}}));
  EXPECT_TRUE(fault({{watts(0), 0}, {watts(std::numeric_limits<double>::infinity()), 1}}));
  EXPECT_TRUE(fault({{watts(0), 0}, {watts(1e16), 1}}));
}

}  // namespace
}  // namespace perwatt::allocate
