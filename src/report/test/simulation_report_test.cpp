#include "perwatt/report/simulation_report.hpp"

#include "simulation_parts.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/simulate/run_scenario.hpp"

namespace perwatt::report {
namespace {

using simulate::PolicyKind;
using simulate::PolicyResult;
using simulate::PolicyRuns;
using simulate::Scenario;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr const char* kHostileScenario = R"(
[scenario]
name = "</title><script>alert(1)</script>"
duration = "20s"
warm_up = "5s"
step = "100ms"
electricity = "0.07USD/kWh"
overshoot = "2.5%"
[[device_kind]]
accelerator = "a&b"
idle = "60W"
response = "321ms"
overshoot = "4%"
most_latency = "0.7s"
[sensors]
noise = "3W"
bias = "1.5%"
[[topology.node]]
id = "<i>root"
kind = "row"
limits = [{ power = "1.5kW", what = "breaker" }]
[[topology.device]]
id = "gpu"
parent = "<i>root"
count = 4
min = "100W"
max = "700W"
accelerator = "a&b"
[[service]]
id = "<b>chat"
max_ttft = "20s"
max_tpot = "50ms"
input = { tokens = 100 }
output = { tokens = 20 }
usd_per_million_output_tokens = 2
arrivals = { rate = "5req/s" }
[service.aggregated]
instances = 2
gpus = 1
prefill_rate = "10ktok/s"
step_base = "10ms"
most_sequences = 16
idle = "60W"
prefill_power = "600W"
decode_power = "400W"
decode_exponent = 7.5
[[training]]
id = "<u>train"
gpus = 2
step = "1s"
compute_power = "650W"
communication_power = "200W"
idle = "60W"
[[fault]]
kind = "cap-late"
node = "<i>root"
at = "10s"
lasts = "5s"
delay = "3s"
[[fault]]
kind = "messages-lost"
at = "1s"
lasts = "2s"
ratio = 0.25
[[policy]]
name = "fixed"
kind = "fixed"
[[policy]]
name = "<em>even"
kind = "even"
)";

Scenario hostile_scenario(std::string text = kHostileScenario) {
  return simulate::read_scenario(text, "site.toml", ".");
}

Scenario with_replaced(const std::string& from, const std::string& to) {
  std::string text = kHostileScenario;
  text.replace(text.find(from), from.size(), to);
  return hostile_scenario(text);
}

/// Figures that can be told apart in the page.
PolicyResult result_of(const std::string& policy, PolicyKind kind, double scale) {
  PolicyResult result;
  result.policy = policy;
  result.kind = kind;
  result.limit = watts(1500);
  result.mean_supply = watts(1000);
  result.mean_gpu = watts(900);
  result.stranded = {watts(111), watts(222), watts(167)};
  result.output = tokens_per_second(100 * scale);
  result.good = tokens_per_second(80 * scale);
  result.violations.count = 3;
  result.violations.time_over = seconds(1.5);
  result.violations.worst_ratio = 1.0375;
  result.timeline.part = seconds(10);
  for (const double part : {1.0, 2.0}) {
    result.timeline.supply.push_back(watts(1000 + part));
    result.timeline.highest.push_back(watts(1010 + part));
    result.timeline.wanted.push_back(watts(1700 + part));
    result.timeline.output.push_back(tokens_per_second(100 * scale));
    result.timeline.good.push_back(tokens_per_second(80 * scale));
  }
  return result;
}

std::vector<PolicyRuns> made_runs(std::size_t seeds = 1) {
  std::vector<PolicyRuns> runs(2);
  for (std::size_t s = 0; s < seeds; ++s) {
    const double jitter = 1 + 0.01 * static_cast<double>(s);
    runs[0].push_back(result_of("fixed", PolicyKind::fixed, 1));
    runs[1].push_back(result_of("<em>even", PolicyKind::even, 1.25 * jitter));
  }
  return runs;
}

std::string page_of(const Scenario& scenario, const std::vector<PolicyRuns>& runs) {
  return simulation_html({&scenario, &runs, "<site>.toml", "0"});
}

std::string row_of(const Table& table, const std::string& name) {
  for (const auto& row : table.rows) {
    if (row.cells.front().text == name) {
      std::string text;
      for (std::size_t i = 1; i < row.cells.size(); ++i) {
        text += (i == 1 ? "" : " | ") + row.cells[i].text;
      }
      return text;
    }
  }
  return "no row " + name;
}

TEST(SimulationReport, EscapesWhatUsersName) {
  const auto scenario = hostile_scenario();
  const auto runs = simulate::compare_policies(scenario, scenario.policies, 1);
  const auto html = page_of(scenario, runs);
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(1)"));
  for (const auto* hostile :
       {"<script>alert(1)", "<i>root", "<b>chat", "<u>train", "<em>even", "<site>", "a&b"}) {
    EXPECT_THAT(html, Not(HasSubstr(hostile))) << hostile;
  }
  for (const auto* shown : {"&lt;i&gt;root", "&lt;b&gt;chat", "&lt;u&gt;train", "&lt;em&gt;even",
                            "&lt;site&gt;", "a&amp;b", "\\u003cem>even"}) {
    EXPECT_THAT(html, HasSubstr(shown)) << shown;
  }
}

TEST(SimulationReport, GivesTheSameBytesAgain) {
  const auto scenario = hostile_scenario();
  const auto first = page_of(scenario, simulate::compare_policies(scenario, scenario.policies, 2));
  const auto again = page_of(scenario, simulate::compare_policies(scenario, scenario.policies, 2));
  EXPECT_EQ(first, again);
}

TEST(SimulationReport, SaysWhatRanAndWhatItsWordsMean) {
  const auto scenario = hostile_scenario();
  const auto html = page_of(scenario, made_runs());
  EXPECT_THAT(html, HasSubstr("4 devices, limit 1.5 kW of the root, &lt;i&gt;root; 20 s scored "
                              "after 5 s of warm-up; seed 1;"));
  EXPECT_THAT(html, HasSubstr("<span class=\"tag\">modelled</span>"));
  EXPECT_THAT(html, HasSubstr("Facility power is the supply of the root"));
  EXPECT_THAT(html, HasSubstr("Good tokens are the output of requests that ended inside"));
  EXPECT_THAT(page_of(scenario, made_runs(3)), HasSubstr("3 seeds from 1;"));
}

TEST(SimulationReport, ShowsAllFiguresOfAPolicy) {
  const auto scenario = hostile_scenario();
  const auto runs = made_runs();
  const auto table = scores_table({&scenario, &runs, "", "0"});
  EXPECT_EQ(row_of(table, "draw of the root, kW"), "1 | 1");
  EXPECT_EQ(row_of(table, "GPUs alone, kW"), "0.9 | 0.9");
  EXPECT_EQ(row_of(table, "draw of limit, %"), "66.67 | 66.67");
  EXPECT_EQ(row_of(table, "idle work, kW"), "0.111 | 0.111");
  EXPECT_EQ(row_of(table, "held by child limits, kW"), "0.222 | 0.222");
  EXPECT_EQ(row_of(table, "reserve, kW"), "0.167 | 0.167");
  EXPECT_EQ(row_of(table, "times over a limit"), "3 | 3");
  EXPECT_EQ(row_of(table, "time over limits, s"), "1.5 | 1.5");
  EXPECT_EQ(row_of(table, "worst of any limit, %"), "103.8 | 103.8");
  EXPECT_EQ(row_of(table, "good output, tok/s"), "80 | 100");
  EXPECT_EQ(row_of(table, "output, tok/s per MW"), "100,000 | 125,000");
  EXPECT_EQ(row_of(table, "TTFT p99, s"), "- | -");
}

TEST(SimulationReport, GivesIntervalsOfSeveralSeeds) {
  const auto scenario = hostile_scenario();
  const auto runs = made_runs(3);
  const SimulationReport report{&scenario, &runs, "", "0"};
  // 125, 126.25, 127.5: t(0.975, 2) = 4.3027, s / sqrt(3) = 0.72169
  EXPECT_EQ(row_of(scores_table(report), "output, tok/s"), "100 ± 0 | 126.25 ± 3.1");
  EXPECT_EQ(row_of(scores_table(report), "times over a limit"), "9 | 9");
  const auto gains = gain_tables(report);
  ASSERT_THAT(gains, SizeIs(1));
  EXPECT_EQ(gains[0].title, "Gain over fixed caps: fixed");
  EXPECT_EQ(row_of(gains[0], "<em>even"),
            "+26.25 % ± 3.1 | +26.25 % ± 3.1 | 0 % ± 0 | +26.25 % ± 3.1 | +26.25 % ± 3.1");
}

TEST(SimulationReport, GainsNeedFixedCapsAndAnother) {
  const auto scenario = hostile_scenario();
  auto runs = made_runs();
  runs.erase(runs.begin() + 1);
  EXPECT_THAT(gain_tables({&scenario, &runs, "", "0"}), IsEmpty());
  runs = made_runs();
  runs.erase(runs.begin());
  EXPECT_THAT(gain_tables({&scenario, &runs, "", "0"}), IsEmpty());
}

TEST(SimulationReport, DrawsPowerTokensFaultsAndWatts) {
  const auto scenario = hostile_scenario();
  const auto runs = made_runs();
  const SimulationReport report{&scenario, &runs, "", "0"};
  const auto charts = timeline_charts(report);
  ASSERT_THAT(charts, SizeIs(2));
  const auto power = charts[0].spec.dump();
  EXPECT_THAT(power, AllOf(HasSubstr("\"time\":5.0,\"supply\":1.001,\"highest\":1.011"),
                           HasSubstr("limit 1.5 kW"), HasSubstr("cap-late: <i>root"),
                           HasSubstr("\"begin\":5.0,\"end\":10.0")));
  EXPECT_THAT(power, Not(HasSubstr("messages-lost")));  // it is over before the scored time
  EXPECT_THAT(charts[1].spec.dump(), HasSubstr("\"good\":100.0"));
  const auto watts_chart = watts_charts(report);
  ASSERT_THAT(watts_chart, SizeIs(1));
  EXPECT_THAT(watts_chart[0].spec.dump(),
              AllOf(HasSubstr("\"part\":\"reserve\",\"start\":1.333,\"end\":1.5"),
                    HasSubstr("\"part\":\"child limits\",\"start\":1.111")));
}

TEST(SimulationReport, ShowsServicesAndTrainingsThatRan) {
  const auto scenario = hostile_scenario();
  const auto runs = simulate::compare_policies(scenario, scenario.policies, 2);
  const auto tables = job_tables({&scenario, &runs, "", "0"});
  ASSERT_THAT(tables, SizeIs(2));
  EXPECT_EQ(tables[0].rows.size(), 2U);
  EXPECT_EQ(tables[0].rows[1].cells[0].text, "<em>even");
  EXPECT_EQ(tables[0].rows[1].cells[1].text, "<b>chat");
  EXPECT_EQ(tables[1].rows[1].cells[1].text, "<u>train");
  for (const auto& cell : tables[0].rows[0].cells) {
    EXPECT_THAT(cell.text, Not(IsEmpty()));
    EXPECT_NE(cell.text, "-");
  }
}

TEST(SimulationReport, ListsWhatWasAssumed) {
  const auto scenario = hostile_scenario();
  const auto html = page_of(scenario, made_runs());
  for (const auto* assumed :
       {"0.321 s", "4 %", "0 s to 0.7 s", "± 1.5 %", "3 W", ">7.5<", "2.5 %", "0.07 USD/kWh",
        "25 % of them", "3 s more", "cap-late", "messages-lost", "-4 s", "Chandrakasan"}) {
    EXPECT_THAT(html, HasSubstr(assumed)) << assumed;
  }
}

TEST(SimulationReport, NamesWhatAPolicyDoesWithout) {
  auto scenario = hostile_scenario();
  scenario.policies[1].off = {"<b>chat"};
  scenario.policies[1].absent.assign(9, topology::NodeIndex{0});
  const auto runs = made_runs();
  const auto tables = assumption_tables({&scenario, &runs, "", "0"});
  EXPECT_EQ(tables[0].title, "Faults");
  EXPECT_THAT(row_of(tables[1], "<em>even"),
              AllOf(HasSubstr("1 s | 0.5 % | <b>chat | <i>root, "), HasSubstr(" and 3 more")));
  EXPECT_THAT(row_of(tables[1], "fixed"), HasSubstr("once"));
}

TEST(SimulationReport, DoesWithoutWorkOrLimit) {
  const auto scenario = with_replaced("limits = [{ power = \"1.5kW\", what = \"breaker\" }]", "");
  auto runs = made_runs();
  for (auto& policy : runs) {
    policy[0].limit.reset();
    policy[0].output = policy[0].good = {};
  }
  const SimulationReport report{&scenario, &runs, "", "0"};
  EXPECT_THAT(watts_charts(report), IsEmpty());
  EXPECT_THAT(timeline_charts(report), SizeIs(1));
  EXPECT_THAT(job_tables(report), IsEmpty());
  const auto html = simulation_html(report);
  EXPECT_THAT(html, HasSubstr("no limit of the root, &lt;i&gt;root;"));
  EXPECT_THAT(html, HasSubstr("The root has no limit"));
  EXPECT_THAT(html, Not(HasSubstr("chart-watts")));
  EXPECT_THAT(html, Not(HasSubstr("idle work, kW")));
  EXPECT_THAT(gain_tables(report)[0].rows[0].cells[1].text, "-");
  for (auto& policy : runs) {
    policy[0].timeline = {};
  }
  EXPECT_THAT(timeline_charts(report), IsEmpty());
}

TEST(SimulationReport, TellsManyPoliciesApart) {
  const auto scenario = hostile_scenario();
  std::vector<PolicyRuns> runs;
  for (int i = 0; i < 40; ++i) {
    runs.push_back({result_of("again", PolicyKind::even, 1)});
  }
  const SimulationReport report{&scenario, &runs, "", "0"};
  const auto names = policy_names(report);
  EXPECT_EQ(names.front(), "again");
  EXPECT_EQ(names.back(), "again (40)");
  EXPECT_THAT(scores_table(report).columns, SizeIs(41));
  EXPECT_THAT(simulation_html(report), HasSubstr("again (40)"));
}

TEST(SimulationReport, CutsLongListsAndSaysSo) {
  auto scenario = hostile_scenario();
  scenario.faults.assign(kMostSimulationRows + 7, scenario.faults.back());
  const auto runs = made_runs();
  const auto html = page_of(scenario, runs);
  EXPECT_THAT(html, HasSubstr("7 more are not listed."));
  EXPECT_THAT(html, HasSubstr("807 more faults are not drawn."));
}

}  // namespace
}  // namespace perwatt::report
