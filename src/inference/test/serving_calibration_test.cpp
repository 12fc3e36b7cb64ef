#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "error_of.hpp"
#include "serving_cases.hpp"
#include "shipped_catalog.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/file.hpp"
#include "perwatt/inference/import.hpp"
#include "perwatt/inference/point_table.hpp"
#include "perwatt/inference/serving/calibration.hpp"
#include "perwatt/inference/serving/calibration_file.hpp"
#include "perwatt/inference/serving/validation.hpp"

namespace perwatt::inference::serving {
namespace {

using ::testing::HasSubstr;

ShapeLibrary& shapes() {
  static ShapeLibrary library{PERWATT_TEST_DATA_DIR "/models"};
  return library;
}

const std::vector<MeasuredPoint>& shipped_points() {
  static const auto kPoints = load_points({PERWATT_TEST_DATA_DIR "/points"}, shipped_catalog());
  return kPoints;
}

/// Every 13th shipped row: enough of every kind, few enough to fit in a moment.
std::vector<MeasuredCase> some_cases() {
  std::vector<MeasuredCase> cases;
  for (std::size_t i = 0; i < shipped_points().size(); i += 13) {
    auto one = case_of(shipped_points()[i], shipped_catalog(), shapes());
    if (one) {
      cases.push_back(std::move(one).value());
    }
  }
  return cases;
}

double median_error(const std::vector<Scored>& scored, Quantity quantity) {
  for (const auto& score : scores_of(scored, {})) {
    if (score.group == "all" && score.quantity == quantity) {
      return score.median_ape_ratio;
    }
  }
  return 1;
}

TEST(MeasuredCase, OfEveryShippedRowOfLanguageModelsCanBePredicted) {
  std::size_t failed = 0;
  for (const auto& point : shipped_points()) {
    const auto one = case_of(point, shipped_catalog(), shapes());
    if (!one) {
      ++failed;
      ADD_FAILURE() << point.read_at << ": " << one.reason();
    } else {
      ASSERT_GT(in_seconds(predict(one.value(), starting_coefficients().of("", "")).tpot), 0);
    }
  }
  EXPECT_EQ(failed, 0U);
}

TEST(MeasuredCase, LengthsAreThoseOfTheClient) {
  MeasuredPoint point = shipped_points().front();
  ASSERT_TRUE(point.workload.isl_tokens);
  point.workload.isl_tokens = 1000;
  point.workload.osl_tokens = 500;
  const auto one = case_of(point, shipped_catalog(), shapes()).value();
  EXPECT_DOUBLE_EQ(one.setup.input_tokens, 900);  // uniform in 0.8 to 1.0 of the nominal
  EXPECT_DOUBLE_EQ(one.setup.output_tokens, 450);
}

TEST(MeasuredCase, ScreensRowsThatBreakLittlesLaw) {
  MeasuredPoint point = shipped_points().front();
  point.serving = Serving::aggregated;
  point.concurrency = 100;
  point.mean_batch_size.reset();
  point.layout.num_gpus = 1;
  point.output_per_gpu = tokens_per_second(1000);
  point.tpot_median = seconds(0.05);  // 50 of 100 in decode
  EXPECT_EQ(case_of(point, shipped_catalog(), shapes()).value().screen, "");
  point.tpot_median = seconds(0.04);
  EXPECT_THAT(case_of(point, shipped_catalog(), shapes()).value().screen, HasSubstr("Little"));
}

TEST(MeasuredCase, NamesWhatARowLacks) {
  const auto reason = [](const std::function<void(MeasuredPoint&)>& change) {
    MeasuredPoint point = shipped_points().front();
    change(point);
    return case_of(point, shipped_catalog(), shapes()).reason();
  };
  EXPECT_THAT(reason([](auto& p) { p.workload.isl_tokens.reset(); }), HasSubstr("isl_tokens"));
  EXPECT_THAT(reason([](auto& p) {
                p.concurrency.reset();
                p.mean_batch_size.reset();
              }),
              HasSubstr("concurrency"));
  EXPECT_THAT(reason([](auto& p) { p.workload.task = "poems"; }), HasSubstr("poems"));
  EXPECT_THAT(reason([](auto& p) { p.model = "no-such"; }), HasSubstr("no-such"));
}

// The model's own predictions, under other coefficients than those the fit starts from. Priors hold
// some of them back with so few rows.
TEST(Calibration, FindsTheCoefficientsBehindItsOwnPredictions) {
  auto cases = some_cases();
  Coefficients truth = load_calibration(PERWATT_TEST_DATA_DIR "/serving").coefficients;
  for (auto& one : cases) {
    const auto of_one = truth.of(one.traits.accelerator, one.setup.hardware.vendor);
    const auto predicted = predict(one, of_one);
    one.screen.clear();
    one.output_per_gpu = in_tokens_per_second(predicted.output_per_gpu);
    one.tpot_seconds = in_seconds(predicted.tpot);
    one.ttft_seconds = in_seconds(predicted.ttft);
    const ServingModel model{one.setup, one.work, of_one};
    const BoardPower board{one.setup.hardware, of_one.accelerator_power, of_one.power};
    one.gpu_power_watts =
        in_watts(gpu_power(model.use(predicted, predicted.requests_per_second), board));
    one.joules_per_output_token = *one.gpu_power_watts / *one.output_per_gpu;
  }
  const auto rows = pointers(cases);
  const auto calibration = calibrate(rows, nullptr, CalibrationSettings{20, false});
  const auto scored = score(rows, calibration, {});
  const Calibration nothing_fitted{starting_coefficients(), {}, {}, {}, {}};
  const auto started = score(rows, nothing_fitted, {});
  for (const Quantity quantity :
       {Quantity::throughput, Quantity::tpot, Quantity::ttft, Quantity::power_at_measured_rate}) {
    EXPECT_LT(median_error(scored, quantity), 0.06) << to_string(quantity);
    EXPECT_LT(median_error(scored, quantity), median_error(started, quantity) / 3)
        << to_string(quantity);
  }
}

TEST(Calibration, TheOrderOfRowsOfGpusAndAcceleratorsChangesNothing) {
  const auto cases = some_cases();
  auto rows = pointers(cases);
  CalibrationSettings settings;
  settings.borrows = false;
  const auto straight = calibrate(rows, nullptr, settings).coefficients;
  std::reverse(rows.begin(), rows.end());
  const auto reversed = calibrate(rows, nullptr, settings).coefficients;
  for (std::size_t i = 0; i < straight.speed.all().size(); ++i) {
    EXPECT_NEAR(straight.speed.all()[i] / reversed.speed.all()[i], 1, 1e-6) << i;
  }
  for (const auto& row : cases) {
    const auto& hardware = row.setup.hardware;
    const auto one = predict(row, straight.of(hardware.accelerator, hardware.vendor));
    const auto other = predict(row, reversed.of(hardware.accelerator, hardware.vendor));
    ASSERT_NEAR(one.tpot / other.tpot, 1, 1e-6);
    ASSERT_NEAR(one.ttft / other.ttft, 1, 1e-5);
  }
}

TEST(Calibration, OfNothingIsTheStartingValues) {
  const auto calibration = calibrate({}, nullptr, {});
  const auto start_values = starting_coefficients().speed;
  const auto start = start_values.all();
  for (std::size_t i = 0; i < start.size(); ++i) {
    EXPECT_NEAR(calibration.coefficients.speed.all()[i] / start[i], 1, 1e-12);
  }
  EXPECT_TRUE(calibration.coefficients.accelerators.empty());
  EXPECT_EQ(calibration.provenance.rows, 0);
}

// Rows that the user measured: 40 % slower than predicted at the lowest load, 20 % at the highest.
TEST(AnchoredCalibration, PassesThroughItsAnchorsAndLeavesOthersAlone) {
  const auto calibration = load_calibration(PERWATT_TEST_DATA_DIR "/serving");
  auto cases = some_cases();
  const auto at = std::find_if(cases.begin(), cases.end(), [](const MeasuredCase& one) {
    return one.model == "deepseek-r1" && one.screen.empty() &&
           std::holds_alternative<ClosedLoop>(one.load);
  });
  ASSERT_NE(at, cases.end());
  const auto at_load = [&](double concurrency) {
    MeasuredCase one = *at;
    one.load = ClosedLoop{concurrency};
    one.traits = traits_of(one.setup, one.traits.precision, concurrency);
    one.output_per_gpu.reset();
    one.ttft_seconds.reset();
    one.gpu_power_watts.reset();
    one.tpot_seconds = estimate(one, calibration).tpot_seconds;
    return one;
  };
  auto low = at_load(8);
  auto high = at_load(128);
  const auto middle = at_load(32);
  const double before = *middle.tpot_seconds;
  const double spread = banded(before, Metric::tpot, middle.traits, calibration).log_spread;
  *low.tpot_seconds *= 1.4;
  *high.tpot_seconds *= 1.2;
  const std::vector<const MeasuredCase*> rows{&low, &high};
  const auto anchored = anchored_to(calibration, rows);
  EXPECT_NEAR(estimate(low, anchored).tpot_seconds / *low.tpot_seconds, 1, 0.02);
  EXPECT_NEAR(estimate(high, anchored).tpot_seconds / *high.tpot_seconds, 1, 0.02);
  EXPECT_NEAR(estimate(middle, anchored).tpot_seconds / before, 1.3, 0.04);
  EXPECT_LT(banded(before, Metric::tpot, middle.traits, anchored).log_spread, 0.8 * spread);
  // The metrics that no anchor states, and other models.
  EXPECT_EQ(estimate(middle, anchored).output_per_gpu,
            estimate(middle, calibration).output_per_gpu);
  for (const auto& one : cases) {
    if (one.traits.architecture != low.traits.architecture) {
      EXPECT_EQ(estimate(one, anchored).tpot_seconds, estimate(one, calibration).tpot_seconds);
    }
  }
}

// What a held-out row is predicted to be does not depend on what was measured of its family.
TEST(HoldOut, NeverLooksAtTheFamilyOfARow) {
  auto cases = some_cases();
  const auto start = load_calibration(PERWATT_TEST_DATA_DIR "/serving");
  const std::string family = cases.front().family;
  std::vector<const MeasuredCase*> asked;
  for (const auto& one : cases) {
    if (one.family == family) {
      asked.push_back(&one);
    }
  }
  const auto before = score_held_out(asked, pointers(cases), HoldOut::family, start, {});
  for (auto& one : cases) {
    if (one.family == family) {
      one.tpot_seconds = one.tpot_seconds.value_or(1) * 7;
      one.output_per_gpu = one.output_per_gpu.value_or(1) / 5;
      one.ttft_seconds = one.ttft_seconds.value_or(1) * 3;
    }
  }
  const auto after = score_held_out(asked, pointers(cases), HoldOut::family, start, {});
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i].estimated.tpot_seconds, after[i].estimated.tpot_seconds);
    EXPECT_EQ(before[i].estimated.output_per_gpu, after[i].estimated.output_per_gpu);
    EXPECT_EQ(before[i].estimated.ttft_seconds, after[i].estimated.ttft_seconds);
  }
}

