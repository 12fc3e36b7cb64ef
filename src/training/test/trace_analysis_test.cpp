// Hand-made traces of few events, whose breakdown and paths can be read off. Random ones, with a
// truth of their own: tests/training/trace_profile.py.
#include "perwatt/training/trace_analysis.hpp"

#include "error_of.hpp"
#include "trace_text.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::training {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

RankTrace with_rank(const TraceText& text, int rank) {
  auto trace = text.read();
  trace.rank = rank;
  return trace;
}

double micro(Seconds time) {
  return in_seconds(time) * 1e6;
}

double exposed(const RankBreakdown& times, Parallelism kind) {
  return micro(times.exposed[static_cast<std::size_t>(kind)]);
}

const std::string kTensor = collective("allreduce", "mesh_tp", "[0, 1]");

TEST(RankLayout, DescriptionsOfFrameworksAreUnderstood) {
  const auto kind = [](const char* text) { return parallelism_of(text); };
  EXPECT_EQ(kind("PIPELINE_MODEL_PARALLEL_GROUP"), Parallelism::pipeline);
  EXPECT_EQ(kind("TENSOR_MODEL_PARALLEL_GROUP"), Parallelism::tensor);
  EXPECT_EQ(kind("DATA_PARALLEL_GROUP_WITH_CP"), Parallelism::data);
  EXPECT_EQ(kind("CONTEXT_PARALLEL_GROUP"), Parallelism::context);
  EXPECT_EQ(kind("EXPERT_MODEL_PARALLEL_GROUP"), Parallelism::expert);
  EXPECT_EQ(kind("EXPERT_DATA_PARALLEL_GROUP"), Parallelism::data);
  EXPECT_EQ(kind("mesh_dp_shard"), Parallelism::data);
  EXPECT_EQ(kind("tp:device"), Parallelism::tensor);
  EXPECT_EQ(kind("default_pg"), std::nullopt);
  EXPECT_EQ(kind("undefined"), std::nullopt);
  EXPECT_EQ(kind(""), std::nullopt);
}

TEST(RankLayout, RanksCountTensorFirstAndStagesLast) {
  const RankLayout layout{2, 4, 3, 5};
  EXPECT_EQ(layout.ranks(), 120);
  for (int rank = 0; rank < layout.ranks(); ++rank) {
    const auto at = layout.place(rank);
    EXPECT_EQ(at.tensor + 4 * (at.context + 3 * (at.data + 5 * at.stage)), rank);
  }
}

TEST(RankLayout, AGroupWithoutWordsIsKnownByItsRanks) {
  const auto kind = [](const char* ranks) {
    const auto trace = TraceText{}.kernel("nccl", 1, 1, 2, collective("x", "pg", ranks)).read();
    return parallelisms_of(trace, RankLayout{2, 2, 2, 2})[trace.works[0].group];
  };
  EXPECT_EQ(kind("[0, 1]"), Parallelism::tensor);
  EXPECT_EQ(kind("[0, 2]"), Parallelism::context);
  EXPECT_EQ(kind("[0, 4]"), Parallelism::data);
  EXPECT_EQ(kind("[0, 2, 4, 6]"), Parallelism::data);  // with context
  EXPECT_EQ(kind("[0, 8]"), Parallelism::pipeline);
  EXPECT_EQ(kind("[0, 3]"), Parallelism::other);
  EXPECT_EQ(kind("[0, 99]"), Parallelism::other);
}

