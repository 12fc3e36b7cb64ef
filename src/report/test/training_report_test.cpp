#include "perwatt/report/training_report.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "training_parts.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/training/dag_file.hpp"
#include "perwatt/training/schedule.hpp"

namespace perwatt::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using training::Pipeline;
using training::Planner;

Pipeline gpt3(int microbatches) {
  const auto path =
      std::string{PERWATT_SOURCE_DIR} + "/tests/data/training/gpt3-175b+a100_sxm_bf16.csv";
  training::PipelineShape shape;
  shape.stages = 8;
  shape.microbatches = microbatches;
  shape.blocking_power = watts(83.64);
  return make_pipeline(training::read_profile(read_file(path), path), shape);
}

/// `stages` stages of one operation each in a row, `count` times, with two settings.
Pipeline chain(int stages, int count) {
  std::string text = "stage,instruction,frequency,time,energy\n";
  for (int stage = 0; stage < stages; ++stage) {
    for (const auto* instruction : {"forward", "backward"}) {
      text += std::to_string(stage) + "," + instruction + ",1000,0.2,20\n";
      text += std::to_string(stage) + "," + instruction + ",2000,0.1,40\n";
    }
  }
  training::PipelineShape shape;
  shape.stages = stages;
  shape.microbatches = count;
  shape.blocking_power = watts(50);
  return make_pipeline(training::read_profile(text, "chain.csv"), shape);
}

TrainingReport report_of(const Planner& planner) {
  TrainingReport report;
  report.planner = &planner;
  report.question = "no slower than at full clocks";
  report.plan = planner.at(planner.all_max().time);
  report.inputs = {{"profile", "gpt3.csv"}, {"--stages", "8"}};
  report.version = "0.1.0";
  return report;
}

/// The page without the chart libraries, which a failure would print whole.
std::string page_of(const TrainingReport& report) {
  const auto html = training_html(report);
  return html.substr(0, html.find("<footer>"));
}

/// All values of the layers and panels of a spec that have `key`.
std::vector<Json> values_with(const Json& spec, const char* key) {
  std::vector<Json> found;
  for (const auto* part : {"layer", "vconcat"}) {
    if (spec.contains(part)) {
      for (const auto& inner : spec[part]) {
        for (auto& value : values_with(inner, key)) {
          found.push_back(std::move(value));
        }
      }
    }
  }
  if (spec.contains("data")) {
    for (const auto& value : spec["data"]["values"]) {
      if (value.contains(key)) {
        found.push_back(value);
      }
    }
  }
  return found;
}

TEST(TrainingReport, SentencesHoldTheFigures) {
  const auto pipeline = gpt3(12);
  const Planner planner{pipeline};
  const auto html = page_of(report_of(planner));
  EXPECT_THAT(html, HasSubstr("Full clocks take 2.8365 s and 7,339 J. No plan that is as short "
                              "takes less than 6,160.42 J, which is 16.06 % less (bound)."));
  EXPECT_THAT(html, HasSubstr("It takes 2.8365 s (no longer than full clocks), 6,169.05 J"));
  EXPECT_THAT(html, HasSubstr("15.94 % less energy than full clocks; it is 0.14 % above the "
                              "proven bound"));
  EXPECT_THAT(html, HasSubstr("The least energy of all, 5,591.53 J (23.81 % less), takes 3.2743 s "
                              "(15.43 % longer)"));
  EXPECT_THAT(html, HasSubstr("per GPU of a tensor parallel group and summed over 8 stages, "
                              "83.64 W where a GPU waits"));
  EXPECT_THAT(html, Not(HasSubstr("Infeasible")));
  EXPECT_THAT(html, HasSubstr("gpt3.csv"));
  EXPECT_THAT(html, HasSubstr("perwatt 0.1.0"));
}

TEST(TrainingReport, SameInputSameBytes) {
  const auto pipeline = gpt3(12);
  const Planner one{pipeline};
  const Planner two{pipeline};
  EXPECT_TRUE(training_html(report_of(one)) == training_html(report_of(two)));
  EXPECT_EQ(training_markdown(report_of(one)), training_markdown(report_of(two)));
}

