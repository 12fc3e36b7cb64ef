#include "perwatt/report/claims.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "claims/claims_tables.hpp"
#include "error_of.hpp"
#include "measured_points.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/file.hpp"

namespace perwatt::report {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace fs = std::filesystem;

ClaimData data_with(std::span<const inference::MeasuredPoint> points) {
  return {&shipped_catalog(), points, PERWATT_TEST_DATA_DIR "/claims"};
}

/// The text of a shipped case with the first `from` replaced by `to`.
std::string shipped_text(const std::string& id, const std::string& from = "",
                         const std::string& to = "") {
  auto text = read_file(fs::path{PERWATT_SOURCE_DIR} / "examples/claims" / (id + ".toml"));
  if (!from.empty()) {
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
  }
  return text;
}

ClaimResult result_of(const std::string& text,
                      std::span<const inference::MeasuredPoint> points = shipped_points()) {
  return evaluate_claim(parse_claim_case(text, "case.toml"), data_with(points));
}

std::string verdict_text(const std::string& text,
                         std::span<const inference::MeasuredPoint> points = shipped_points()) {
  return to_string(result_of(text, points).verdict);
}

std::string case_error(const std::string& text) {
  return error_of([&] { static_cast<void>(result_of(text)); });
}

// ---- the rule of verdicts ---------------------------------------------------------------------

ClaimFigure figure(const std::string& against, std::optional<double> value, bool own = false,
                   bool check = false) {
  ClaimFigure made;
  made.against = against;
  made.value = value;
  made.target = ClaimTarget{Relation::at_least, 10, 0.02};
  made.is_of_claimant = own;
  made.is_check = check;
  if (value) {
    made.holds = holds(*value, *made.target);
  }
  return made;
}

std::string rule(const std::vector<ClaimFigure>& figures, bool method = true) {
  return to_string(verdict_of(figures, method));
}

TEST(VerdictRule, SupportedNeedsEveryFigureAndDataThatAreNotTheClaimants) {
  EXPECT_EQ(rule({figure("a", 10), figure("b", 12)}), "supported");
  EXPECT_EQ(rule({figure("a", 10, true), figure("b", 12)}), "supported");
  EXPECT_EQ(rule({figure("a", 10, true), figure("b", 12, true)}),
            "supported only against its own published numbers");
  EXPECT_EQ(rule({figure("a", 10, true, true)}),
            "supported only against its own published numbers");
}

TEST(VerdictRule, NamesWhatItHoldsAgainst) {
  EXPECT_EQ(rule({figure("a", 10), figure("b", 9)}), "supported only against a");
  EXPECT_EQ(rule({figure("a", 10), figure("b", std::nullopt)}), "supported only against a");
  EXPECT_EQ(rule({figure("a", 10, true), figure("b", 9)}),
            "supported only against a, by its own numbers");
  EXPECT_EQ(rule({figure("a", 11), figure("b", 9), figure("c", 10), figure("a", 12)}),
            "supported only against a; c");
}

TEST(VerdictRule, SaysWhyAClaimIsNotReproducible) {
  EXPECT_EQ(rule({figure("a", 9), figure("b", 1)}),
            "not reproducible: no figure reaches the claim");
  EXPECT_EQ(rule({figure("a", std::nullopt)}), "not reproducible: no data");
  EXPECT_EQ(rule({figure("a", std::nullopt)}, false), "not reproducible: no data");
  EXPECT_EQ(rule({}, false), "not reproducible: no method published");
  EXPECT_EQ(rule({figure("a", 20), figure("check", 9, true, true)}),
            "not reproducible: inconsistent with its own numbers");
  auto shown = figure("a", 20);
  shown.target.reset();
  shown.holds.reset();
  EXPECT_EQ(rule({shown}), "not reproducible: there are data, but no comparison is written");
}

TEST(VerdictRule, ChecksDoNotSupportAClaimByThemselves) {
  EXPECT_EQ(rule({figure("a", 9), figure("check", 10, true, true)}),
            "not reproducible: no figure reaches the claim");
}

TEST(ClaimTarget, ToleranceIsRelativeToTheClaim) {
  EXPECT_TRUE(holds(49, {Relation::at_least, 50, 0.02}));
  EXPECT_FALSE(holds(48.9, {Relation::at_least, 50, 0.02}));
  EXPECT_TRUE(holds(-10.2, {Relation::at_least, -10, 0.02}));
  EXPECT_TRUE(holds(51, {Relation::at_most, 50, 0.02}));
  EXPECT_FALSE(holds(51.1, {Relation::at_most, 50, 0.02}));
  EXPECT_TRUE(holds(51, {Relation::equals, 50, 0.02}));
  EXPECT_FALSE(holds(51.1, {Relation::equals, 50, 0.02}));
  EXPECT_FALSE(holds(48.9, {Relation::equals, 50, 0.02}));
  EXPECT_TRUE(holds(26352, {Relation::multiple_of, 72, 0.02}));
  EXPECT_FALSE(holds(26322, {Relation::multiple_of, 72, 0.02}));
}

// ---- the shipped cases ------------------------------------------------------------------------

/// Figures that are not what their case expects, to 0.5 % and the rounding of small ones.
std::vector<std::string> drifts(const ClaimResult& result) {
  constexpr double kTolerance = 0.005;
  std::vector<std::string> found;
  for (const auto& each : result.figures) {
    const bool drifted =
        each.expect && (each.value ? std::abs(*each.value - *each.expect) >
                                         kTolerance * std::max(std::abs(*each.expect), 0.01)
                                   : *each.expect != 0);
    if (drifted) {
      found.push_back(result.claim.id + ": " + each.label);
    }
  }
  if (result.expected_beyond > 0) {
    found.push_back(result.claim.id + ": more figures are expected than have a value");
  }
  return found;
}

std::vector<ClaimResult> shipped_results() {
  return evaluate_claims(load_claim_cases(fs::path{PERWATT_SOURCE_DIR} / "examples/claims"),
                         data_with(shipped_points()));
}

TEST(ClaimCases, EveryExpectedFigureIsComputedAndEveryCaseHasAVerdict) {
  const auto results = shipped_results();
  EXPECT_GE(results.size(), 24U);
  for (const auto& result : results) {
    EXPECT_THAT(drifts(result), IsEmpty());
    EXPECT_THAT(result.why, Not(IsEmpty())) << result.claim.id;
    EXPECT_NE(result.verdict.reason, VerdictReason::not_compared) << result.claim.id;
    const bool expects = std::any_of(result.figures.begin(), result.figures.end(),
                                     [](const auto& each) { return each.expect.has_value(); });
    EXPECT_TRUE(expects) << result.claim.id;
    EXPECT_EQ(fs::path{result.claim.read_at}.stem(), result.claim.id);
  }
}

TEST(ClaimCases, AChangedExpectationIsSeen) {
  EXPECT_THAT(drifts(result_of(shipped_text("gb300-50x-per-megawatt"))), IsEmpty());
  EXPECT_THAT(drifts(result_of(shipped_text("gb300-50x-per-megawatt", "54.42", "55"))),
              testing::SizeIs(1));
  EXPECT_THAT(drifts(result_of(shipped_text("gb300-50x-per-megawatt", "[54.42", "[54.42, 1"))),
              Not(IsEmpty()));
  EXPECT_THAT(drifts(result_of(shipped_text("nscale-49-percent-more-tokens", "= 192", "= 190"))),
              Not(IsEmpty()));
}

TEST(ClaimCases, NscaleIsDecomposedExactlyBothWays) {
  const auto result = result_of(shipped_text("nscale-49-percent-more-tokens"));
  const auto value = [&](const std::string& name) {
    const auto at = std::find_if(result.figures.begin(), result.figures.end(),
                                 [&](const auto& each) { return each.label == name; });
    return *at->value;
  };
  EXPECT_NEAR(value("gpu_ratio"), 1.371, 5e-4);
  EXPECT_NEAR(value("mix_and_operating_point"), 1.088, 5e-4);
  EXPECT_NEAR(value("draw_ratio"), 1.197, 5e-4);
  EXPECT_NEAR(value("tokens_per_joule_ratio"), 1.247, 5e-4);
  EXPECT_NEAR(value("gpu_ratio") * value("mix_and_operating_point"), 1.492, 1e-12);
  EXPECT_NEAR(value("draw_ratio") * value("tokens_per_joule_ratio"), 1.492, 1e-12);
  EXPECT_EQ(value("input_and_output_static"), 1085139);
}

TEST(ClaimCases, OneGigawattTableFlagsTheRowThatIsNoMultipleOf72) {
  const auto result = result_of(shipped_text("one-gigawatt-table"));
  EXPECT_EQ(to_string(result.verdict), "not reproducible: inconsistent with its own numbers");
  EXPECT_THAT(result.why, HasSubstr("26,322 GPUs is no multiple of 72"));
  EXPECT_EQ(verdict_text(shipped_text("one-gigawatt-table", "value = 26322", "value = 26352")),
            "supported only against its own published numbers");
  EXPECT_EQ(verdict_text(shipped_text("one-gigawatt-table", "value = 399096", "value = 399168")),
            "not reproducible: inconsistent with its own numbers");  // one rack too many
}

// ---- mutations --------------------------------------------------------------------------------

/// The shipped points with every total rate of an accelerator times `factor`.
std::vector<inference::MeasuredPoint> scaled(const std::string& accelerator, double factor) {
  auto points = shipped_points();
  for (auto& point : points) {
    if (point.accelerator == accelerator && point.total_per_gpu) {
      point.total_per_gpu = *point.total_per_gpu * factor;
    }
  }
  return points;
}

TEST(ClaimMutations, ChangedPointsChangeTheVerdict) {
  const auto text = shipped_text("gb300-50x-per-megawatt");
  EXPECT_EQ(verdict_text(text), "supported only against h100, table 2026-04");
  EXPECT_EQ(verdict_text(text, scaled("gb300", 0.8)),
            "not reproducible: no figure reaches the claim");
  EXPECT_EQ(verdict_text(text, scaled("h100", 0.8)),
            "supported only against h100, table 2026-04; h100, table 2026-08");
  EXPECT_EQ(verdict_text(text, scaled("gb300", 10)), "supported");
  EXPECT_EQ(verdict_text(text, {}), "not reproducible: no data");
}

TEST(ClaimMutations, OneRemovedRowMovesTheFigure) {
  auto points = shipped_points();
  const auto before = result_of(shipped_text("gb300-50x-per-megawatt"));
  std::erase_if(points, [](const auto& point) {
    return point.accelerator == "gb300" && point.model == "deepseek-r1" && point.interactivity &&
           std::abs(in_tokens_per_second(*point.interactivity) - 68.7) < 0.1;
  });
  ASSERT_LT(points.size(), shipped_points().size());
  const auto after = result_of(shipped_text("gb300-50x-per-megawatt"), points);
  EXPECT_LT(*after.figures[0].value, 0.9 * *before.figures[0].value);
  EXPECT_EQ(to_string(after.verdict), "not reproducible: no figure reaches the claim");
}

TEST(ClaimMutations, ChangedConstantsAndTolerancesChangeTheVerdict) {
  EXPECT_EQ(verdict_text(shipped_text("gb300-35x-cost")),
            "not reproducible: no figure reaches the claim");
  EXPECT_EQ(verdict_text(shipped_text("gb300-35x-cost", "value = 35", "value = 33")),
            "supported only against h100, table 2026-04; h100, table 2026-08");
  EXPECT_EQ(verdict_text(
                shipped_text("gb300-35x-cost", "value = 35", "value = 35\ntolerance_ratio = 0.05")),
            "supported only against h100, table 2026-08");
  EXPECT_EQ(verdict_text(shipped_text("waterfall-100-to-60-megawatt", "value = 20", "value = 25")),
            "not reproducible: no figure reaches the claim");
  EXPECT_EQ(verdict_text(shipped_text("green500-nine-of-ten", "value = 9", "value = 8")),
            "supported");
}

TEST(ClaimMutations, DataThatAppearEndANoDataCase) {
  auto points = shipped_points();
  inference::MeasuredPoint rubin = points.front();
  rubin.accelerator = "vera-rubin";
  rubin.model = "deepseek-r1";
  rubin.workload = {8192, 1024, ""};
  points.push_back(rubin);
  const auto result = result_of(shipped_text("rubin-2x-4x-5x-deepseek-r1"), points);
  EXPECT_EQ(result.verdict.reason, VerdictReason::not_compared);
  EXPECT_THAT(drifts(result), Not(IsEmpty()));
  EXPECT_THAT(drifts(result_of(shipped_text("rubin-2x-4x-5x-deepseek-r1"))), IsEmpty());
}

TEST(ClaimMutations, ALowerBoundSupportsButNeverRefutes) {
  const auto text = shipped_text("inferencex-v2-100x");
  const auto result = result_of(text);
  EXPECT_EQ(to_string(result.verdict), "not reproducible: no data");
  EXPECT_TRUE(result.figures[0].is_lower_bound);
  EXPECT_FALSE(result.figures[0].holds);
  EXPECT_EQ(verdict_text(text, scaled("gb300", 10)), "supported only against h100:fp8");
  EXPECT_EQ(verdict_text(shipped_text("gb300-65x-throughput", "\"50tok/s\", \"100tok/s\"",
                                      "\"50tok/s\", \"60tok/s\"")),
            "supported only against h100 at 50 tok/s/user; h100 at 60 tok/s/user");
}

// ---- figures ----------------------------------------------------------------------------------

TEST(ClaimFigures, CurveAndRangeAgreeWithTheFigures) {
  const auto result = result_of(shipped_text("gb300-50x-per-megawatt"));
  ASSERT_EQ(result.curves.size(), 4U);
  const auto& curve = result.curves[0];
  const auto at_50 = std::find_if(curve.points.begin(), curve.points.end(), [](const auto& point) {
    return point.interactivity == tokens_per_second(50);
  });
  EXPECT_DOUBLE_EQ(at_50->ratio, *result.figures[0].value);
  ASSERT_EQ(curve.holds_in.size(), 1U);
  EXPECT_EQ(curve.holds_in[0].from, tokens_per_second(29));
  EXPECT_EQ(curve.holds_in[0].to, tokens_per_second(69));
  EXPECT_THAT(result.curves[1].holds_in, IsEmpty());
  EXPECT_EQ(curve_table(result).rows.size(),
            result.curves[2].points.size());  // H200 reaches further
}

TEST(ClaimFigures, CarryBoundaryTagTableAndRows) {
  const auto result = result_of(shipped_text("gb300-50x-per-megawatt"));
  const auto& first = result.figures[0];
  EXPECT_THAT(first.boundary, HasSubstr("per provisioned MW"));
  EXPECT_EQ(first.price_table, "2026-04");
  EXPECT_EQ(first.tag, Tag::published);
  EXPECT_THAT(first.rests_on, HasSubstr("chart line between deployments"));
  const auto per_gpu = result_of(shipped_text("gb300-65x-throughput"));
  EXPECT_EQ(per_gpu.figures[0].tag, Tag::interpolated);
  EXPECT_EQ(per_gpu.figures.back().tag, Tag::measured);
  EXPECT_FALSE(per_gpu.figures.back().holds);  // judged = false
}

TEST(ClaimFigures, SoftwareOverTimeLooksNoFurtherThanItsMonths) {
  const std::string text =
      "[claim]\nid = \"x\"\nstatement = \"s\"\nmade_by = \"m\"\nsource = \"s\"\ndate = \"2026\"\n"
      "unit = \"x\"\nvalue = 2\n[[comparison]]\nkind = \"software_over_time\"\n"
      "accelerators = [\"h200\"]\nmodel = \"deepseek-r1\"\nisl_tokens = 8\nosl_tokens = 8\n"
      "interactivity = [\"10tok/s\"]\nmonths = 2\n";
  const auto row = [](const std::string& date, double rate, const std::string& engine) {
    inference::MeasuredPoint point;
    point.accelerator = "h200";
    point.model = "deepseek-r1";
    point.precision = "fp8";
    point.engine = engine;
    point.workload = {8, 8, ""};
    point.interactivity = tokens_per_second(20);
    point.total_per_gpu = tokens_per_second(rate);
    point.date = date;
    return point;
  };
  const std::vector<inference::MeasuredPoint> points{
      row("2025-11-30", 100, "a"), row("2026-01-01", 300, "b"), row("2026-02-01", 150, "a"),
      row("2026-05-01", 900, "b"), row("", 5000, "b")};
  EXPECT_DOUBLE_EQ(*result_of(text, points).figures[0].value, 3);
  auto longer = text;
  longer.replace(longer.find("months = 2"), 10, "months = 4");
  EXPECT_DOUBLE_EQ(*result_of(longer, points).figures[0].value, 3);
  longer.replace(longer.find("months = 4"), 10, "months = 6");
  EXPECT_DOUBLE_EQ(*result_of(longer, points).figures[0].value, 9);
  longer += "same_configuration = true\n";
  EXPECT_DOUBLE_EQ(*result_of(longer, points).figures[0].value, 3);  // b: 300 to 900
}

TEST(ClaimFigures, EnergyShareRepricesTheEnergyInsideTheHour) {
  const std::string text =
      "[claim]\nid = \"x\"\nstatement = \"s\"\nmade_by = \"m\"\nsource = \"s\"\ndate = \"2026\"\n"
      "unit = \"%\"\nvalue = 40\n[[comparison]]\nkind = \"energy_share\"\n"
      "accelerators = [\"h100\"]\nprice_tables = [\"2026-08\"]\n"
      "energy_usd_per_kwh = [0.09, 0.18]\n";
  const auto result = result_of(text);
  const double inside = 1.37 * 0.09;
  EXPECT_NEAR(*result.figures[0].value, 100 * inside / 1.17, 1e-9);
  EXPECT_NEAR(*result.figures[1].value, 100 * 2 * inside / (1.17 + inside), 1e-9);
}

// ---- malformed cases --------------------------------------------------------------------------

TEST(ClaimCaseFile, NamesPlaceKeyValueAndRemedy) {
  EXPECT_THAT(case_error("x = 1\n"), HasSubstr("claim: is missing"));
  EXPECT_THAT(case_error(shipped_text("gb300-35x-cost", "kind = \"frontier_ratio\"",
                                      "kind = \"frontier_ration\"")),
              HasSubstr("did you mean 'frontier_ratio'"));
  EXPECT_THAT(case_error(shipped_text("gb300-35x-cost", "\"2026-08\"", "\"2026-09\"")),
              HasSubstr("2026-09"));
  EXPECT_THAT(case_error(shipped_text("gb300-35x-cost", "[\"h100\"", "[\"h101\"")),
              HasSubstr("h101"));
  EXPECT_THAT(case_error(shipped_text("gb300-35x-cost", "basis = \"cost\"", "basis = \"price\"")),
              HasSubstr("comparison[1].basis: 'price' is not known here"));
  EXPECT_THAT(case_error(shipped_text("gb300-35x-cost", "\"50tok/s\"", "\"50\"")),
              HasSubstr("comparison[1].interactivity"));
  EXPECT_THAT(case_error(shipped_text("nscale-49-percent-more-tokens", "gpus_managed / gpus_static",
                                      "gpus_managed / gpus_statik")),
              HasSubstr("did you mean 'gpus_static'"));
  EXPECT_THAT(case_error(shipped_text("nscale-49-percent-more-tokens", "name = \"gpus_static\"",
                                      "name = \"2gpus\"")),
              HasSubstr("is no name of a value"));
  EXPECT_THAT(case_error(shipped_text("nscale-49-percent-more-tokens", "equals = 1.492",
                                      "equals = 1.492\nat_least = 1")),
              HasSubstr("stands beside"));
  EXPECT_THAT(case_error(shipped_text("waterfall-100-to-60-megawatt", "value = 20", "value = nan")),
              HasSubstr("value"));
  EXPECT_THAT(case_error(shipped_text("green500-nine-of-ten", "column = \"accelerator\"",
                                      "column = \"gpu\"")),
              HasSubstr("gpu"));
  EXPECT_THAT(case_error(shipped_text("green500-nine-of-ten", "green500_nov2025_top10.csv",
                                      "../points/README.md")),
              HasSubstr("names a folder"));
}

// ---- documents --------------------------------------------------------------------------------

TEST(ClaimDocuments, EscapeWhatACaseSays) {
  const auto hostile = shipped_text("gb300-50x-per-megawatt", "made_by = \"NVIDIA\"",
                                    "made_by = \"</script><script>alert(1)</script>\"");
  const std::vector<ClaimResult> results{result_of(hostile)};
  const auto html = claims_html(results, "0");
  EXPECT_THAT(html, Not(HasSubstr("<script>alert(1)")));
  EXPECT_THAT(html, HasSubstr("data-chart=\"chart-gb300-50x-per-megawatt\""));
  EXPECT_THAT(claims_markdown(results, "0"), HasSubstr("supported only against h100"));
}

TEST(ClaimDocuments, CsvHasARowPerFigure) {
  const auto results = shipped_results();
  std::size_t figures = 0;
  for (const auto& result : results) {
    figures += result.figures.size();
  }
  EXPECT_EQ(CsvTable::parse(claims_csv(results), "claims.csv").rows().size(), figures);
  EXPECT_EQ(claims_table(results).rows.size(), results.size());
}

}  // namespace
}  // namespace perwatt::report
