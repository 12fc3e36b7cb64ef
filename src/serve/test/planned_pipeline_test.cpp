#include "perwatt/serve/planned_pipeline.hpp"

#include <filesystem>
#include <fstream>

#include "error_of.hpp"
#include "served_pipelines.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "perwatt/serve/pipelines_file.hpp"
#include "perwatt/training/plan_file.hpp"

namespace perwatt::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// What the plan takes when it is replayed from what ranks are told.
training::FrequencyPlan replayed(const PlannedPipeline& pipeline, const StagePlan& plan) {
  training::PlanTable table;
  for (const auto& text : plan.frequencies) {
    auto& entries = table.stages.emplace_back();
    for (const auto& entry : nlohmann::json::parse(text)) {
      training::PlanEntry parsed;
      parsed.instruction = entry.at(0).get<std::string>();
      parsed.knob.frequency_mhz = entry.at(1).get<int>();
      entries.push_back(parsed);
    }
  }
  const auto& planner = pipeline.planner();
  return planner.score(training::match(table, planner.pipeline()));
}

TEST(PlannedPipeline, TellsThePlanOfItsGoal) {
  const auto usual = served("usual");
  const auto plan = usual->plan({});
  const auto result = replayed(*usual, *plan);
  EXPECT_LE(result.busy, usual->planner().all_max().time);
  EXPECT_LT(plan->energy, usual->planner().all_max().energy);
  EXPECT_NEAR(result.energy / plan->energy, 1, 1e-12);
  EXPECT_GE(plan->energy, plan->lower_bound * (1 - 1e-12));
  EXPECT_EQ(usual->plan({}), plan) << "the same while it is held";

  const auto least = served("least", {std::nullopt, true});
  EXPECT_LT(least->plan({})->energy, plan->energy);
  EXPECT_GT(least->plan({})->time, plan->time);
  const auto slower = served("slower", {plan->time * 1.1, false});
  EXPECT_LE(slower->plan({})->time, plan->time * 1.1);
  EXPECT_LT(slower->plan({})->energy, plan->energy);
}

TEST(PlannedPipeline, KeepsACapAndSaysWhenItCannot) {
  const auto pipeline = served("small");
  const auto free = pipeline->plan({});
  const auto power = free->energy / free->time;
  EXPECT_EQ(pipeline->plan(power * 1.001)->time, free->time) << "a cap that does not bind";
  bool is_refused = false;
  for (const double share : {0.95, 0.8, 0.7, 0.65, 0.6, 0.5, 0.4}) {
    const auto plan = pipeline->plan(power * share);
    EXPECT_TRUE(plan || share < 0.9);
    is_refused = is_refused || !plan;
    EXPECT_EQ(plan == nullptr, is_refused) << "the lowest cap is met last";
    if (plan) {
      const auto run = replayed(*pipeline, *plan);
      EXPECT_LE(run.energy / run.busy, power * share * (1 + 1e-9)) << "as ranks run it";
      EXPECT_GT(plan->time, free->time);
    }
  }
  EXPECT_TRUE(is_refused);
}

TEST(PlannedPipeline, SlowsDownWhileItWaits) {
  const auto pipeline = served("small");
  const auto free = pipeline->plan({});
  auto before = free;
  for (const double share : {1.05, 1.2, 1.5, 3.0}) {
    const auto plan = pipeline->waiting_plan({}, free->time * share);
    EXPECT_NEAR(plan->time / free->time, share, 1e-9) << "it lasts as long as the others";
    EXPECT_LE(replayed(*pipeline, *plan).busy, free->time * share * (1 + 1e-9));
    // Against the plan before, waiting as long.
    const auto waiting =
        before->energy + pipeline->planner().frontier().blocking() * (plan->time - before->time);
    EXPECT_LE(plan->energy, waiting * (1 + 1e-9));
    before = plan;
  }
  const auto cap = free->energy / free->time * 0.8;
  const auto capped = pipeline->plan(cap);
  const auto waiting = pipeline->waiting_plan(cap, capped->time * 1.2);
  EXPECT_LE(waiting->energy / waiting->time, cap * (1 + 1e-9));
}

