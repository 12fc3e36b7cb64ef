#include "perwatt/training/schedule.hpp"

#include <map>
#include <set>

#include "error_of.hpp"
#include "training_cases.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::training {
namespace {

/// Every stage alike: one option per pass.
Profile even_profile(int stages, const std::map<std::string, double>& seconds_of) {
  Profile profile;
  profile.name = "even.csv";
  for (int stage = 0; stage < stages; ++stage) {
    for (const auto& [instruction, time] : seconds_of) {
      ProfileRow row;
      row.stage = stage;
      row.instruction = instruction;
      row.time = seconds(time);
      profile.rows.push_back(row);
    }
  }
  return profile;
}

double makespan(const Profile& profile, const PipelineShape& shape) {
  return replay_all_max(make_pipeline(profile, shape)).time.in_base();
}

// Bubbles of even stages: arXiv 2104.04473 section 2.2 (1F1B and GPipe (S-1)(F+B), interleaved
// divided by V), arXiv 2401.10241 table 2 (ZB-H1 (S-1)(F+B-W)).
TEST(Schedule, MakespansOfEvenStagesAreThePublishedOnes) {
  constexpr double kF = 1;
  constexpr double kB = 2;
  const auto profile = even_profile(4, {{"forward", kF}, {"backward", kB}});
  for (const int microbatches : {4, 8, 12, 32}) {
    const double work = microbatches * (kF + kB);
    EXPECT_NEAR(makespan(profile, shape_of(4, microbatches)), work + 3 * (kF + kB), 1e-9);
    EXPECT_NEAR(makespan(profile, shape_of(4, microbatches, "gpipe")), work + 3 * (kF + kB), 1e-9);
    for (const int chunks : {1, 2, 4}) {
      EXPECT_NEAR(
          makespan(profile, shape_of(4, microbatches, "interleaved:" + std::to_string(chunks))),
          work + 3 * (kF + kB) / chunks, 1e-9)
          << microbatches << " " << chunks;
    }
    const auto split =
        even_profile(4, {{"forward", 1}, {"backward_input", 1}, {"backward_weight", 1}});
    EXPECT_NEAR(makespan(split, shape_of(4, microbatches, "zero-bubble")),
                microbatches * 3.0 + 3 * 1.0, 1e-9)
        << microbatches;
  }
}

TEST(Schedule, EarlyRecomputationHidesInTheBubble) {
  const auto profile = even_profile(4, {{"forward", 1}, {"backward", 2}, {"recompute", 1}});
  // Recomputing takes the place of work on all stages but the last; waiting hides some of it.
  const double time = makespan(profile, shape_of(4, 8, "early-recompute"));
  EXPECT_LT(time, 8 * 4 + 3 * 4);
  EXPECT_GE(time, 8 * 4.0);
}

TEST(Schedule, EveryPassHappensOncePerStageAndMicrobatch) {
  const auto profile = even_profile(4, {{"forward", 1}, {"backward", 2}});
  for (const auto* schedule :
       {"1f1b", "gpipe", "interleaved:3", "early-recompute", "zero-bubble"}) {
    const auto pipeline = make_pipeline(profile, shape_of(4, 8, schedule));
    std::map<std::tuple<std::uint32_t, int>, int> seen;
    for (const auto& order : pipeline.order) {
      for (const auto operation : order) {
        ++seen[{pipeline.operations[operation].work, pipeline.operations[operation].microbatch}];
      }
    }
    EXPECT_EQ(seen.size(), pipeline.works.size() * 8) << schedule;
    for (const auto& [key, count] : seen) {
      EXPECT_EQ(count, 1) << schedule;
    }
    EXPECT_NO_THROW(static_cast<void>(topological_order(pipeline, "")));
  }
}

TEST(Schedule, OneForwardOneBackwardIsDeepSpeeds) {
  const auto profile = even_profile(3, {{"forward", 1}, {"backward", 2}});
  const auto pipeline = make_pipeline(profile, shape_of(3, 4));
  std::string first;
  for (const auto operation : pipeline.order[0]) {
    first += pipeline.work_of(operation).instruction[0] +
             std::to_string(pipeline.operations[operation].microbatch);
  }
  EXPECT_EQ(first, "f0f1f2b0f3b1b2b3");
}

TEST(Schedule, CollectivesAndOptimizerAreOperations) {
  auto profile = even_profile(2, {{"forward", 1},
                                  {"forward_collective", 0.5},
                                  {"backward", 2},
                                  {"backward_collective", 0.25},
                                  {"parameter_collective", 3},
                                  {"gradient_collective", 4},
                                  {"optimizer", 5}});
  std::sort(profile.rows.begin(), profile.rows.end(), [](const auto& a, const auto& b) {
    return std::tie(a.stage, a.instruction) < std::tie(b.stage, b.instruction);
  });
  // 3 + M (1.5 + 2.25) + one bubble of 3.75 + 4 + 5, but stage 1 gathers while stage 0 computes.
  EXPECT_NEAR(makespan(profile, shape_of(2, 3)), 3 + 4 * 3.75 + 4 + 5, 1e-9);
}

TEST(Schedule, TransferDelaysStagesAndTailTheEnd) {
  const auto profile = even_profile(3, {{"forward", 1}, {"backward", 2}});
  auto shape = shape_of(3, 1);
  shape.transfer = seconds(0.1);
  shape.tail = seconds(7);
  EXPECT_NEAR(makespan(profile, shape), 9 + 4 * 0.1 + 7, 1e-9);
}

TEST(Timeline, SlackIsWhatOneOperationMayTakeLonger) {
  Random random{20261130};
  for (int round = 0; round < 60; ++round) {
    auto pipeline = round % 2 == 0 ? random_graph(random, random_whole(random, 1, 25), 1)
                                   : random_schedule(random);
    pipeline.tail = seconds(0.5);
    const auto topological = topological_order(pipeline, "test");
    const Makespan makespan{pipeline, topological};
    std::vector<Seconds> times;
    for (const auto* option : all_max_choice(pipeline)) {
      times.push_back(option->time);
    }
    const auto timeline = makespan.timeline(times);
    for (const auto& dependency : pipeline.dependencies) {
      EXPECT_GE(timeline.begin[dependency.after] + seconds(1e-12),
                timeline.begin[dependency.before] + times[dependency.before] + dependency.delay);
    }
    const auto whole = makespan(times);
    Seconds last;
    for (std::size_t i = 0; i < times.size(); ++i) {
      last = std::max(last, timeline.begin[i] + times[i]);
      const auto own = times[i];
      times[i] = own + timeline.slack[i];
      EXPECT_NEAR(makespan(times).in_base(), whole.in_base(), 1e-9) << round << " " << i;
      times[i] = own + timeline.slack[i] + seconds(0.001);
      EXPECT_NEAR(makespan(times).in_base(), whole.in_base() + 0.001, 1e-9) << round << " " << i;
      times[i] = own;
    }
    EXPECT_NEAR((last + pipeline.tail).in_base(), whole.in_base(), 1e-9);
    // Nobody begins later than it must: the first at once.
    EXPECT_EQ(*std::min_element(timeline.begin.begin(), timeline.begin.end()), Seconds{});
  }
}

TEST(Schedule, WhatTheProfileLacksIsNamed) {
  const auto profile = even_profile(3, {{"forward", 1}, {"backward", 2}});
  EXPECT_THAT(error_of([&] { static_cast<void>(make_pipeline(profile, shape_of(4, 4))); }),
              testing::HasSubstr("stage 3 has no rows of forward"));
  EXPECT_THAT(error_of([&] { static_cast<void>(make_pipeline(profile, shape_of(2, 4))); }),
              testing::HasSubstr("--stages 3"));
  EXPECT_THAT(
      error_of([&] { static_cast<void>(make_pipeline(profile, shape_of(3, 4, "interleaved:2"))); }),
      testing::HasSubstr("multiple of the stages"));
  EXPECT_THAT(error_of([] { static_cast<void>(parse_schedule("1f2b", "--schedule")); }),
              testing::HasSubstr("'1f2b' is no schedule"));
}

}  // namespace
}  // namespace perwatt::training
