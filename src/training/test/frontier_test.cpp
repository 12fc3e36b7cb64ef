#include "perwatt/training/frontier.hpp"

#include "error_of.hpp"
#include "training_cases.hpp"
#include <ClpSimplex.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::training {
namespace {

/// The least effective energy of an iteration of at most a given time, by Clp: each operation mixes
/// its raw options with weights that add up to 1. Knows nothing of hulls or flows.
class LinearProgram {
 public:
  explicit LinearProgram(const Pipeline& pipeline) : tail_{pipeline.tail.in_base()} {
    const auto operations = static_cast<int>(pipeline.operations.size());
    simplex_.setLogLevel(0);
    simplex_.setPrimalTolerance(1e-11);
    simplex_.setDualTolerance(1e-11);
    simplex_.resize(0, operations + 1);  // begins, and the end of the last
    for (int i = 0; i <= operations; ++i) {
      simplex_.setColumnBounds(i, 0, COIN_DBL_MAX);
    }
    last_ = operations;
    std::vector<int> first_weight;
    for (const auto& operation : pipeline.operations) {
      const auto& all = pipeline.works[operation.work].all;
      first_weight.push_back(simplex_.numberColumns());
      for (const auto& option : all) {
        simplex_.addColumn(0, nullptr, nullptr, 0, 1, option.effective_energy.in_base());
      }
      std::vector<int> columns;
      for (std::size_t k = 0; k < all.size(); ++k) {
        columns.push_back(first_weight.back() + static_cast<int>(k));
      }
      const std::vector<double> ones(columns.size(), 1.0);
      simplex_.addRow(static_cast<int>(columns.size()), columns.data(), ones.data(), 1, 1);
    }
    const auto add_wait = [&](int before, int after, double delay) {
      std::vector<int> columns{after, before};
      std::vector<double> factors{1, -1};
      const auto& all = pipeline.work_of(static_cast<std::uint32_t>(before)).all;
      for (std::size_t k = 0; k < all.size(); ++k) {
        columns.push_back(first_weight[static_cast<std::size_t>(before)] + static_cast<int>(k));
        factors.push_back(-all[k].time.in_base());
      }
      simplex_.addRow(static_cast<int>(columns.size()), columns.data(), factors.data(), delay,
                      COIN_DBL_MAX);
    };
    for (const auto& dependency : pipeline.dependencies) {
      add_wait(static_cast<int>(dependency.before), static_cast<int>(dependency.after),
               dependency.delay.in_base());
    }
    for (int i = 0; i < operations; ++i) {
      add_wait(i, last_, 0);
    }
  }

  double effective_energy(double time) {
    simplex_.setColumnBounds(last_, 0, time - tail_);
    simplex_.dual();
    EXPECT_TRUE(simplex_.isProvenOptimal());
    return simplex_.objectiveValue();
  }

