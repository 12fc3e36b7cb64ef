#include "perwatt/training/profile.hpp"

#include "error_of.hpp"
#include "training_cases.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::training {
namespace {

const std::string kHeader = "stage,instruction,frequency,time,energy\n";

std::string complaint(const std::string& rows) {
  return error_of([&] { static_cast<void>(read_profile(kHeader + rows, "p.csv")); });
}

TEST(TrainingProfile, BadRowsAreRefusedWithLineAndReason) {
  EXPECT_THAT(complaint("0,forward,1410,nan,1\n"), testing::HasSubstr("p.csv:2: time"));
  EXPECT_THAT(complaint("0,forward,1410,1,-1\n"), testing::HasSubstr("'-1' is no energy"));
  EXPECT_THAT(complaint("0,forward,1410,0,1\n"), testing::HasSubstr("'0' is no time"));
  EXPECT_THAT(complaint("-1,forward,1410,1,1\n"), testing::HasSubstr("p.csv:2: stage"));
  EXPECT_THAT(complaint("0,,1410,1,1\n"), testing::HasSubstr("no instruction"));
  EXPECT_THAT(complaint("0,forward,fast,1,1\n"), testing::HasSubstr("'fast' is no frequency"));
  EXPECT_THAT(complaint("0,forward,1410,1,1\n0,forward,1410,2,1\n"),
              testing::HasSubstr("other figures than in line 2"));
  EXPECT_THAT(complaint(""), testing::HasSubstr("no rows"));
}

TEST(TrainingProfile, DominatedAndRepeatedRowsAreCounted) {
  const auto profile = read_profile(kHeader +
                                        "0,forward,1410,1,5\n"
                                        "0,forward,1410,1,5\n"
                                        "0,forward,1395,1.5,6\n"
                                        "0,forward,1380,2,3\n",
                                    "p.csv");
  EXPECT_EQ(profile.repeated_rows, 1u);
  const auto work = make_work(profile.rows, Watts{});
  EXPECT_EQ(work.dominated, 1u);
  ASSERT_EQ(work.options.size(), 2u);
  EXPECT_EQ(work.options.front().knob.frequency_mhz, 1380);
  EXPECT_EQ(work.all_max.knob.frequency_mhz, 1410);
}

TEST(TrainingProfile, RanksOfAStageBecomeOneRow) {
  const auto profile = read_profile(
      "rank,dp_rank,pp_rank,tp_rank,stage,instruction,frequency,time,energy\n"
      "0,0,0,0,0,forward,1410,1.0,4\n"
      "1,0,0,1,0,forward,1410,1.2,6\n",
      "p.csv");
  ASSERT_EQ(profile.rows.size(), 1u);
  EXPECT_DOUBLE_EQ(profile.rows[0].time.in_base(), 1.2);
  EXPECT_DOUBLE_EQ(profile.rows[0].energy.in_base(), 5);
  EXPECT_NEAR(profile.rows[0].waiting.in_base(), 0.1, 1e-12);
  // Waiting for the slower rank draws the blocking power.
  EXPECT_DOUBLE_EQ(make_work(profile.rows, watts(10)).all[0].energy.in_base(), 6);
  EXPECT_THAT(error_of([] {
                static_cast<void>(
                    read_profile("rank,stage,instruction,frequency,time,energy\n"
                                 "0,0,forward,1410,1,4\n1,0,forward,1410,1,4\n"
                                 "0,0,forward,1200,1,4\n",
                                 "p.csv"));
              }),
              testing::HasSubstr("p.csv:4"));
}

TEST(TrainingProfile, OtherKnobsAreCarriedThrough) {
  const auto profile = read_profile(
      "stage,instruction,frequency,mlp_configs,time,energy\n"
      "0,forward,1410,norm_0-none-6-1024,1.0,4\n"
      "0,forward,1410,norm_0-none-8-1024,0.9,5\n",
      "p.csv");
  ASSERT_EQ(profile.rows.size(), 2u);
  EXPECT_EQ(profile.other_knobs, std::vector<std::string>{"mlp_configs"});
  EXPECT_EQ(to_string(profile.rows[0].knob), "1410 MHz norm_0-none-6-1024");
}

}  // namespace
}  // namespace perwatt::training
