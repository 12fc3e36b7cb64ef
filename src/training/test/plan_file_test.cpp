#include "perwatt/training/plan_file.hpp"

#include "error_of.hpp"
#include "training_cases.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/training/dag_file.hpp"

namespace perwatt::training {
namespace {

TEST(PlanFile, BothFormsReadBackAsTheSamePlan) {
  const auto pipeline = gpt3_a100(12);
  const Planner planner{pipeline};
  const auto plan = planner.at(seconds(3.1));
  ASSERT_TRUE(plan);
  const auto of_json = match(read_plan(plan_json(*plan, pipeline), "plan.json"), pipeline);
  const auto of_python = match(read_plan(plan_python(*plan, pipeline), "plan.py"), pipeline);
  EXPECT_EQ(planner.score(of_json).energy, plan->energy);
  EXPECT_EQ(planner.score(of_python).energy, plan->energy);
}

TEST(PlanFile, OtherKnobsReadBack) {
  const auto profile = read_profile(
      "stage,instruction,frequency,mlp,time,energy\n"
      "0,forward,1410,a,1.0,4\n0,forward,1410,b,0.9,5\n0,backward,1410,a,2,5\n",
      "p.csv");
  const auto pipeline = make_pipeline(profile, shape_of(1, 2, "1f1b", 1));
  const Planner planner{pipeline};
  const auto plan = *planner.at(planner.frontier().fastest());
  const auto again = match(read_plan(plan_json(plan, pipeline), "p.json"), pipeline);
  for (std::size_t i = 0; i < again.size(); ++i) {
    EXPECT_EQ(again[i]->knob, plan.chosen[i]->knob);
  }
}

TEST(PlanFile, FrequenciesAloneDoNotSayOtherKnobs) {
  const auto profile = read_profile(
      "stage,instruction,frequency,mlp,time,energy\n"
      "0,forward,1410,a,1.0,4\n0,forward,1410,b,0.9,5\n0,backward,1410,a,2,5\n",
      "p.csv");
  const auto pipeline = make_pipeline(profile, shape_of(1, 1, "1f1b", 1));
  EXPECT_THAT(
      error_of([&] { static_cast<void>(match(read_plan("[[1410, 1410]]", "p"), pipeline)); }),
      testing::HasSubstr("several settings"));
  const Planner planner{pipeline};
  const auto plan = *planner.at(planner.frontier().fastest());
  EXPECT_THAT(error_of([&] { static_cast<void>(plan_python(plan, pipeline)); }),
              testing::HasSubstr("knob mlp"));
}

TEST(PlanFile, MovedOperationsAreRefused) {
  const auto pipeline = gpt3_a100(2);
  const Planner planner{pipeline};
  const auto text = plan_json(*planner.at(seconds(5)), pipeline);
  auto moved = text;
  moved.replace(moved.find("\"microbatch\": 0"), 15, "\"microbatch\": 1");
  EXPECT_THAT(error_of([&] { static_cast<void>(match(read_plan(moved, "p"), pipeline)); }),
              testing::HasSubstr("stage 0, entry 0"));
  moved = text;
  moved.replace(moved.find("\"stage\": 1"), 10, "\"stage\": 3");
  EXPECT_THAT(error_of([&] { static_cast<void>(read_plan(moved, "p")); }),
              testing::HasSubstr("the next stage, 1"));
}

TEST(PlanFile, BareFrequenciesAndCommentsAreRead) {
  const auto table = read_plan("# plan\n[[1410, 1395], (855,),]\n# Iteration 3", "p.py");
  ASSERT_EQ(table.stages.size(), 2u);
  EXPECT_EQ(table.stages[0][1].knob.frequency_mhz, 1395);
  EXPECT_TRUE(table.stages[1][0].instruction.empty());
}

TEST(PlanFile, WhatIsNoPlanIsRefusedWithItsPlace) {
  const auto complaint = [](const std::string& text) {
    return error_of([&] { static_cast<void>(read_plan(text, "p.py")); });
  };
  EXPECT_THAT(complaint("[[('forward', __import__('os'))]]"), testing::HasSubstr("p.py:1"));
  EXPECT_THAT(complaint("[[('forward', 1410)\n('x', 3)]]"), testing::HasSubstr("p.py:2"));
  EXPECT_THAT(complaint("[[('forward', 1410)]"), testing::HasSubstr("here should be"));
  EXPECT_THAT(complaint("{\"stages\": 3}"), testing::HasSubstr("stages"));
  EXPECT_THAT(complaint("[[1410]] x"), testing::HasSubstr("something follows"));
}

TEST(PlanFile, APlanOfAnotherPipelineIsRefused) {
  const auto pipeline = gpt3_a100(12);
  const Planner planner{pipeline};
  const auto text = plan_python(*planner.at(seconds(3.1)), pipeline);
  const auto complaint = [&](const Pipeline& other, const std::string& plan) {
    return error_of([&] { static_cast<void>(match(read_plan(plan, "p.py"), other)); });
  };
  EXPECT_THAT(complaint(gpt3_a100(13), text), testing::HasSubstr("the schedule has forward"));
  EXPECT_THAT(complaint(pipeline, "[[('forward', 1410)]]"), testing::HasSubstr("has 1 stages"));
  auto changed = text;
  const std::string first = "('forward', ";
  changed.replace(changed.find(first) + first.size(), 1, "9");
  EXPECT_THAT(complaint(pipeline, changed), testing::HasSubstr("the profile has no forward at 9"));
}

TEST(DagFile, IsTheScheduleWrittenOut) {
  const auto profile = measured_profile("gpt3-175b", "a100_sxm");
  const auto shape = shape_of(8, 4);
  const auto pipeline = make_pipeline(profile, shape);
  std::string json = R"({"operations": [)";
  for (std::size_t i = 0; i < pipeline.operations.size(); ++i) {
    const auto& work = pipeline.work_of(static_cast<std::uint32_t>(i));
    json += std::string{i == 0 ? "" : ","} + R"({"name": ")" + std::to_string(i) +
            R"(", "stage": )" + std::to_string(work.stage) + R"(, "instruction": ")" +
            work.instruction + R"("})";
  }
  json += R"(], "dependencies": [)";
  for (std::size_t i = 0; i < pipeline.dependencies.size(); ++i) {
    const auto& dependency = pipeline.dependencies[i];
    json += std::string{i == 0 ? "" : ","} + R"({"before": ")" + std::to_string(dependency.before) +
            R"(", "after": ")" + std::to_string(dependency.after) + R"("})";
  }
  json += "]}";
  const auto read = read_dag(json, "dag.json", profile, shape.blocking_power);
  const auto a = TimeEnergyFrontier::of(pipeline);
  const auto b = TimeEnergyFrontier::of(read);
  ASSERT_EQ(a.points().size(), b.points().size());
  EXPECT_EQ(a.points().back().effective_energy, b.points().back().effective_energy);
}