TEST(TraceBreakdown, EveryMicrosecondIsOneThing) {
  // compute 10-30; tensor 25-50, exposed from 30; copy 45-60, alone from 50; idle 60-70; compute.
  const auto text = TraceText{}
                        .kernel("gemm", 7, 10, 30)
                        .kernel("nccl", 20, 25, 50, kTensor)
                        .event("gpu_memcpy", "Memcpy", 45, 60)
                        .kernel("gemm", 7, 70, 75);
  const auto job = make_job_timeline({with_rank(text, 0)}, {});
  const auto times = break_down(job, traced_schedule(job)).front();
  EXPECT_DOUBLE_EQ(micro(times.length), 65);
  EXPECT_DOUBLE_EQ(micro(times.compute), 25);
  EXPECT_DOUBLE_EQ(exposed(times, Parallelism::tensor), 20);
  EXPECT_DOUBLE_EQ(micro(times.hidden[static_cast<std::size_t>(Parallelism::tensor)]), 5);
  EXPECT_DOUBLE_EQ(micro(times.copies), 10);
  EXPECT_DOUBLE_EQ(micro(times.idle), 10);
  EXPECT_DOUBLE_EQ(micro(times.waiting), 0);  // the other rank is not traced
}

TEST(TraceBreakdown, WaitingEndsWhenTheLastRankCame) {
  const auto early = TraceText{}.kernel("gemm", 7, 0, 10).kernel("nccl", 20, 10, 40, kTensor);
  const auto late = TraceText{}.kernel("gemm", 7, 0, 35).kernel("nccl", 20, 35, 40, kTensor);
  const auto job = make_job_timeline({with_rank(late, 1), with_rank(early, 0)}, {});
  const auto schedule = traced_schedule(job);
  const auto times = break_down(job, schedule);
  EXPECT_DOUBLE_EQ(micro(times[0].waiting), 25);
  EXPECT_DOUBLE_EQ(exposed(times[0], Parallelism::tensor), 30);
  EXPECT_DOUBLE_EQ(micro(times[1].waiting), 0);
  // The path goes over the rank that came last, on which nothing waits.
  const auto path = kernel_path(job, schedule, 0);
  ASSERT_EQ(path.size(), 2U);
  EXPECT_EQ(path[0].kind, PathKind::compute);
  EXPECT_EQ(path[0].rank, 1U);
  EXPECT_DOUBLE_EQ(micro(path[0].span.length()), 35);
  EXPECT_EQ(path[1].kind, PathKind::communication);
  EXPECT_DOUBLE_EQ(micro(path[1].span.length()), 5);
}

TEST(TraceBreakdown, OfTwoCommunicationsTheLongerOneIsExposed) {
  const auto text = TraceText{}
                        .kernel("gemm", 7, 0, 10)
                        .kernel("nccl", 20, 10, 30, collective("x", "tp", "[0, 1]"))
                        .kernel("nccl", 24, 15, 40, collective("x", "dp", "[0, 2]"));
  const auto job = make_job_timeline({with_rank(text, 0)}, {});
  const auto times = break_down(job, traced_schedule(job)).front();
  EXPECT_DOUBLE_EQ(exposed(times, Parallelism::tensor), 5);
  EXPECT_DOUBLE_EQ(exposed(times, Parallelism::data), 25);
}

TraceText stage(int number) {
  TraceText text;
  text.members +=
      R"(, "distributedInfo": {"rank": )" + std::to_string(number) +
      R"(, "world_size": 2, "pg_config": [{"pg_name": "3", "pg_desc": "mesh_pp", "ranks": [0, 1]}]})";
  return text;
}

/// Two stages, one microbatch: forward 10 and 20, backward 30 and 15 microseconds, hand-over 2.
JobTimeline two_stages() {
  const auto first =
      stage(0)
          .kernel("f", 7, 0, 10)
          .annotation("Forward 0", 7, 0, 10)
          .kernel("ncclDevKernel_SendRecv", 24, 10, 64, collective("recv", "mesh_pp", "[0, 1]"))
          .kernel("b", 7, 64, 79)
          .annotation("Backward 0", 7, 64, 79);
  const auto last =
      stage(1)
          .kernel("ncclDevKernel_SendRecv", 24, 1, 12, collective("recv", "mesh_pp", "[0, 1]"))
          .kernel("f", 7, 12, 32)
          .annotation("Forward 0", 7, 1, 32)  // with the wait for its input, as PyTorch does
          .kernel("b", 7, 32, 62)
          .annotation("Backward 0", 7, 32, 62);
  return make_job_timeline({first.read(), last.read()}, {});
}

