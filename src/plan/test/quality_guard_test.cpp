#include "perwatt/plan/quality_guard.hpp"

#include "two_sites.hpp"
#include <gtest/gtest.h>

namespace perwatt::plan {
namespace {

std::vector<QualityChange> changes(const std::set<Answerer>& before,
                                   const std::set<Answerer>& after) {
  return quality_changes(site_of(base_text()), shipped_catalog(), before, after);
}

TEST(QualityGuard, WhatAnswersAsBeforeChangesNothing) {
  const std::set<Answerer> both{{0, "deepseek-r1", "fp8"}, {0, "deepseek-r1", "fp4"}};
  EXPECT_TRUE(changes(both, {{0, "deepseek-r1", "fp4"}}).empty());
  EXPECT_TRUE(changes(both, {}).empty());
}

TEST(QualityGuard, ACheaperPrecisionHasItsScoresBesideIt) {
  const auto found = changes({{0, "deepseek-r1", "fp8"}}, {{0, "deepseek-r1", "fp4"}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_FALSE(found[0].is_other_model());
  EXPECT_EQ(found[0].services, std::vector<std::string>{"chat"});
  const auto pair =
      std::find_if(found[0].pairs.begin(), found[0].pairs.end(), [](const catalog::ScorePair& p) {
        return p.from->benchmark == "MMLU-Pro" && p.from->source == "nvidia-nvfp4-post";
      });
  ASSERT_NE(pair, found[0].pairs.end());
  EXPECT_EQ(pair->from->score_percent, 85);  // figure 6 of the post
  EXPECT_EQ(pair->to->score_percent, 84);
  EXPECT_EQ(not_counted_because(found, 2.0), "");
  EXPECT_NE(not_counted_because(found, 0.5).find("MMLU-Pro"), std::string::npos);
}

TEST(QualityGuard, AChangeWithoutScoresDoesNotCount) {
  const auto found = changes({{0, "deepseek-r1", "fp8"}}, {{0, "deepseek-r1", "bf16"}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].pairs.empty());
  EXPECT_NE(not_counted_because(found, 100.0).find("no benchmark"), std::string::npos);
}

TEST(QualityGuard, AnotherModelIsComparedOnCommonBenchmarks) {
  const auto found = changes({{0, "deepseek-r1", "fp8"}}, {{0, "gpt-oss-120b", "mxfp4"}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].is_other_model());
  ASSERT_FALSE(found[0].pairs.empty());
  for (const auto& pair : found[0].pairs) {
    EXPECT_EQ(pair.from->benchmark, pair.to->benchmark);
  }
}

TEST(QualityGuard, AServiceThatWasNotServedIsComparedWithItsModelAsReleased) {
  const auto found = changes({}, {{0, "deepseek-r1", "fp4"}, {0, "deepseek-r1", "fp8"}});
  ASSERT_EQ(found.size(), 1U);  // fp8 is how it was released
  EXPECT_EQ(found[0].from_precision, "fp8");
  EXPECT_EQ(found[0].to_precision, "fp4");
}

TEST(QualityGuard, OneChangeThatLosesTooMuchOutweighsTheOthers) {
  catalog::QualityScore high{"A", 90, {}, Tag::published, "", "s", ""};
  catalog::QualityScore same = high;
  catalog::QualityScore low{"B", 87.9, {}, Tag::published, "", "s", ""};
  catalog::QualityScore high_b{"B", 90, {}, Tag::published, "", "s", ""};
  const std::vector<QualityChange> good{{{"chat"}, "m", "fp8", "m", "fp4", {{&high, &same}}}};
  const std::vector<QualityChange> bad{
      {{"chat"}, "m", "fp8", "m", "fp4", {{&high, &same}, {&high_b, &low}}}};
  EXPECT_EQ(not_counted_because(good, 2.0), "");
  EXPECT_NE(not_counted_because(bad, 2.0), "");
  EXPECT_EQ(not_counted_because(bad, 2.2), "");
}

TEST(QualityGuard, TheLimitIsReadFromTheSiteFile) {
  EXPECT_EQ(site_of(base_text()).max_quality_loss_points, 2.0);
  EXPECT_EQ(site_of(base_text("[quality]\nmax_loss_points = 0.5\n")).max_quality_loss_points, 0.5);
}

}  // namespace
}  // namespace perwatt::plan
