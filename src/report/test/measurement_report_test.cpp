#include "perwatt/report/measurement_report.hpp"

#include "measurement_parts.hpp"
#include "sample_measurement.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

MeasurementReport sample_report() {
  MeasurementReport report;
  report.version = "0.1.0";
  report.runs.push_back({measure::sample_measurement(), {}, {}, std::nullopt});
  return report;
}

measure::RequestRecord request(std::int64_t ttft_ms) {
  const auto at = [](std::int64_t ms) { return Instant::from_nanoseconds(ms * 1'000'000); };
  measure::RequestRecord record;
  record.intended = at(0);
  record.sent = at(50);
  record.first_content = at(50 + ttft_ms);
  record.last_content = at(50 + ttft_ms + 1000);
  record.end = *record.last_content;
  record.outcome = measure::RequestOutcome::ok;
  record.output_tokens = 101;
  record.content_gaps_seconds = {0.5F, 0.5F};
  return record;
}

device::MeterTrace trace(const std::string& id, bool has_power) {
  device::MeterTrace made;
  made.meter.id = id;
  for (int k = 0; k < 10; ++k) {
    device::Reading reading;
    reading.at = Instant::from_nanoseconds(k * 1'000'000'000LL);
    reading.counter = Joules::from_base(600.0 * k);
    if (has_power) {
      reading.power = watts(600);
    }
    made.readings.push_back(reading);
  }
  return made;
}

const Chart* find_chart(const std::vector<Chart>& charts, std::string_view id) {
  for (const auto& chart : charts) {
    if (chart.id == id) {
      return &chart;
    }
  }
  return nullptr;
}

TEST(measurement_report, headline_holds_the_figures_and_the_boundary) {
  const auto html = measurement_html(sample_report());
  EXPECT_THAT(html, HasSubstr("2,000 output tokens/s"));
  EXPECT_THAT(html, HasSubstr("62.5 tokens/s per user"));
  EXPECT_THAT(html, HasSubstr("TTFT 200 ms in the median and 800 ms at p99"));
  EXPECT_THAT(html, HasSubstr("At the GPU boards (metered) an output token cost 2.4 J (95 %: 2.376 "
                              "to 2.424), that is 0.4167 output tokens/s per W; above idle 2 J"));
  EXPECT_THAT(html, HasSubstr("75 % of the requests met the SLO (TTFT 2 s and TPOT 20 ms)"));
  EXPECT_THAT(html, Not(HasSubstr("Not valid:")));
}

TEST(measurement_report, an_invalid_run_looks_invalid_everywhere) {
  auto report = sample_report();
  auto& m = report.runs.front().measurement;
  m.valid = false;
  m.reasons = {"no_usage: the server reports none", "client_lag: this client was late itself"};
  m.power_valid = false;
  m.energy.front().account.valid = false;
  m.energy.front().account.findings = {
      {measure::EnergyReason::sampling_gap, true, "gpu 3 gave nothing for 9 s"}};
  m.energy.front().joules_per_output_token.reset();
  m.energy.front().output_tokens_per_joule.reset();
  const auto html = measurement_html(report);
  const auto verdict = html.find("<strong>Not valid:</strong> fp8 (not valid): client_lag");
  ASSERT_NE(verdict, std::string::npos);
  EXPECT_LT(verdict, html.find("In short"));
  EXPECT_THAT(html, HasSubstr("sampling_gap: gpu 3 gave nothing for 9 s"));
  EXPECT_THAT(html, HasSubstr("is not valid: no joules per token"));
  EXPECT_THAT(html, HasSubstr("(not valid)"));
  EXPECT_THAT(html, Not(HasSubstr("chart-energy")));
  EXPECT_THAT(html, Not(HasSubstr("chart-frontier")));
  const auto markdown = measurement_markdown(report);
  EXPECT_THAT(markdown, HasSubstr("**Not valid:** fp8 (not valid): client\\_lag"));
}

TEST(measurement_report, an_invalid_run_on_the_frontier_is_a_cross) {
  auto report = sample_report();
  report.runs.front().measurement.valid = false;
  const auto charts = measurement_charts(report);
  const auto* frontier = find_chart(charts, "chart-frontier-gpu");
  ASSERT_NE(frontier, nullptr);
  const auto& layer = frontier->spec["layer"][0];
  EXPECT_EQ(layer["data"]["values"][0]["validity"], "not valid");
  EXPECT_EQ(layer["encoding"]["shape"]["scale"]["range"][1], "cross");
}

TEST(measurement_report, frontier_axes_name_the_boundary_and_boundaries_do_not_mix) {
  auto report = sample_report();
  auto wider = measure::sample_measurement();
  wider.label = "node meters";
  wider.energy.front().account.boundary = measure::Boundary::it;
  report.runs.push_back({wider, {}, {}, std::nullopt});
  const auto charts = measurement_charts(report);
  const auto* gpu = find_chart(charts, "chart-frontier-gpu");
  const auto* it = find_chart(charts, "chart-frontier-it");
  ASSERT_TRUE(gpu != nullptr && it != nullptr);
  const auto& encoding = gpu->spec["layer"][0]["encoding"];
  EXPECT_EQ(encoding["y"]["title"], "output tokens/s per W at the GPU boards");
  EXPECT_EQ(encoding["x"]["title"], "output tokens/s per user (1 / median TPOT)");
  EXPECT_EQ(gpu->spec["layer"][0]["data"]["values"].size(), 1U);
  EXPECT_DOUBLE_EQ(gpu->spec["layer"][0]["data"]["values"][0]["user"].get<double>(), 62.5);
  EXPECT_DOUBLE_EQ(gpu->spec["layer"][0]["data"]["values"][0]["per_watt"].get<double>(), 1 / 2.4);
  EXPECT_EQ(find_chart(charts, "chart-frontier-facility"), nullptr);
}

TEST(measurement_report, distributions_come_from_requests_where_they_are_given) {
  auto report = sample_report();
  for (const int ms : {100, 200, 300, 400}) {
    report.runs.front().requests.push_back(request(ms));
  }
  auto failed = request(9000);
  failed.outcome = measure::RequestOutcome::http_error;
  report.runs.front().requests.push_back(failed);
  const auto charts = measurement_charts(report);
  const auto& values = find_chart(charts, "chart-ttft")->spec["layer"][0]["data"]["values"];
  ASSERT_EQ(values.size(), 8U);  // four from the send, four from the intended send
  EXPECT_DOUBLE_EQ(values[0]["seconds"].get<double>(), 0.1);
  EXPECT_DOUBLE_EQ(values[3]["share"].get<double>(), 1);
  EXPECT_EQ(values[4]["from"], "from the intended send");
  EXPECT_DOUBLE_EQ(values[4]["seconds"].get<double>(), 0.15);
  const auto& itl = find_chart(charts, "chart-itl")->spec["layer"][0]["data"]["values"];
  EXPECT_EQ(itl.size(), 8U);
  report.runs.front().requests.clear();
  const auto summary_charts = measurement_charts(report);
  const auto& points = find_chart(summary_charts, "chart-ttft")->spec["layer"][0]["data"]["values"];
  EXPECT_EQ(points.size(), 12U);  // p50, p75, p90, p95, p99 and max of both
}

TEST(measurement_report, power_is_shown_against_the_window) {
  auto report = sample_report();
  auto& run = report.runs.front();
  run.power = {trace("gpu0", true), trace("gpu1", false)};
  run.window = measure::Window{Instant::from_nanoseconds(2'000'000'000),
                               Instant::from_nanoseconds(7'000'000'000)};
  const auto charts = measurement_charts(report);
  const auto* chart = find_chart(charts, "chart-power-1");
  ASSERT_NE(chart, nullptr);
  EXPECT_DOUBLE_EQ(chart->spec["layer"][0]["data"]["values"][0]["end"].get<double>(), 5);
  const auto& values = chart->spec["layer"][1]["data"]["values"];
  EXPECT_EQ(values.size(), 19U);  // a counter gives no power at its first reading
  EXPECT_DOUBLE_EQ(values[0]["seconds"].get<double>(), -2);
  for (const auto& value : values) {
    EXPECT_DOUBLE_EQ(value["watts"].get<double>(), 600);
  }
}

TEST(measurement_report, unknown_is_unknown_and_text_is_escaped) {
  auto report = sample_report();
  auto& m = report.runs.front().measurement;
  m.label = "<script>alert(1)</script>";
  m.imported_from = "InferenceX";
  m.unknown = {true, true, true, true, true, true};
  m.tokens.input_known = false;
  m.energy.clear();
  const auto html = measurement_html(report);
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, HasSubstr("No power was measured"));
  EXPECT_THAT(html, HasSubstr("not watched"));
  EXPECT_THAT(html, Not(HasSubstr("met the SLO")));
  for (const auto& table : measurement_tables(report)) {
    if (table.id == "requests") {
      EXPECT_EQ(table.rows.front().cells[1].text, "unknown");
      EXPECT_EQ(table.rows.front().cells[7].text, "unknown");
    }
  }
}

TEST(measurement_report, a_comparison_comes_first) {
  auto report = sample_report();
  auto other = measure::sample_measurement();
  other.label = "nvfp4";
  report.runs.push_back({other, {}, {}, std::nullopt});
  MeasuredComparison comparison;
  comparison.first = "fp8";
  comparison.second = "nvfp4";
  comparison.verdict = "nvfp4 saves 20 % of the energy of an output token.";
  comparison.figures.push_back(
      {"J per output token, GPU boards", 2.4, 1.92, measure::Estimate{0.8, 0.78, 0.82}, "saves"});
  report.comparison = comparison;
  const auto html = measurement_html(report);
  EXPECT_LT(html.find("nvfp4 saves 20 %"), html.find("2,000 output tokens/s"));
  EXPECT_THAT(html, HasSubstr("0.8 (0.78 to 0.82)"));
  const auto charts = measurement_charts(report);
  EXPECT_EQ(charts.front().id, "chart-comparison");
  EXPECT_THAT(measurement_markdown(report), HasSubstr("nvfp4 against fp8"));
}

}  // namespace
}  // namespace perwatt::report