TEST(TracedSchedule, OperationsBeginWithTheirOwnWork) {
  const auto job = two_stages();
  EXPECT_EQ(job.stages, 2);
  ASSERT_EQ(job.ranks[1].operations.size(), 2U);
  EXPECT_EQ(job.ranks[1].operations[0].instruction, "forward");
  EXPECT_EQ(job.ranks[1].operations[0].span, (TimeSpan{at_us(12), at_us(32)}));
}

TEST(TracedSchedule, ThePathPassesTheStagesAndReturns) {
  const auto job = two_stages();
  const auto schedule = traced_schedule(job);
  ASSERT_TRUE(schedule.is_plain) << schedule.reason;
  EXPECT_EQ(schedule.microbatches, 1);
  const auto path = schedule_path(job, schedule, 0);
  ASSERT_TRUE(path);
  std::vector<std::size_t> ranks;
  for (const auto& step : path->steps) {
    ranks.push_back(step.operation.rank);
  }
  EXPECT_THAT(ranks, ElementsAre(0, 1, 1, 0));
  EXPECT_TRUE(path->steps[1].is_handed);
  EXPECT_DOUBLE_EQ(micro(path->steps[1].gap), 2);
  EXPECT_FALSE(path->steps[2].is_handed);
  EXPECT_DOUBLE_EQ(micro(path->steps[3].gap), 2);
  const auto kernels = kernel_path(job, schedule, 0);
  std::vector<PathKind> kinds;
  for (const auto& piece : kernels) {
    kinds.push_back(piece.kind);
  }
  using enum PathKind;
  EXPECT_THAT(kinds, ElementsAre(compute, transfer, compute, compute, transfer, compute));
  const auto times = break_down(job, schedule);
  EXPECT_DOUBLE_EQ(micro(times[0].waiting), 52);  // until stage 1 had ended its backward at 62
  EXPECT_DOUBLE_EQ(exposed(times[0], Parallelism::pipeline), 54);
}

TEST(TracedSchedule, ThePathAddsUpWhereClocksAreApart) {
  // The last stage's forward begins 4 microseconds before the first's has ended.
  const auto rank = [](int number, int forward, int backward) {
    return stage(number)
        .kernel("f", 7, forward, forward + 20)
        .annotation("forward", 7, forward, forward + 20)
        .kernel("b", 7, backward, backward + 20)
        .annotation("backward", 7, backward, backward + 20)
        .read();
  };
  const auto job = make_job_timeline({rank(0, 0, 60), rank(1, 16, 36)}, {});
  const auto schedule = traced_schedule(job);
  const auto path = schedule_path(job, schedule, 0);
  ASSERT_TRUE(path) << schedule.reason;
  EXPECT_DOUBLE_EQ(micro(path->steps[1].gap), -4);
  auto sum = path->head + path->tail;
  for (const auto& step : path->steps) {
    sum += step.gap +
           job.ranks[step.operation.rank].operations[step.operation.operation].span.length();
  }
  EXPECT_DOUBLE_EQ(micro(sum), 80);
}

TEST(TracedSchedule, WhatIsNotPlainSaysWhy) {
  const auto plain = stage(0).kernel("f", 7, 0, 10).annotation("forward", 7, 0, 10);
  auto job = make_job_timeline({plain.read()}, {});
  EXPECT_THAT(traced_schedule(job).reason, HasSubstr("forwards and backwards"));
  const auto both = [](TraceText text, int begin) {
    return text.kernel("f", 7, begin, begin + 10)
        .annotation("forward", 7, begin, begin + 10)
        .kernel("b", 7, begin + 40, begin + 50)
        .annotation("backward", 7, begin + 40, begin + 50)
        .read();
  };
  job = make_job_timeline({both(stage(0), 0)}, {});
  EXPECT_THAT(traced_schedule(job).reason, HasSubstr("stage 1 of the same pipeline is not traced"));
  job = make_job_timeline({both(stage(0), 100), both(stage(1), 100)}, {});
  EXPECT_THAT(traced_schedule(job).reason, HasSubstr("begins before stage"));
  EXPECT_FALSE(schedule_path(job, traced_schedule(job), 0));
}