TEST(DagFile, BadGraphsAreRefused) {
  const auto profile = measured_profile("gpt3-175b", "a100_sxm");
  const auto complaint = [&](const std::string& text) {
    return error_of([&] { static_cast<void>(read_dag(text, "d.json", profile, watts(1))); });
  };
  const std::string operation = R"({"name": "a", "stage": 0, "instruction": "forward"})";
  EXPECT_THAT(complaint(R"({"operations": []})"), testing::HasSubstr("operations"));
  EXPECT_THAT(complaint(R"({"operations": [)" + operation + "," + operation + "]}"),
              testing::HasSubstr("two operations are called 'a'"));
  EXPECT_THAT(complaint(R"({"operations": [)" + operation +
                        R"(], "dependencies": [{"before": "a", "after": "b"}]})"),
              testing::HasSubstr("no operation is called 'b'"));
  EXPECT_THAT(complaint(R"({"operations": [)" + operation +
                        R"(], "dependencies": [{"before": "a", "after": "a"}]})"),
              testing::HasSubstr("waits for itself"));
  EXPECT_THAT(complaint(R"({"operations": [{"name": "a", "stage": 9, "instruction": "forward"}]})"),
              testing::HasSubstr("no options"));
  EXPECT_THAT(complaint(R"({"operations": [{"name": "a", "stage": 1, "instruction": "forward"}]})"),
              testing::HasSubstr("no operation is on stage 0"));
  EXPECT_THAT(complaint("[1]"), testing::HasSubstr("d.json"));
}

}  // namespace
}  // namespace perwatt::training