TEST(TrainingReport, PriceOfTimeIsTheDifferenceQuotientOfTheBound) {
  const auto pipeline = gpt3(12);
  const Planner planner{pipeline};
  const auto report = report_of(planner);
  const TrainingResults results{report};
  for (const double seconds_asked : {2.84, 2.9, 3.0, 3.2, 3.4, 4.0, 9.0}) {
    const auto time = seconds(seconds_asked);
    constexpr double kStep = 1e-6;
    const auto price = results.price_of_time(time);
    ASSERT_TRUE(price) << seconds_asked;
    EXPECT_NEAR((results.bound(time - seconds(kStep)) - results.bound(time)).in_base() / kStep,
                in_watts(*price), 0.5)
        << seconds_asked;
  }
  EXPECT_FALSE(results.price_of_time(planner.frontier().fastest()));
  EXPECT_LT(*results.price_of_time(planner.frontier().least_energy_time() + seconds(0.01)),
            Watts{});
  EXPECT_GE(*results.price_of_time(planner.frontier().least_energy_time()), Watts{});
}

TEST(TrainingReport, StagesAndSettingsSumToTheWhole) {
  const auto pipeline = gpt3(12);
  const Planner planner{pipeline};
  const auto report = report_of(planner);
  const TrainingResults results{report};
  const auto number = [](const Cell& cell) {
    std::string digits;
    std::remove_copy(cell.text.begin(), cell.text.end(), std::back_inserter(digits), ',');
    return parse_number(digits).value_or(std::nan(""));
  };
  const auto sum = [&](const Table& table, std::size_t column) {
    double total = 0;
    for (const auto& row : table.rows) {
      total += number(row.cells.at(column));
    }
    return total;
  };
  const auto stages = stages_table(results);
  ASSERT_THAT(stages.rows, SizeIs(8));
  EXPECT_NEAR(sum(stages, 5), planner.all_max().energy.in_base(), 0.1);
  EXPECT_NEAR(sum(stages, 9), report.plan->energy.in_base(), 0.1);
  const auto settings = settings_table(results);
  ASSERT_THAT(settings.rows, SizeIs(16));
  EXPECT_EQ(sum(settings, 2), 8 * 24);
  EXPECT_NEAR(sum(settings, 11), (planner.all_max().energy - report.plan->energy).in_base(), 0.1);
  EXPECT_NEAR(sum(settings, 12), 100, 0.1);
  for (const auto& row : settings.rows) {
    EXPECT_LE(number(row.cells[4]), number(row.cells[5]));
    EXPECT_LE(number(row.cells[5]), number(row.cells[6]));
    EXPECT_LE(number(row.cells[6]), 1410);
  }
}

TEST(TrainingReport, EveryTableRowFitsItsColumns) {
  const auto pipeline = chain(3, 4);
  const Planner planner{pipeline};
  auto report = report_of(planner);
  for (const bool has_plan : {true, false}) {
    const TrainingResults results{report};
    for (const auto& table : {time_energy_table(results), straggler_table(results),
                              stages_table(results), training_inputs_table(results)}) {
      for (const auto& row : table.rows) {
        EXPECT_EQ(row.cells.size(), table.columns.size()) << table.id << has_plan;
      }
    }
    report.plan.reset();
  }
}

TEST(TrainingReport, GanttDrawsEveryOperationWhenItRuns) {
  const auto pipeline = gpt3(12);
  const Planner planner{pipeline};
  const auto report = report_of(planner);
  const auto charts = gantt_charts(TrainingResults{report});
  ASSERT_THAT(charts, SizeIs(1));
  EXPECT_EQ(charts[0].id, "chart-gantt");
  ASSERT_THAT(charts[0].spec["vconcat"], SizeIs(2));
  EXPECT_THAT(charts[0].note, HasSubstr("blocking power of 83.64 W"));
  const auto& plan = charts[0].spec["vconcat"][0];
  const auto bars = values_with(plan, "slack");
  ASSERT_THAT(bars, SizeIs(192));
  double joules = 0;
  double busy = 0;
  double last = 0;
  for (const auto& bar : bars) {
    joules += bar["joules"].get<double>();
    busy += bar["end"].get<double>() - bar["begin"].get<double>();
    last = std::max(last, bar["end"].get<double>());
    EXPECT_NEAR(bar["watts"].get<double>() * bar["seconds"].get<double>(),
                bar["joules"].get<double>(), 1e-3);
  }
  EXPECT_NEAR(last, report.plan->busy.in_base(), 1e-4);
  // Working and waiting at the blocking power is all the energy there is.
  EXPECT_NEAR(joules + 83.64 * (8 * report.plan->time.in_base() - busy),
              report.plan->energy.in_base(), 0.5);
}

