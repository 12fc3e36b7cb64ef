#include "perwatt/training/trace_power.hpp"

#include <cmath>
#include <random>

#include "error_of.hpp"
#include "trace_text.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/training/profile.hpp"
#include "perwatt/training/trace_profile.hpp"

namespace perwatt::training {
namespace {

using ::testing::HasSubstr;

/// `rounds` times: forward 30 ms, idle 10 ms, backward 60 ms.
JobTimeline job_of(int rounds) {
  TraceText text;
  text.members += R"(, "distributedInfo": {"rank": 0, "world_size": 1})";
  for (int i = 0; i < rounds; ++i) {
    const int at = i * 100'000;
    text.kernel("f", 7, at, at + 30'000)
        .annotation("forward", 7, at, at + 30'000)
        .kernel("b", 7, at + 40'000, at + 100'000)
        .annotation("backward", 7, at + 40'000, at + 100'000);
  }
  return make_job_timeline({text.read()}, {});
}

RankTrace with_rank_0(const TraceText& text) {
  auto trace = text.read();
  trace.rank = 0;
  return trace;
}

/// Watts of backward, forward and waiting, in the order of the phases.
constexpr double kTruth[] = {500, 400, 80};

double truth_at(int microsecond) {
  const int at = microsecond % 100'000;
  return kTruth[at < 30'000 ? 1 : at < 40'000 ? 2 : 0];
}

double mean_truth(int from, int to) {
  double sum = 0;
  for (int t = from; t < to; t += 100) {
    sum += truth_at(t) * 100;
  }
  return sum / (to - from);
}

std::vector<PowerReading> readings_over(int length, int period, int averaging, double noise) {
  std::mt19937 random{7};
  std::normal_distribution<double> error{0, noise};
  std::vector<PowerReading> readings;
  for (int at = averaging; at < length; at += period) {
    const double power = averaging > 0 ? mean_truth(at - averaging, at) : truth_at(at);
    readings.push_back({{at_us(at - averaging), at_us(at)}, watts(power + error(random))});
  }
  return readings;
}

RankPhases phases_of_job(const JobTimeline& job) {
  return phases_of(job.ranks[0], job.window());
}

TEST(TracePower, PhasesFillTheTime) {
  const auto phases = phases_of_job(job_of(2));
  EXPECT_THAT(phases.names, ::testing::ElementsAre("backward", "forward", "other", "waiting"));
  ASSERT_EQ(phases.pieces.size(), 6U);
  for (std::size_t i = 1; i < phases.pieces.size(); ++i) {
    EXPECT_EQ(phases.pieces[i].span.begin, phases.pieces[i - 1].span.end);
  }
  EXPECT_EQ(phases.pieces[1].phase, phases.waiting());
}

TEST(TracePower, AWaitForATransferInsideAnOperationIsWaiting) {
  const auto text =
      TraceText{}
          .kernel("f", 7, 0, 10)
          .kernel("ncclDevKernel_SendRecv", 24, 8, 30, collective("send", "pp", "[0, 1]"))
          .kernel("f", 7, 30, 40)
          .annotation("forward", 7, 0, 40);
  const auto job = make_job_timeline({text.read()}, {});
  const auto phases = phases_of_job(job);
  ASSERT_EQ(phases.pieces.size(), 3U);
  EXPECT_EQ(phases.pieces[1].phase, phases.waiting());
  EXPECT_EQ(phases.pieces[1].span, (TimeSpan{at_us(10), at_us(30)}));
  const auto figures = instruction_figures(job, 0, phases, {});
  EXPECT_DOUBLE_EQ(in_seconds(figures[0].time), 20e-6);
  EXPECT_FALSE(figures[0].energy);
}

struct Sampling {
  int period;     // us
  int averaging;  // us
};

class TracePowerSampled : public ::testing::TestWithParam<Sampling> {};

TEST_P(TracePowerSampled, PowersComeBackWithinTheirHalfWidths) {
  constexpr int kRounds = 100;
  const auto [period, averaging] = GetParam();
  const auto phases = phases_of_job(job_of(kRounds));
  const auto powers =
      attribute_power(phases, readings_over(kRounds * 100'000, period, averaging, 10), "p.csv");
  EXPECT_FALSE(powers[phases.other()]);
  for (const std::size_t p : {std::size_t{0}, std::size_t{1}, phases.waiting()}) {
    ASSERT_TRUE(powers[p]);
    const double truth = kTruth[p == phases.waiting() ? 2 : p];
    EXPECT_NEAR(in_watts(powers[p]->mean), truth, 1.5 * in_watts(powers[p]->half_width));
    EXPECT_LT(in_watts(powers[p]->half_width), 60);
    EXPECT_GT(in_watts(powers[p]->half_width), 0.1);
  }
}

INSTANTIATE_TEST_SUITE_P(Periods, TracePowerSampled,
                         ::testing::Values(Sampling{7'300, 0}, Sampling{23'700, 0},
                                           Sampling{23'700, 50'000}, Sampling{73'100, 130'000}));

TEST(TracePower, ReadingsThatCannotTellAreRefused) {
  const auto phases = phases_of_job(job_of(100));
  const auto error = [&](const std::vector<PowerReading>& readings) {
    return error_of([&] { static_cast<void>(attribute_power(phases, readings, "p.csv")); });
  };
  EXPECT_THAT(error(readings_over(10'000'000, 100'000, 0, 1)),
              HasSubstr("no power reading falls into backward"));
  EXPECT_THAT(error(readings_over(10'000'000, 100'000, 100'000, 1)), HasSubstr("do not tell"));
  EXPECT_THAT(error(readings_over(300'000, 27'000, 0, 1)), HasSubstr("power readings lie within"));
  auto upside_down = readings_over(10'000'000, 7'300, 0, 1);
  for (auto& reading : upside_down) {
    reading.power = watts(0) - reading.power;
  }
  EXPECT_THAT(error(upside_down), HasSubstr("below 0"));
}

TEST(TracePower, CountersGoBeforeReadingsAndStandStillBetweenRenewals) {
  device::MeterTrace meter;
  const auto add = [&](int at, double counter) {
    meter.readings.push_back({at_us(at), Joules::from_base(counter), watts(1)});
  };
  add(0, 10);
  add(100'000, 10);  // not renewed
  add(200'000, 50);
  add(300'000, 5);  // reset
  add(400'000, 25);
  const auto readings = power_readings(meter, seconds(1), seconds(0.1));
  ASSERT_EQ(readings.size(), 2U);
  EXPECT_NEAR(in_watts(readings[0].power), 200, 1e-9);
  EXPECT_EQ(readings[0].span, (TimeSpan{at_us(-100'000), at_us(100'000)}));
  EXPECT_NEAR(in_watts(readings[1].power), 200, 1e-9);
}

TEST(TracePower, ReadingsLookBackOverTheirAveraging) {
  device::MeterTrace meter;
  meter.readings.push_back({at_us(2'000'000), std::nullopt, watts(300)});
  const auto readings = power_readings(meter, seconds(1), seconds(0));
  ASSERT_EQ(readings.size(), 1U);
  EXPECT_EQ(readings[0].span, (TimeSpan{at_us(1'000'000), at_us(2'000'000)}));
}

TEST(TracePower, AHeldValueIsOneReading) {
  device::MeterTrace meter;
  const auto add = [&](int at, double power) {
    meter.readings.push_back({at_us(at), std::nullopt, watts(power)});
  };
  for (int i = 0; i < 12; ++i) {
    add(i * 10, 100 + i / 4);  // renewed at every fourth reading
  }
  const auto instants = power_readings(meter, Seconds{}, Seconds{});
  ASSERT_EQ(instants.size(), 2U);  // when the first value came is not known
  EXPECT_EQ(instants[0].span, (TimeSpan{at_us(30), at_us(40)}));
  EXPECT_DOUBLE_EQ(in_watts(instants[1].power), 102);
  const auto means = power_readings(meter, seconds(20e-6), Seconds{});
  ASSERT_EQ(means.size(), 3U);
  EXPECT_EQ(means[1].span, (TimeSpan{at_us(20), at_us(40)}));
}

TEST(TracePower, RanksCountByHowWellTheyAreKnown) {
  EXPECT_FALSE(mean_over_ranks({}));
  const std::vector<PhasePower> close = {{watts(80), watts(1)}, {watts(-20), watts(200)}};
  const auto mean = mean_over_ranks(close);
  EXPECT_NEAR(in_watts(mean->mean), 80 - 100 / 40001.0, 1e-9);
  EXPECT_NEAR(in_watts(mean->half_width), 200 / std::hypot(200, 1), 1e-9);
  const auto apart =
      mean_over_ranks(std::vector<PhasePower>{{watts(80), watts(1)}, {watts(90), watts(1)}});
  EXPECT_NEAR(in_watts(apart->half_width), 1.96 * 5, 1e-9);  // the scatter of the two
}

TEST(TraceProfile, WorkBehindTheOperationsIsOneOptimizer) {
  TraceText text;
  for (int i = 0; i < 3; ++i) {
    const int at = i * 1000;
    text.kernel("f", 7, at, at + 300)
        .annotation("forward", 7, at, at + 300)
        .kernel("adam", 7, at + 350, at + 450 + i * 10)
        .annotation("ProfilerStep#" + std::to_string(i), 7, at, at + 500);
  }
  const auto job = make_job_timeline({with_rank_0(text)}, {});
  const auto phases = phases_of_job(job);
  std::vector<std::optional<PhasePower>> powers = {PhasePower{watts(400), watts(4)},
                                                   PhasePower{watts(500), watts(5)}, std::nullopt};
  const auto closing = closing_figures(job, 0, phases, powers);
  ASSERT_TRUE(closing);
  EXPECT_EQ(closing->instruction, "optimizer");
  EXPECT_EQ(closing->count, 3U);
  EXPECT_NEAR(in_seconds(closing->time), 110e-6, 1e-12);
  EXPECT_NEAR(closing->energy->in_base(), 500 * 110e-6, 1e-12);
  powers[1]->half_width = watts(101);  // more than a fifth
  EXPECT_FALSE(closing_figures(job, 0, phases, powers));
}

TEST(TraceProfile, AnUncertainEnergyIsNoRow) {
  const auto job = job_of(3);
  const auto phases = phases_of_job(job);
  const std::vector<std::optional<PhasePower>> powers = {PhasePower{watts(500), watts(5)},
                                                         PhasePower{watts(400), watts(81)},
                                                         std::nullopt, std::nullopt};
  const auto figures = instruction_figures(job, 0, phases, powers);
  EXPECT_THAT(error_of([&] { static_cast<void>(profile_csv(job, figures, 1410, "", "out.csv")); }),
              HasSubstr("forward of rank 0 takes 12 ± 2.43 J"));
}

TEST(TraceProfile, RowsAreWhatTrainReads) {
  const auto job = job_of(3);
  const auto phases = phases_of_job(job);
  const std::vector<std::optional<PhasePower>> powers = {PhasePower{watts(500), watts(5)},
                                                         PhasePower{watts(400), watts(4)},
                                                         std::nullopt, std::nullopt};
  const auto figures = instruction_figures(job, 0, phases, powers);
  EXPECT_DOUBLE_EQ(figures[0].half_width->in_base(), 0.3);
  const auto first = profile_csv(job, figures, 1410, "", "out.csv");
  EXPECT_EQ(first,
            "rank,dp_rank,pp_rank,tp_rank,stage,instruction,frequency,time,energy\n"
            "0,0,0,0,0,backward,1410,0.06,30\n"
            "0,0,0,0,0,forward,1410,0.03,12\n");
  const auto both = profile_csv(job, figures, 1200, first, "out.csv");
  EXPECT_EQ(read_profile(both, "out.csv").rows.size(), 4U);
  const auto error = [&](const std::string& earlier, int clock) {
    return error_of(
        [&] { static_cast<void>(profile_csv(job, figures, clock, earlier, "out.csv")); });
  };
  auto other = first;
  other.replace(other.find(",30"), 3, ",31");
  EXPECT_THAT(error(other, 1410), HasSubstr("other figures"));
  EXPECT_THAT(error("stage,instruction,frequency,time,energy\n", 1410), HasSubstr("other columns"));
}

}  // namespace
}  // namespace perwatt::training