 private:
  ClpSimplex simplex_;
  int last_ = 0;
  double tail_;
};

void expect_equal_to_linear_program(const Pipeline& pipeline) {
  constexpr int kTimes = 100 / kThinning;
  const auto frontier = TimeEnergyFrontier::of(pipeline);
  LinearProgram program{pipeline};
  const double fastest = frontier.fastest().in_base();
  const double slowest = frontier.slowest().in_base();
  for (int i = 0; i < kTimes; ++i) {
    // From just above the fastest, where Clp's tolerance decides, to beyond the slowest.
    const double time = fastest + 1e-9 + (slowest * 1.1 - fastest) * i / kTimes;
    const double expected = program.effective_energy(time);
    EXPECT_NEAR(frontier.effective_energy(seconds(time)).in_base(), expected,
                2e-9 * std::abs(expected) + 5e-8)
        << "at " << time << " s of " << fastest << " to " << slowest;
  }
}

TEST(Frontier, EqualsALinearProgramOnRandomGraphs) {
  Random random{20261130};
  for (int i = 0; i < 70; ++i) {
    expect_equal_to_linear_program(random_graph(random, random_whole(random, 1, 12), 6));
  }
}

TEST(Frontier, EqualsALinearProgramOnRandomLayers) {
  Random random{7};
  for (int i = 0; i < 70; ++i) {
    expect_equal_to_linear_program(
        random_layers(random, random_whole(random, 1, 4), random_whole(random, 1, 4), 6));
  }
}

TEST(Frontier, EqualsALinearProgramOnRandomSeriesParallelGraphs) {
  Random random{8};
  for (int i = 0; i < 70; ++i) {
    expect_equal_to_linear_program(random_series_parallel(random, random_whole(random, 1, 12), 6));
  }
}

TEST(Frontier, EqualsALinearProgramOnRandomSchedules) {
  Random random{42};
  for (int i = 0; i < 70; ++i) {
    expect_equal_to_linear_program(random_schedule(random));
  }
}

class ExactFrontier : public testing::TestWithParam<int> {};

// tests/data/training/lp_bounds; times there have nine decimals.
TEST_P(ExactFrontier, EqualsTheRecordedOneAtEveryBreakpoint) {
  const auto path = kTrainingData + "lp_bounds/exact_lp_frontier_gpt3-175b_a100sxm_S8_M" +
                    std::to_string(GetParam()) + ".csv";
  const auto table = CsvTable::parse(read_file(path), path);
  const auto frontier = TimeEnergyFrontier::of(gpt3_a100(GetParam()));
  ASSERT_EQ(frontier.points().size(), table.rows().size());
  for (std::size_t i = 0; i < table.rows().size(); ++i) {
    const auto field = [&](const char* name) {
      return *parse_number(table.rows()[i].fields[table.require(name)]);
    };
    const auto& point = frontier.points()[i];
    EXPECT_NEAR(point.time.in_base(), field("T_s"), 2e-9 * field("T_s"));
    const auto at = std::max(seconds(field("T_s")), frontier.fastest());
    EXPECT_NEAR(frontier.effective_energy(at).in_base(), field("effective_cost_J"),
                2e-9 * field("effective_cost_J"));
    EXPECT_NEAR(frontier.energy(at).in_base(), field("energy_J"), 2e-9 * field("energy_J"));
    EXPECT_NEAR(point.slope.in_base(), field("slope_J_per_s"), 1e-6 * (1 + field("slope_J_per_s")));
  }
}

INSTANTIATE_TEST_SUITE_P(Microbatches, ExactFrontier, testing::Values(12, 24, 48, 96));

TEST(Frontier, IsConvexAndEndsAtTheFastestAndTheCheapest) {
  Random random{3};
  for (int i = 0; i < 200; ++i) {
    const auto pipeline = random_schedule(random);
    const auto frontier = TimeEnergyFrontier::of(pipeline);
    const auto& points = frontier.points();
    for (std::size_t k = 1; k < points.size(); ++k) {
      EXPECT_LT(points[k].time, points[k - 1].time);
      EXPECT_GT(points[k].slope, k > 1 ? points[k - 1].slope : Watts{});
      EXPECT_GT(points[k].effective_energy, points[k - 1].effective_energy);
    }
    const auto ends = [&](bool is_fast) {
      std::vector<const Option*> chosen;
      for (const auto& operation : pipeline.operations) {
        const auto& options = pipeline.works[operation.work].options;
        chosen.push_back(is_fast ? &options.back() : &options.front());
      }
      return replay(pipeline, Makespan{pipeline, topological_order(pipeline, "")}, chosen);
    };
    EXPECT_NEAR(frontier.fastest() / ends(true).time, 1, 1e-9);
    EXPECT_NEAR(frontier.slowest() / ends(false).time, 1, 1e-9);
    EXPECT_NEAR((points.front().effective_energy - ends(false).effective_energy).in_base(), 0,
                1e-7);
  }
}

TEST(Frontier, LeastEnergyIsLeast) {
  const auto frontier = TimeEnergyFrontier::of(gpt3_a100(12));
  const auto least = frontier.energy(frontier.least_energy_time());
  for (const auto& point : frontier.points()) {
    EXPECT_GE(frontier.energy(point.time), least);
  }
}

TEST(Frontier, MeanPowerAtTheTimeUnderACapIsTheCap) {
  const auto frontier = TimeEnergyFrontier::of(gpt3_a100(12));
  for (const double cap : {700.0, 1000.0, 1500.0, 1708.0, 2000.0, 2170.0}) {
    const auto time = frontier.time_under_power(watts(cap));
    ASSERT_TRUE(time);
    EXPECT_NEAR((frontier.energy(*time) / *time).in_base(), cap, 1e-6);
  }
  EXPECT_EQ(frontier.time_under_power(watts(3000)), frontier.fastest());
  EXPECT_FALSE(frontier.time_under_power(watts(8 * kA100BlockingWatts)));
}

TEST(Frontier, OneOperationHasItsOwnHull) {
  Pipeline pipeline;
  pipeline.stages = 1;
  std::vector<ProfileRow> rows(4);
  const double times[] = {4, 3, 2, 1};
  const double energies[] = {1, 5, 4, 10};  // the second lies above the line
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].time = seconds(times[i]);
    rows[i].energy = Joules::from_base(energies[i]);
  }
  pipeline.works.push_back(make_work(rows, Watts{}));
  pipeline.operations.push_back({0, 0});
  pipeline.order = {{0}};
  EXPECT_EQ(pipeline.works[0].dominated, 1u);
  const auto frontier = TimeEnergyFrontier::of(pipeline);
  ASSERT_EQ(frontier.points().size(), 3u);
  EXPECT_DOUBLE_EQ(frontier.points()[1].time.in_base(), 2);
  EXPECT_NEAR(frontier.points()[1].slope.in_base(), 1.5, 1e-9);
  EXPECT_NEAR(frontier.effective_energy(seconds(1.5)).in_base(), 7, 1e-9);
}