TEST(TrainingReport, LongIterationsAreDrawnInTwoParts) {
  const auto pipeline = gpt3(256);
  const Planner planner{pipeline};
  TrainingReport report;
  report.planner = &planner;
  report.question = "the plan of a test";
  report.plan = planner.score(training::all_max_choice(pipeline));  // a real one takes seconds
  const auto charts = gantt_charts(TrainingResults{report});
  ASSERT_THAT(charts, SizeIs(2));
  EXPECT_EQ(charts[0].id, "chart-gantt-begin");
  EXPECT_EQ(charts[1].id, "chart-gantt-end");
  for (const auto& chart : charts) {
    EXPECT_THAT(chart.note, HasSubstr("Of 4,096 operations on these stages at most 1600"));
    for (const auto& panel : chart.spec["vconcat"]) {
      const auto bars = values_with(panel, "slack");
      EXPECT_GT(bars.size(), 400U);
      EXPECT_LE(bars.size(), 800U);
    }
  }
  const auto begin = values_with(charts[0].spec["vconcat"][0], "slack");
  const auto end = values_with(charts[1].spec["vconcat"][0], "slack");
  EXPECT_EQ(begin.front()["begin"], 0.0);
  EXPECT_NEAR(std::max_element(end.begin(), end.end(),
                               [](const Json& a, const Json& b) { return a["end"] < b["end"]; })
                  ->at("end")
                  .get<double>(),
              report.plan->busy.in_base(), 1e-3);
  EXPECT_LT(training_html(report).size(), 6'000'000U);
}

TEST(TrainingReport, ManyStagesAreDrawnEvenlySpread) {
  const auto pipeline = chain(300, 2);
  const Planner planner{pipeline};
  const auto report = report_of(planner);
  const TrainingResults results{report};
  const auto charts = gantt_charts(results);
  ASSERT_THAT(charts, SizeIs(1));
  EXPECT_THAT(charts[0].note, HasSubstr("48 of 300 stages are drawn"));
  const auto bars = values_with(charts[0].spec["vconcat"][0], "slack");
  EXPECT_EQ(bars.front()["stage"], 0);
  EXPECT_EQ(bars.back()["stage"], 299);
  EXPECT_THAT(stages_table(results).rows, SizeIs(256));
  EXPECT_THAT(stages_table(results).note, HasSubstr("The first 256 of 300 stages"));
  EXPECT_THAT(settings_table(results).note, HasSubstr("The first 256 of 600 rows"));
}

TEST(TrainingReport, TheFrontierIsThinnedInTheDrawingOnly) {
  const auto pipeline = gpt3(24);
  const Planner planner{pipeline};
  const auto report = report_of(planner);
  ASSERT_GT(planner.frontier().points().size(), 400U);
  const auto chart = time_energy_chart(TrainingResults{report});
  const auto line = values_with(chart.spec["layer"][1], "seconds");
  EXPECT_LE(line.size(), 402U);
  EXPECT_GT(line.size(), 200U);
  EXPECT_THAT(chart.note, HasSubstr("breakpoints"));
  EXPECT_EQ(line.back()["seconds"], planner.frontier().fastest().in_base());
  EXPECT_EQ(line.front()["seconds"], planner.frontier().slowest().in_base());
  for (const auto& value : line) {
    EXPECT_EQ(value["joules"],
              planner.frontier().energy(seconds(value["seconds"].get<double>())).in_base());
  }
  const auto small = chain(2, 2);
  const Planner small_planner{small};
  const auto small_report = report_of(small_planner);
  EXPECT_THAT(time_energy_chart(TrainingResults{small_report}).note,
              Not(HasSubstr("drawn through")));
}