TEST(Scores, AreMediansOverTheRowsThatStateAQuantity) {
  auto cases = some_cases();
  cases.resize(5);
  std::vector<Scored> scored;
  const std::array<double, 5> ratios = {0.5, 0.9, 1.0, 1.1, 3.0};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    cases[i].screen.clear();
    cases[i].tpot_seconds = 0.01;
    Scored one;
    one.row = &cases[i];
    one.estimated.tpot_seconds = 0.01 * ratios[i];
    one.estimated.output_per_gpu = 1;
    one.banded[static_cast<std::size_t>(Metric::tpot)] = {0.01, 0.0085, 0.0115, 0.1, ""};
    scored.push_back(one);
  }
  MeasuredPoint lost = shipped_points().front();
  lost.tpot_median = seconds(1);
  const auto scores = scores_of(scored, {{&lost, "because"}});
  EXPECT_EQ(scores.front().group, "all");
  const auto tpot = std::find_if(scores.begin(), scores.end(), [](const Score& one) {
    return one.group == "all" && one.quantity == Quantity::tpot;
  });
  ASSERT_NE(tpot, scores.end());
  EXPECT_EQ(tpot->rows, 5U);
  EXPECT_DOUBLE_EQ(tpot->predicted_ratio, 5.0 / 6);
  EXPECT_NEAR(tpot->median_ape_ratio, 0.1, 1e-12);
  EXPECT_NEAR(tpot->p90_ape_ratio, 2, 1e-12);
  EXPECT_NEAR(tpot->bias_ratio, 0, 1e-12);
  EXPECT_DOUBLE_EQ(tpot->covered_ratio, 1);  // the measured value lies in every band
}