TEST(RankTimeline, NamesStandForAnnotationsThatGoOnWithNoLetter) {
  EXPECT_TRUE(stands_for("forward", "Forward 3"));
  EXPECT_TRUE(stands_for("forward", "forward-compute"));
  EXPECT_TRUE(stands_for("Optimizer.step", "Optimizer.step#AdamW.step"));
  EXPECT_FALSE(stands_for("forward", "forward_hook"));
  EXPECT_FALSE(stands_for("forward", "forwards"));
  EXPECT_FALSE(stands_for("forward", "for"));
}

TEST(RankTimeline, WorkLaunchedInAnAnnotationCountsWhereTheGpuHasNone) {
  auto text = TraceText{}
                  .kernel("f", 7, 100, 110, R"(, "correlation": 1)")
                  .kernel("g", 7, 115, 130, R"(, "correlation": 2)")
                  .kernel("x", 7, 140, 150, R"(, "correlation": 3)")
                  .event("user_annotation", "my_forward", 5, 20);
  for (int i = 1; i <= 3; ++i) {
    text.event("cuda_runtime", "cudaLaunchKernel", i * 8, i * 8 + 1,
               R"("correlation": )" + std::to_string(i));
  }
  TimelineOptions options;
  options.names.instructions = {{"forward", {"my_forward"}}};
  const auto job = make_job_timeline({text.read()}, options);
  ASSERT_EQ(job.ranks[0].operations.size(), 1U);
  EXPECT_EQ(job.ranks[0].operations[0].span, (TimeSpan{at_us(100), at_us(130)}));
}

/// A launch on the CPU by thread `tid`, and its kernel.
TraceText& launched(TraceText& text, int at, int correlation, int begin, int end) {
  const auto id = R"("correlation": )" + std::to_string(correlation);
  return text.event("cuda_runtime", "cudaLaunchKernel", at, at + 1, id)
      .kernel("k", 7, begin, end, ", " + id);
}

TEST(RankTimeline, ABackwardHoldsWhatItsOwnThreadLaunched) {
  // Kineto's annotation on the GPU covers the one kernel of the annotating thread.
  TraceText text;
  text.event("user_annotation", "backward", 5, 40);
  launched(text, 10, 1, 100, 102);
  launched(text, 20, 2, 102, 900);  // by autograd
  text.annotation("backward", 7, 100, 102);
  const auto job = make_job_timeline({text.read()}, {});
  ASSERT_EQ(job.ranks[0].operations.size(), 1U);
  EXPECT_EQ(job.ranks[0].operations[0].span, (TimeSpan{at_us(100), at_us(900)}));
  EXPECT_THAT(job.notes, ::testing::IsEmpty());
}

TEST(RankTimeline, AnAnnotationOnAnotherStreamIsNoOperation) {
  // The receive of "Forward 1", posted while "Backward 0" runs; device and stream are pid and tid.
  const auto on_stream = [](TraceText& text, const char* name, int stream, int begin, int end) {
    text.events.push_back(R"({"ph": "X", "cat": "gpu_user_annotation", "name": ")" +
                          std::string{name} + R"(", "pid": 0, "tid": )" + std::to_string(stream) +
                          R"(, "ts": )" + std::to_string(begin) + R"(, "dur": )" +
                          std::to_string(end - begin) + R"(, "args": {"External id": 5}})");
  };
  TraceText text;
  text.kernel("f", 7, 0, 20).kernel("b", 7, 21, 61).kernel("f", 7, 70, 90);
  text.kernel("ncclDevKernel_SendRecv", 24, 20, 68, collective("recv", "mesh_pp", "[0, 1]"));
  on_stream(text, "Forward 0", 7, 0, 20);
  on_stream(text, "Backward 0", 7, 21, 61);
  on_stream(text, "Forward 1", 24, 20, 68);
  on_stream(text, "Forward 1", 7, 70, 90);
  const auto job = make_job_timeline({text.read()}, {});
  std::vector<std::string> names;
  for (const auto& operation : job.ranks[0].operations) {
    names.push_back(operation.instruction);
  }
  EXPECT_THAT(names, ElementsAre("forward", "backward", "forward"));
  EXPECT_THAT(job.notes, ElementsAre(HasSubstr("profile CPU activity too")));
}

