#include "perwatt/catalog/quality.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "shipped_catalog.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::catalog {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

QualityScore score(const std::string& benchmark, double percent,
                   const std::optional<std::string>& precision, const std::string& source) {
  QualityScore made;
  made.benchmark = benchmark;
  made.score_percent = percent;
  made.precision = precision;
  made.source = source;
  return made;
}

Model model_with(const std::optional<std::string>& native, std::vector<QualityScore> quality) {
  Model model;
  model.native_precision = native;
  model.quality = std::move(quality);
  return model;
}

/// "benchmark:from:to" of each pair.
std::vector<std::string> scores_of(const std::vector<ScorePair>& pairs) {
  std::vector<std::string> texts;
  for (const auto& pair : pairs) {
    texts.push_back(pair.from->benchmark + ":" +
                    std::to_string(static_cast<int>(pair.from->score_percent)) + ":" +
                    std::to_string(static_cast<int>(pair.to->score_percent)));
  }
  return texts;
}

TEST(Quality, AScoreWithoutPrecisionIsOfTheReleasedWeights) {
  const auto model =
      model_with("fp8", {score("A", 80, std::nullopt, "s"), score("A", 78, "fp4", "s")});
  EXPECT_EQ(precision_of(model, model.quality[0]), "fp8");
  EXPECT_EQ(precision_of(model, model.quality[1]), "fp4");
  EXPECT_THAT(scores_of(quality_loss(model, "fp8", "fp4")), ElementsAre("A:80:78"));
  EXPECT_THAT(quality_loss(model, "bf16", "fp4"), IsEmpty());
}

TEST(Quality, WithoutAReleasePrecisionSuchAScoreTellsNothing) {
  const auto model =
      model_with(std::nullopt, {score("A", 80, std::nullopt, "s"), score("A", 78, "fp4", "s")});
  EXPECT_EQ(precision_of(model, model.quality[0]), std::nullopt);
  for (const auto from : kPrecisions) {
    EXPECT_EQ(quality_loss(model, from, "fp4").size(), from == "fp4" ? 1U : 0U) << from;
  }
}

TEST(Quality, ALossIsInPointsAndNegativeForAGain) {
  const auto model = model_with("fp8", {score("A", 80, "fp8", "s"), score("A", 78.5, "fp4", "s"),
                                        score("B", 50, "fp8", "s"), score("B", 52, "fp4", "s")});
  const auto pairs = quality_loss(model, "fp8", "fp4");
  ASSERT_EQ(pairs.size(), 2U);
  EXPECT_DOUBLE_EQ(pairs[0].loss_points(), 1.5);
  EXPECT_DOUBLE_EQ(pairs[1].loss_points(), -2);
}

TEST(Quality, ALossIsReadOnlyWithinOneSource) {
  const auto model =
      model_with("fp8", {score("A", 80, "fp8", "vendor"), score("A", 86, "fp4", "other"),
                         score("A", 88, "fp8", "other")});
  EXPECT_THAT(scores_of(quality_loss(model, "fp8", "fp4")), ElementsAre("A:88:86"));
}

TEST(Quality, EachSourceWithBothSidesCounts) {
  const auto model = model_with("fp8", {score("A", 80, "fp8", "x"), score("A", 70, "fp8", "y"),
                                        score("A", 79, "fp4", "x"), score("A", 68, "fp4", "y")});
  EXPECT_THAT(scores_of(quality_loss(model, "fp8", "fp4")), ElementsAre("A:80:79", "A:70:68"));
}

TEST(Quality, Fp4StandsForMxfp4WhereASourceHasNoFp4) {
  const auto model = model_with(
      "fp8", {score("A", 80, "fp8", "x"), score("A", 77, "mxfp4", "x"), score("A", 79, "fp4", "x"),
              score("B", 60, "fp8", "x"), score("B", 59, "mxfp4", "x")});
  EXPECT_THAT(scores_of(quality_loss(model, "fp8", "fp4")), ElementsAre("A:80:79", "B:60:59"));
  EXPECT_THAT(scores_of(quality_loss(model, "fp8", "mxfp4")), ElementsAre("A:80:77", "B:60:59"));
}