TEST(Anchors, RemoveAnErrorThatIsLogLinearInLoad) {
  auto base = some_cases().front();
  std::vector<MeasuredCase> cases;
  for (const double load : {1.0, 4.0, 16.0, 64.0}) {
    cases.push_back(base);
    cases.back().screen.clear();
    cases.back().load = ClosedLoop{load};
    cases.back().tpot_seconds = 0.01;
  }
  std::vector<Scored> scored;
  for (const auto& one : cases) {
    Scored at;
    at.row = &one;
    at.estimated.tpot_seconds = 0.01 * std::pow(one.concurrency(), 0.3) * 1.5;
    at.estimated.output_per_gpu = 1;
    at.estimated.ttft_seconds = at.estimated.gpu_power_watts = 1;
    for (auto& band : at.banded) {
      band = {1, 1, 1, 0.1, ""};
    }
    scored.push_back(at);
  }
  const auto corrected = anchored(scored);
  ASSERT_EQ(corrected.size(), 2U);
  for (const auto& one : corrected) {
    EXPECT_NEAR(one.estimated.tpot_seconds, 0.01, 1e-12);
  }
}

TEST(Bands, HoldNineTenthsOfTheRowsTheyWereSetBy) {
  const auto cases = some_cases();
  auto calibration = load_calibration(PERWATT_TEST_DATA_DIR "/serving");
  const auto rows = pointers(cases);
  set_bands(score(rows, calibration, {}), calibration);
  for (const auto& score : scores_of(score(rows, calibration, {}), {})) {
    if (score.group == "all" && score.covered_ratio > 0) {
      EXPECT_NEAR(score.covered_ratio, 0.9, 0.02) << to_string(score.quantity);
    }
  }
}