TEST(TrainingReport, AnInfeasibleQuestionKeepsTheFrontier) {
  const auto pipeline = gpt3(12);
  const Planner planner{pipeline};
  auto report = report_of(planner);
  report.plan.reset();
  report.question = "within 1 s";
  report.reason = "no iteration is shorter than 2.8365 s";
  const auto html = page_of(report);
  EXPECT_THAT(html, HasSubstr("<strong>Infeasible:</strong> within 1 s: no iteration is shorter "
                              "than 2.8365 s."));
  EXPECT_THAT(html, HasSubstr("chart-time-energy"));
  EXPECT_THAT(html, HasSubstr("chart-gantt"));
  EXPECT_THAT(html, Not(HasSubstr("Settings of the plan")));
  EXPECT_THAT(training_markdown(report), HasSubstr("**Infeasible:** within 1 s"));
  EXPECT_THAT(gantt_charts(TrainingResults{report})[0].spec["vconcat"], SizeIs(1));
}

TEST(TrainingReport, APlanThatWaitsIsDrawnToItsEnd) {
  const auto pipeline = gpt3(12);
  const Planner planner{pipeline};
  auto report = report_of(planner);
  report.plan = planner.with_straggler(seconds(9));
  const TrainingResults results{report};
  EXPECT_THAT(page_of(report), HasSubstr("and then waits"));
  const auto line = values_with(time_energy_chart(results).spec["layer"][1], "seconds");
  EXPECT_EQ(line.front()["seconds"], 9.0);
  const auto waiting =
      values_with(gantt_charts(results)[0].spec["vconcat"][0]["layer"][0], "stage");
  ASSERT_THAT(waiting, SizeIs(8));
  EXPECT_EQ(waiting[0]["end"], 9.0);
  EXPECT_EQ(waiting[0]["watts"], 83.64);
}

TEST(TrainingReport, HostileNamesStayText) {
  const std::string hostile = "</script><script>alert(1)</script>|`*\"'&";
  Json dag{{"other_knobs", {hostile}}};
  Json option{{"time_seconds", 0.1}, {"energy_joules", 5}};
  option[hostile] = hostile;
  dag["operations"] = Json::array({{{"name", "a"},
                                    {"stage", 0},
                                    {"instruction", hostile},
                                    {"options", Json::array({option})}}});
  const auto pipeline = training::read_dag(dag.dump(), "dag.json", {}, watts(50));
  const Planner planner{pipeline};
  auto report = report_of(planner);
  report.question = hostile;
  report.inputs = {{"profile", hostile}};
  report.version = hostile;
  const auto html = page_of(report);
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, HasSubstr("&lt;/script&gt;"));
  EXPECT_THAT(html, HasSubstr("\\u003c/script>"));
  EXPECT_THAT(training_markdown(report), Not(HasSubstr("<script>")));
  EXPECT_THAT(html, HasSubstr("none</td>"));  // no frequency is no 0 MHz
}

TEST(TrainingReport, WorkWithoutEnergyIsNoCrash) {
  const auto pipeline = training::read_dag(
      R"({"operations": [{"name": "a", "stage": 0, "instruction": "forward",
          "options": [{"time_seconds": 0.1, "energy_joules": 0}]}]})",
      "dag.json", {}, watts(0));
  const Planner planner{pipeline};
  const auto report = report_of(planner);
  const auto text = training_markdown(report);
  EXPECT_THAT(text, HasSubstr("0 J"));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
  EXPECT_THAT(text, Not(HasSubstr("inf ")));
  for (const auto& chart : gantt_charts(TrainingResults{report})) {
    for (const auto& bar : values_with(chart.spec, "watts")) {
      EXPECT_EQ(bar["watts"], 0.0);
    }
  }
}

}  // namespace
}  // namespace perwatt::report