TEST(Quality, TheWeakerTagIsThePairs) {
  auto model = model_with("fp8", {score("A", 80, "fp8", "x"), score("A", 79, "fp4", "x")});
  model.quality[1].tag = Tag::assumed;
  EXPECT_EQ(quality_loss(model, "fp8", "fp4")[0].tag(), Tag::assumed);
  model.quality[0].tag = Tag::assumed;
  model.quality[1].tag = Tag::measured;
  EXPECT_EQ(quality_loss(model, "fp8", "fp4")[0].tag(), Tag::assumed);
}

TEST(Quality, TwoModelsAreComparedByWhatBothHave) {
  const auto a =
      model_with("fp8", {score("A", 80, std::nullopt, "card-a"),
                         score("B", 50, std::nullopt, "card-a"), score("C", 10, "fp4", "card-a")});
  const auto b = model_with(
      "mxfp4", {score("B", 55, std::nullopt, "card-b"), score("C", 20, std::nullopt, "card-b"),
                score("A", 70, "bf16", "card-b")});
  const auto pairs = common_benchmarks(a, "fp8", b, "mxfp4");
  EXPECT_THAT(scores_of(pairs), ElementsAre("B:50:55"));
  EXPECT_FALSE(pairs[0].same_source());
  EXPECT_THAT(common_benchmarks(a, "bf16", b, "mxfp4"), IsEmpty());
}

TEST(Quality, OneSourceForBothModelsGoesBeforeTwo) {
  const auto a = model_with("fp8", {score("A", 80, "fp8", "card-a"), score("A", 75, "fp8", "lab")});
  const auto b = model_with("fp8", {score("A", 90, "fp8", "card-b"), score("A", 78, "fp8", "lab")});
  const auto pairs = common_benchmarks(a, "fp8", b, "fp8");
  EXPECT_THAT(scores_of(pairs), ElementsAre("A:75:78"));
  EXPECT_TRUE(pairs[0].same_source());
}

// ---- any scores -------------------------------------------------------------------------------

std::vector<QualityScore> any_scores() {
  std::vector<QualityScore> scores;
  std::set<std::tuple<std::string, std::string, std::string>> taken;
  const auto count = *rc::gen::inRange(0, 12);
  for (int i = 0; i < count; ++i) {
    const auto benchmark = *rc::gen::element<std::string>("A", "B", "C");
    const auto precision = *rc::gen::element<std::string>("bf16", "fp8", "fp4", "mxfp4");
    const auto source = *rc::gen::element<std::string>("x", "y");
    if (taken.emplace(benchmark, precision, source).second) {
      scores.push_back(score(benchmark, *rc::gen::inRange(0, 101), precision, source));
    }
  }
  return scores;
}

RC_GTEST_PROP(Quality, ALossAndItsReverseCancel, ()) {
  const auto model = model_with("fp8", any_scores());
  const auto from = *rc::gen::element<std::string>("bf16", "fp8", "mxfp4");
  const auto to = *rc::gen::element<std::string>("bf16", "fp8", "mxfp4");
  std::map<std::pair<std::string, std::string>, double> forth;
  for (const auto& pair : quality_loss(model, from, to)) {
    RC_ASSERT(pair.same_source());
    RC_ASSERT(pair.from->precision == from && pair.to->precision == to);
    RC_ASSERT(forth.emplace(std::pair{pair.from->benchmark, pair.from->source}, pair.loss_points())
                  .second);
  }
  const auto back = quality_loss(model, to, from);
  RC_ASSERT(back.size() == forth.size());
  for (const auto& pair : back) {
    RC_ASSERT(pair.loss_points() == -forth.at({pair.from->benchmark, pair.from->source}));
  }
}

RC_GTEST_PROP(Quality, ABenchmarkIsCommonExactlyIfBothHaveIt, ()) {
  const auto a = model_with("fp8", any_scores());
  const auto b = model_with("fp8", any_scores());
  const auto has = [](const Model& model, const std::string& precision,
                      const std::string& benchmark) {
    return std::any_of(model.quality.begin(), model.quality.end(), [&](const QualityScore& one) {
      return one.benchmark == benchmark && one.precision == precision;
    });
  };
  const auto pairs = common_benchmarks(a, "bf16", b, "fp8");
  for (const auto* benchmark : {"A", "B", "C"}) {
    const auto found = std::count_if(pairs.begin(), pairs.end(), [&](const ScorePair& pair) {
      return pair.from->benchmark == benchmark && pair.to->benchmark == benchmark;
    });
    RC_ASSERT(found == (has(a, "bf16", benchmark) && has(b, "fp8", benchmark) ? 1 : 0));
  }
}