TEST(CalibrationFile, GivesTheSameBytesBack) {
  const auto folder = std::string{PERWATT_TEST_DATA_DIR} + "/serving/";
  const auto coefficients = read_file(folder + "coefficients.json");
  const auto relatives = read_file(folder + "relatives.csv");
  const auto calibration = parse_calibration(coefficients, "c", relatives, "r");
  EXPECT_EQ(format_coefficients(calibration), coefficients);
  EXPECT_EQ(format_relatives(calibration), relatives);
}

TEST(CalibrationFile, NamesWhatIsWrong) {
  const auto folder = std::string{PERWATT_TEST_DATA_DIR} + "/serving/";
  const auto coefficients = read_file(folder + "coefficients.json");
  const std::string relatives =
      "metric,accelerator,engine,architecture,precision,spec_decode,source,serving,lengths,"
      "log2_concurrency,log2_input,log2_output,log2_gpus,software_age_quarters,"
      "rows,log_residual,weight,label\n";
  const auto problem = [&](const std::string& from, const std::string& to) {
    auto changed = coefficients;
    changed.replace(changed.find(from), from.size(), to);
    return error_of(
        [&] { static_cast<void>(parse_calibration(changed, "c.json", relatives, "r.csv")); });
  };
  EXPECT_THAT(problem("\"routing_skew\"", "\"skew\""), HasSubstr("no 'routing_skew'"));
  EXPECT_THAT(problem("{", "["), HasSubstr("no JSON object"));
  EXPECT_THAT(problem("\"vendor\": \"NVIDIA\"", "\"vendor\": 3"), HasSubstr("is no text"));
  EXPECT_THAT(
      error_of([&] {
        static_cast<void>(parse_calibration(
            coefficients, "c.json",
            relatives + "speed,a,b,c,d,e,f,aggregated,nominal,1,1,1,1,1,1,1,1,x\n", "r.csv"));
      }),
      HasSubstr("r.csv:2: metric"));
  EXPECT_THAT(
      error_of([&] {
        static_cast<void>(parse_calibration(
            coefficients, "c.json",
            relatives + "tpot_median_s,a,b,c,d,e,f,both,nominal,1,1,1,1,1,1,1,1,x\n", "r.csv"));
      }),
      HasSubstr("must be disaggregated or aggregated"));
}