// A finite branch beside one without an end, at the same time: the flow stops there.
TEST(Frontier, EndsWhereOnePathCannotBeShorter) {
  const auto profile = read_profile(
      "stage,instruction,frequency,time,energy\n"
      "0,forward,1400,1,32\n0,backward,1400,1,30\n0,backward,1200,3,16\n1,forward,1400,1,32\n"
      "1,backward,1400,1,32\n1,backward,1200,3,15\n1,backward,1100,4,13\n2,forward,1400,1,32\n"
      "2,backward,1400,1,30\n",
      "p.csv");
  expect_equal_to_linear_program(make_pipeline(profile, shape_of(3, 2, "1f1b", 1)));
}

TEST(Frontier, SlopesBeyondTheFlowUnitStayFinite) {
  const auto profile = read_profile(
      "stage,instruction,frequency,time,energy\n0,forward,1410,1,5\n"
      "0,forward,1400,1.000000000001,4\n0,backward,1410,1,4\n",
      "p.csv");
  const auto frontier = TimeEnergyFrontier::of(make_pipeline(profile, shape_of(1, 1, "1f1b", 0)));
  ASSERT_EQ(frontier.points().size(), 2u);
  EXPECT_NEAR(frontier.points().back().effective_energy.in_base(), 9, 1e-6);
}

TEST(Frontier, WaitingMayDrawMoreThanWorking) {
  const auto profile = read_profile(
      "stage,instruction,frequency,time,energy\n0,forward,1400,1,300\n0,forward,1200,2,300\n"
      "0,backward,1400,1,300\n0,backward,1200,2,300\n",
      "p.csv");
  const auto pipeline = make_pipeline(profile, shape_of(1, 1, "1f1b", 300));
  const auto frontier = TimeEnergyFrontier::of(pipeline);
  EXPECT_NEAR(frontier.time_under_power(watts(200))->in_base(), 3, 1e-9);
  EXPECT_FALSE(frontier.time_under_power(watts(149)));
}

TEST(Frontier, ACircleIsRefused) {
  Random random{1};
  auto pipeline = random_graph(random, 3, 2);
  pipeline.dependencies = {{0, 1, Seconds{}}, {1, 2, Seconds{}}, {2, 0, Seconds{}}};
  EXPECT_THAT(error_of([&] { static_cast<void>(TimeEnergyFrontier::of(pipeline)); }),
              testing::HasSubstr("waits for itself through other operations"));
}

}  // namespace
}  // namespace perwatt::training