/// `count` iterations of one name, each annotated on two streams.
TraceText repeated(int count) {
  TraceText text;
  for (int i = 0; i < count; ++i) {
    const int at = i * 100;
    const auto id = R"("External id": )" + std::to_string(i + 1);
    text.kernel("k", 7, at, at + 50).kernel("nccl", 20, at + 60, at + 80);
    text.event("gpu_user_annotation", "train_step", at, at + 50, id + R"(, "stream": 7)");
    text.event("gpu_user_annotation", "train_step", at + 60, at + 80, id + R"(, "stream": 20)");
  }
  return text;
}

TEST(RankTimeline, IterationsOfOneNameAreToldApart) {
  TimelineOptions options;
  options.names.iteration = "train_step";
  const auto job =
      make_job_timeline({with_rank(repeated(5), 0), with_rank(repeated(5), 1)}, options);
  ASSERT_EQ(job.iterations.size(), 5U);
  EXPECT_EQ(job.iterations[1], (TimeSpan{at_us(100), at_us(200)}));
  EXPECT_EQ(job.ranks[1].iteration_names[4], (IterationName{"train_step", 4}));
  EXPECT_THAT(error_of([&] {
                static_cast<void>(make_job_timeline(
                    {with_rank(repeated(5), 0), with_rank(repeated(4), 1)}, options));
              }),
              HasSubstr("runs 4 times"));
}

TEST(RankTimeline, ARepeatedForwardBelongsToItsBackward) {
  const auto text = TraceText{}
                        .kernel("r", 7, 0, 10)
                        .annotation("forward", 7, 0, 10)
                        .kernel("b", 7, 10, 30)
                        .annotation("backward", 7, 0, 30);
  const auto job = make_job_timeline({text.read()}, {});
  ASSERT_EQ(job.ranks[0].operations.size(), 1U);
  EXPECT_EQ(job.ranks[0].operations[0].instruction, "backward");
}

TEST(RankTimeline, IterationsThatARankLacksAreLeftOut) {
  const auto steps = [](int first, int last) {
    TraceText text;
    for (int i = first; i <= last; ++i) {
      text.kernel("k", 7, i * 100, i * 100 + 50)
          .annotation("ProfilerStep#" + std::to_string(i), 7, i * 100, i * 100 + 50);
    }
    return text;
  };
  const auto job = make_job_timeline({with_rank(steps(1, 3), 0), with_rank(steps(2, 4), 1)}, {});
  ASSERT_EQ(job.iterations.size(), 2U);
  EXPECT_EQ(job.iterations[0], (TimeSpan{at_us(200), at_us(300)}));
  EXPECT_THAT(error_of([&] {
                static_cast<void>(
                    make_job_timeline({with_rank(steps(1, 2), 0), with_rank(steps(3, 4), 1)}, {}));
              }),
              HasSubstr("no iteration in common"));
}