constexpr const char* kLatencyHeader =
    "id,silicon_data_source,backend,model_path,system,precision,mode,isl,osl,batch_size,tp_size,"
    "pp_size,attention_dp_size,moe_ep_size,prefill_num_workers,prefill_tp_size,prefill_pp_size,"
    "prefill_attention_dp_size,prefill_moe_ep_size,decode_num_workers,decode_tp_size,"
    "decode_pp_size,decode_attention_dp_size,decode_moe_ep_size,silicon_ttft_ms,silicon_tpot_ms\n";

PointTable latencies(const std::string& row) {
  return import_serving_latency(kLatencyHeader + row, "l.csv", shipped_catalog());
}

TEST(ServingLatencies, AreReadAsPoints) {
  const auto table = latencies(
      "a,silicon_concurrency=64; measured=2026-02-05T00:00:00Z,trtllm,deepseek-ai/DeepSeek-R1,"
      "h200_sxm,fp8,agg,1024,512,16,1,1,8,8,,,,,,,,,,,250,12.5\n"
      "b,silicon_concurrency=2048,sglang,deepseek-ai/DeepSeek-R1,gb200,nvfp4,disagg,8192,1024,,,,,,"
      "2,4,1,1,4,1,1,1,32,32,1877,24.5\n");
  ASSERT_TRUE(table.rejected.empty()) << table.rejected.front().reason;
  const auto& first = table.points[0];
  EXPECT_EQ(first.accelerator, "h200");
  EXPECT_EQ(first.layout.num_gpus, 8);
  EXPECT_EQ(first.concurrency, 128);  // 16 on each of 8 attention replicas
  EXPECT_EQ(first.date, "2026-02-05");
  EXPECT_DOUBLE_EQ(in_seconds(*first.tpot_median), 0.0125);
  const auto& second = table.points[1];
  EXPECT_EQ(second.precision, "fp4");
  EXPECT_EQ(second.serving, Serving::disaggregated);
  EXPECT_EQ(second.layout.prefill_gpus, 8);
  EXPECT_EQ(second.layout.decode_gpus, 32);
  EXPECT_EQ(second.concurrency, 2048);
  EXPECT_TRUE(case_of(second, shipped_catalog(), shapes()).ok());
}

TEST(ServingLatencies, NameTheColumnThatIsWrong) {
  const auto reason = [](const std::string& row) {
    const auto table = latencies(row);
    EXPECT_EQ(table.rejected.size(), 1U);
    return table.rejected.front().where + " " + table.rejected.front().reason;
  };
  EXPECT_THAT(
      reason("a,,trtllm,deepseek-ai/DeepSeek-R1,h200_sxm,fp8,both,1,1,1,1,1,1,1,,,,,,,,,,,1,1\n"),
      HasSubstr("l.csv:2: mode"));
  EXPECT_THAT(
      reason("a,,trtllm,deepseek-ai/DeepSeek-R1,h200_sxm,fp8,agg,0,1,1,1,1,1,1,,,,,,,,,,,1,1\n"),
      HasSubstr("isl"));
  EXPECT_THAT(reason("a,,trtllm,no/such,h200_sxm,fp8,agg,1,1,1,1,1,1,1,,,,,,,,,,,1,1\n"),
              HasSubstr("model_path"));
  EXPECT_THAT(
      reason("a,,trtllm,deepseek-ai/DeepSeek-R1,h200_sxm,fp8,agg,1,1,1,1,1,1,1,,,,,,,,,,,x,1\n"),
      HasSubstr("silicon_ttft_ms"));
}

}  // namespace
}  // namespace perwatt::inference::serving