TEST(PlannedPipeline, KnowsTheFrequenciesOfAStage) {
  const auto pipeline = served("small");
  EXPECT_THAT(pipeline->frequencies(1), ElementsAre(1000, 1200, 1400));
}

TEST(PlannedPipeline, RefusesWhatRanksCannotBeTold) {
  const std::string tuples =
      "stage,instruction,frequency,partition,time,energy\n"
      "0,forward,1400,a,1,5\n0,backward,1400,a,1,5\n1,forward,1400,a,1,5\n1,backward,1400,a,1,5\n";
  EXPECT_THAT(error_of([&] {
                PlannedPipeline{"x", small_pipeline(tuples), {}, "pipelines.toml:3"};
              }),
              HasSubstr("pipelines.toml:3: the profile has the knob partition"));
  EXPECT_THAT(error_of([&] {
                PlannedPipeline{"x", small_pipeline(), {seconds(0.5), false}, "pipelines.toml:9"};
              }),
              HasSubstr("pipelines.toml:9: no iteration is as short as 0.5 s"));
}

class PipelinesFile : public ::testing::Test {
 protected:
  PipelinesFile()
      : folder_{std::filesystem::temp_directory_path() /
                ("perwatt-pipelines-" + std::to_string(::getpid()))} {
    std::filesystem::create_directories(folder_);
    std::ofstream{folder_ / "p.csv"} << kSmallProfile;
  }

  ~PipelinesFile() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::filesystem::path file(const std::string& text) const {
    std::ofstream{folder_ / "served.toml"} << text;
    return folder_ / "served.toml";
  }

 private:
  std::filesystem::path folder_;
};

const std::string kTable =
    "[[pipeline]]\nname = \"a\"\nprofile = \"p.csv\"\nstages = 2\nmicrobatches = 4\n"
    "blocking_power = \"50W\"\n";

TEST_F(PipelinesFile, ReadsPipelinesAndTheirGoals) {
  const auto pipelines = read_pipelines(
      file(kTable + "[[pipeline]]\nname = \"b\"\nprofile = \"p.csv\"\nstages = 2\n"
                    "microbatches = 4\nblocking_power = \"50W\"\nleast_energy = true\n"));
  ASSERT_EQ(pipelines.size(), 2U);
  EXPECT_EQ(pipelines[0]->name(), "a");
  EXPECT_EQ(pipelines[1]->stages(), 2);
  EXPECT_LT(pipelines[1]->plan({})->energy, pipelines[0]->plan({})->energy);
}

TEST_F(PipelinesFile, NamesTheKeyThatIsWrong) {
  const struct {
    std::string text;
    const char* mentions;
  } kCases[] = {
      {"", "there is no [[pipeline]]"},
      {kTable + kTable, "'a' is the name of two pipelines"},
      {kTable + "iteration_time = \"5s\"\nleast_energy = true\n", "least_energy: stands beside"},
      {kTable + "iteration_time = \"1ms\"\n", "iteration_time: no iteration is as short"},
      {kTable + "speed = 3\n", "speed"},
      {"[[pipeline]]\nname = \"a b\"\n", "name: is 'a b'"},
      {"[[pipeline]]\nname = \"a\"\nprofile = \"none.csv\"\nblocking_power = \"1W\"\nstages = 1\n"
       "microbatches = 1\n",
       "none.csv"},
      {"[[pipeline]]\nname = \"a\"\nprofile = \"p.csv\"\nblocking_power = \"1W\"\nstages = 3\n"
       "microbatches = 1\n",
       "stage"},
      {"[[pipeline]]\nname = \"a\"\ndag = \"d.json\"\nblocking_power = \"1W\"\nstages = 3\n",
       "stages: a graph of operations has no schedule"},
      {"[[pipeline]]\nname = \"a\"\nprofile = \"p.csv\"\nstages = 2\nmicrobatches = 4\n",
       "blocking_power"},
  };

  for (const auto& test : kCases) {
    EXPECT_THAT(error_of([&] { static_cast<void>(read_pipelines(file(test.text))); }),
                HasSubstr(test.mentions));
  }
}

}  // namespace
}  // namespace perwatt::serve