TEST(RankTimeline, AnIterationMissingInTheMiddleEndsTheRun) {
  const auto steps = [](const std::vector<int>& annotated) {
    TraceText text;
    for (int i = 0; i < 6; ++i) {
      text.kernel("k", 7, i * 100, i * 100 + 50);
    }
    for (const int i : annotated) {
      text.annotation("ProfilerStep#" + std::to_string(i), 7, i * 100, i * 100 + 50);
    }
    return text;
  };
  const auto job = make_job_timeline(
      {with_rank(steps({0, 1, 2, 3, 4, 5}), 0), with_rank(steps({0, 1, 3, 4, 5}), 1)}, {});
  ASSERT_EQ(job.iterations.size(), 3U);
  EXPECT_EQ(job.window(), (TimeSpan{at_us(300), at_us(550)}));
  EXPECT_THAT(job.notes, ElementsAre(HasSubstr("of 5 iterations")));
  // Two whole periods with their pauses; what follows the third is not traced.
  EXPECT_EQ(job.periods().count, 2U);
  EXPECT_DOUBLE_EQ(micro(job.periods().mean()), 100);
}

TraceText in_groups(int rank, const std::string& groups) {
  TraceText text;
  text.members += R"(, "distributedInfo": {"rank": )" + std::to_string(rank) +
                  R"(, "world_size": 8, "pg_config": [)" + groups + "]}";
  return text.kernel("k", 7, 0, 10);
}

std::string group(const std::string& description, const std::string& ranks) {
  return R"({"pg_name": ")" + description + R"(", "pg_desc": ")" + description +
         R"(", "ranks": [)" + ranks + "]}";
}

TEST(RankLayout, ReplicasAndShardsCountTogether) {
  const auto trace =
      in_groups(7, group("mesh_pp", "3, 7") + "," + group("mesh_dp_replicate", "5, 7") + "," +
                       group("mesh_dp_shard", "6, 7") + "," + group("mesh_dp", "4, 5, 6, 7"))
          .read();
  const auto found = place_by_groups(trace);
  EXPECT_EQ(found.place, (RankPlace{1, 0, 0, 3}));
  EXPECT_EQ(found.stages, 2);
  EXPECT_TRUE(found.has_pipeline_group);
}

TEST(RankLayout, GroupsOfOneKindGoBeforeThoseOfTwo) {
  const auto trace = in_groups(6, group("DATA_PARALLEL_GROUP_WITH_CP", "4, 5, 6, 7") + "," +
                                      group("DATA_PARALLEL_GROUP", "4, 6") + "," +
                                      group("CONTEXT_PARALLEL_GROUP", "6, 7"))
                         .read();
  EXPECT_EQ(place_by_groups(trace).place, (RankPlace{0, 0, 0, 1}));
  EXPECT_FALSE(place_by_groups(trace).has_pipeline_group);
}

TEST(RankTimeline, RanksOfAPipelineHavePlacesOfTheirOwn) {
  const auto error = error_of([] {
    static_cast<void>(make_job_timeline({in_groups(0, group("mesh_pp", "0, 4")).read(),
                                         in_groups(1, group("mesh_pp", "1, 5")).read()},
                                        {}));
  });
  EXPECT_THAT(error, HasSubstr("ranks 0 and 1 have the same place"));
}

TEST(RankTimeline, TheLayoutMustBeThatOfTheTraces) {
  TimelineOptions two;
  two.layout = RankLayout{2, 1, 1, 1};
  EXPECT_THAT(
      error_of([&] { static_cast<void>(make_job_timeline({in_groups(0, "").read()}, two)); }),
      HasSubstr("a job of 8 ranks, the layout of one of 2"));
}

TEST(RankTimeline, RanksMustBeKnownAndDifferent) {
  const auto text = TraceText{}.kernel("k", 7, 0, 10);
  const auto error = [&](std::vector<RankTrace> traces, const TimelineOptions& options = {}) {
    return error_of([&] { static_cast<void>(make_job_timeline(std::move(traces), options)); });
  };
  EXPECT_THAT(error({text.read(), text.read()}), HasSubstr("--ranks"));
  EXPECT_THAT(error({with_rank(text, 1), with_rank(text, 1)}), HasSubstr("rank 1"));
  TimelineOptions small;
  small.layout = RankLayout{2, 1, 1, 1};
  EXPECT_THAT(error({with_rank(text, 2)}, small), HasSubstr("layout's 2"));
}

}  // namespace
}  // namespace perwatt::training