// ---- the shipped scores -----------------------------------------------------------------------

TEST(ShippedQuality, DeepSeekR1InFourBitsHasScoresBesideIt) {
  const auto& r1 = shipped_catalog().model("deepseek-r1", "");
  EXPECT_EQ(r1.native_precision, "fp8");
  const auto pairs = quality_loss(r1, "fp8", "fp4");
  std::set<std::string> benchmarks;
  for (const auto& pair : pairs) {
    benchmarks.insert(pair.from->benchmark);
    EXPECT_TRUE(pair.same_source());
    EXPECT_LE(std::abs(pair.loss_points()), 2.0) << pair.from->benchmark;
  }
  EXPECT_THAT(benchmarks, ::testing::IsSupersetOf({"MMLU-Pro", "GPQA Diamond", "GSM8K"}));
  const auto mxfp4 = quality_loss(r1, "fp8", "mxfp4");
  ASSERT_EQ(mxfp4.size(), 1U);
  EXPECT_EQ(mxfp4[0].from->source, "amd-atom-2026-04");
  EXPECT_NEAR(mxfp4[0].loss_points(), 0.61, 1e-9);
  EXPECT_EQ(mxfp4[0].tag(), Tag::measured);
}

TEST(ShippedQuality, WhatNobodyMeasuredIsUnknown) {
  EXPECT_THAT(quality_loss(shipped_catalog().model("glm-5", ""), "fp8", "fp4"), IsEmpty());
  EXPECT_THAT(quality_loss(shipped_catalog().model("gpt-oss-120b", ""), "bf16", "mxfp4"),
              IsEmpty());
}

TEST(ShippedQuality, InferenceXsFp4OfGptOssIsItsReleasePrecision) {
  const auto& gpt_oss = shipped_catalog().model("gptoss120b", "");
  EXPECT_EQ(gpt_oss.native_precision, "mxfp4");
  const auto pairs = quality_loss(gpt_oss, "mxfp4", "fp4");
  EXPECT_EQ(pairs.size(), gpt_oss.quality.size());
  for (const auto& pair : pairs) {
    EXPECT_EQ(pair.loss_points(), 0) << pair.from->benchmark;
  }
}

TEST(ShippedQuality, ModelsAreComparedAtTheirReleasePrecisions) {
  const auto pairs = common_benchmarks(shipped_catalog().model("deepseek-r1", ""), "fp8",
                                       shipped_catalog().model("gpt-oss-120b", ""), "mxfp4");
  const auto gpqa = std::find_if(pairs.begin(), pairs.end(), [](const ScorePair& pair) {
    return pair.from->benchmark == "GPQA Diamond";
  });
  ASSERT_NE(gpqa, pairs.end());
  EXPECT_NEAR(gpqa->loss_points(), 0.9, 1e-9);
  EXPECT_FALSE(gpqa->same_source());
}

TEST(ShippedQuality, AScoreThatWasNotReadAgainIsAssumed) {
  std::size_t recalled = 0;
  for (const auto& model : shipped_catalog().models()) {
    for (const auto& one : model.quality) {
      const bool is_recalled = one.note.find("recalled") != std::string::npos;
      recalled += is_recalled ? 1U : 0U;
      EXPECT_EQ(is_recalled, one.tag == Tag::assumed) << model.id << " " << one.benchmark;
    }
  }
  EXPECT_GT(recalled, 0U);
}

TEST(ShippedQuality, AReducedPrecisionHasItsCounterpartOfTheSameSource) {
  for (const auto& model : shipped_catalog().models()) {
    for (const auto& one : model.quality) {
      if (!one.precision || one.precision == model.native_precision) {
        continue;
      }
      const bool paired = std::any_of(kPrecisions.begin(), kPrecisions.end(), [&](auto from) {
        const auto pairs = quality_loss(model, from, *one.precision);
        return from != *one.precision &&
               std::any_of(pairs.begin(), pairs.end(), [&](auto& pair) { return pair.to == &one; });
      });
      EXPECT_TRUE(paired) << model.id << " " << one.benchmark << " " << *one.precision;
    }
  }
}

}  // namespace
}  // namespace perwatt::catalog
