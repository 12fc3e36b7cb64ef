#include "perwatt/report/plan_report.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "charts.hpp"
#include "figures.hpp"
#include "plan_case.hpp"
#include "plan_sections.hpp"
#include "provenance.hpp"
#include "text.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::report {
namespace {

std::vector<Table> result_tables(const PlanReport& report) {
  std::vector<Table> tables;
  for (const auto& section : plan_sections(report)) {
    tables.insert(tables.end(), section.tables.begin(), section.tables.end());
  }
  return tables;
}

/// `html` without the content of its scripts and its style.
std::string markup_of(const std::string& html) {
  std::string markup;
  std::size_t at = 0;
  while (true) {
    const auto script = html.find("<script", at);
    const auto style = html.find("<style", at);
    const auto begin = std::min(script, style);
    if (begin == std::string::npos) {
      return markup + html.substr(at);
    }
    const auto open_end = html.find('>', begin) + 1;
    markup += html.substr(at, open_end - at);
    at = html.find(begin == script ? "</script>" : "</style>", open_end);
  }
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST(PlanHtml, SameInputSameBytes) {
  const auto first = make_rich_case();
  const auto second = make_rich_case();
  EXPECT_EQ(plan_html(first->report), plan_html(second->report));
  EXPECT_EQ(plan_markdown(first->report), plan_markdown(second->report));
  EXPECT_EQ(plan_csv(first->report), plan_csv(second->report));
}

TEST(PlanHtml, LoadsNothing) {
  const auto made = make_case("1MW");
  const auto html = plan_html(made->report);
  const auto markup = markup_of(html);
  for (const auto* forbidden : {"src=", "<link", "<img", "<iframe", "<object", "<embed",
                                "http-equiv=\"refresh\"", "javascript:"}) {
    EXPECT_EQ(markup.find(forbidden), std::string::npos) << forbidden;
  }
  const auto style = html.substr(html.find("<style>"), html.find("</style>"));
  EXPECT_EQ(style.substr(0, style.find("</style>")).find("url("), std::string::npos);
  EXPECT_EQ(style.substr(0, style.find("</style>")).find("@import"), std::string::npos);
  EXPECT_EQ(count_of(markup, "href="), count_of(markup, "<a href=\"#") +
                                           count_of(markup, "<a href=\"https://") +
                                           count_of(markup, "<a href=\"http://"));
  EXPECT_NE(markup.find("default-src 'none'"), std::string::npos);
}

TEST(PlanHtml, OutsideTextNeverBecomesMarkup) {
  const auto made = make_rich_case();
  const auto html = plan_html(made->report);
  EXPECT_EQ(html.find("<script>alert"), std::string::npos);
  EXPECT_EQ(html.find("<b>site"), std::string::npos);
  EXPECT_NE(html.find("A &lt;b&gt;site&lt;/b&gt;"), std::string::npos);
  EXPECT_EQ(count_of(html, "<script"), count_of(html, "</script>"));
}

TEST(PlanHtml, EveryChartHasItsElementAndItsSpec) {
  const auto made = make_rich_case();
  const auto html = plan_html(made->report);
  for (const auto* id : {"chart-cost", "chart-sankey", "chart-levers", "chart-sensitivities",
                         "chart-hours", "chart-ratio-script-script-alert-x-y-script",
                         "chart-frontier-script-script-alert-x-y-script",
                         "chart-power-script-script-alert-x-y-script"}) {
    EXPECT_NE(html.find("id=\"" + std::string{id} + "\""), std::string::npos) << id;
    EXPECT_NE(html.find("data-chart=\"" + std::string{id} + "\">{"), std::string::npos) << id;
  }
}

TEST(PlanHtml, InfeasibleTellsReasonAndRemedies) {
  const auto made = make_case("20kW");
  ASSERT_EQ(made->plan.status, plan::PlanStatus::infeasible);
  ASSERT_FALSE(made->plan.remedies.empty());
  for (const auto& document : {plan_html(made->report), plan_markdown(made->report)}) {
    EXPECT_NE(document.find("Infeasible:"), std::string::npos);
    EXPECT_NE(document.find("What would make it feasible"), std::string::npos);
    EXPECT_NE(document.find(made->plan.remedies[0].needed), std::string::npos);
    EXPECT_EQ(document.find("Headline figures"), std::string::npos);
  }
  EXPECT_NE(plan_html(made->report).find("data-chart=\"chart-frontier-"), std::string::npos);
  EXPECT_EQ(CsvTable::parse(plan_csv(made->report), "report.csv").rows().size(), 0U);
}

TEST(PlanMarkdown, HasEveryTableWithEveryRow) {
  const auto made = make_rich_case();
  const auto text = plan_markdown(made->report);
  for (const auto& tables : {result_tables(made->report), provenance_tables(made->report)}) {
    for (const auto& table : tables) {
      const auto begin = text.find("## " + markdown_escaped(table.title) + "\n");
      ASSERT_NE(begin, std::string::npos) << table.title;
      const auto section = text.substr(begin, text.find("\n## ", begin + 1) - begin);
      EXPECT_EQ(count_of(section, "\n|"), table.rows.size() + 2) << table.title;
    }
  }
}

TEST(PlanTables, EveryRowHasACellForEveryColumn) {
  const auto made = make_rich_case();
  for (const auto& tables : {result_tables(made->report), provenance_tables(made->report)}) {
    for (const auto& table : tables) {
      EXPECT_FALSE(table.rows.empty()) << table.title;
      for (const auto& row : table.rows) {
        EXPECT_EQ(row.cells.size(), row.is_heading ? 1 : table.columns.size()) << table.title;
      }
    }
  }
}

TEST(PlanTables, EveryCitedSourceIsListed) {
  const auto made = make_case("1MW");
  const auto html = markup_of(plan_html(made->report));
  for (auto at = html.find("href=\"#"); at != std::string::npos; at = html.find("href=\"#", at)) {
    at += 7;
    const auto id = html.substr(at, html.find('"', at) - at);
    EXPECT_NE(html.find(" id=\"" + id + "\""), std::string::npos) << id;
  }
}

TEST(PlanCsv, RowsAddUpToThePlan) {
  const auto made = make_case("1MW");
  const auto text = plan_csv(made->report);
  const auto table = CsvTable::parse(text, "report.csv");
  ASSERT_EQ(table.rows().size(), made->plan.assignments.size());
  double output = 0;
  for (const auto& row : table.rows()) {
    output += *parse_number(row.fields[table.require("output_tokens_per_s")]);
    EXPECT_EQ(row.fields[table.require("source")], kHostile);
    EXPECT_EQ(row.fields[table.require("read_at")], "points.csv:7");
  }
  EXPECT_NEAR(output, made->plan.totals.output.in_base(), 1e-6 * output);
}

TEST(HeadlineFigures, IntervalsHoldTheirValuesAndUnknownsSayWhy) {
  const auto made = make_case("1MW");
  for (const auto& figure : headline_figures(made->report.solved, shipped_catalog())) {
    EXPECT_FALSE(figure.unit.empty()) << figure.key;
    if (!figure.value) {
      EXPECT_FALSE(figure.remark.empty()) << figure.key;
      EXPECT_FALSE(figure.interval) << figure.key;
    } else if (figure.interval) {
      const double rounding = 1e-9 * *figure.value;
      EXPECT_LE(figure.interval->low, *figure.value + rounding) << figure.key;
      EXPECT_GE(figure.interval->high, *figure.value - rounding) << figure.key;
    }
  }
}

TEST(HeadlineFigures, EnergyPerTokenRisesFromBoardToMeter) {
  const auto made = make_case("1MW");
  const auto figures = headline_figures(made->report.solved, shipped_catalog());
  const auto value = [&](const std::string& key) {
    return *std::find_if(figures.begin(), figures.end(), [&](const Figure& f) {
              return f.key == key;
            })->value;
  };
  EXPECT_LT(value("joules_gpu"), value("joules_it"));
  EXPECT_LT(value("joules_it"), value("joules_facility"));
  EXPECT_NEAR(value("joules_facility") * value("per_drawn_mw"), 1e6, 1e-3);
}

TEST(PowerFlowChart, RibbonsOfAColumnAreAsHighAsTheMeter) {
  const auto made = make_case("1MW");
  const auto charts = power_flow_charts(made->report);
  ASSERT_EQ(charts.size(), 1U);
  const auto& boxes = charts[0].spec["data"][1]["values"];
  const double meter = boxes[0]["height"].get<double>();
  double second = 0;
  double bottom = -1;
  for (const auto& box : boxes) {
    if (box["x"] == boxes[1]["x"]) {
      second += box["height"].get<double>();
      EXPECT_GT(box["y"].get<double>(), bottom);  // no box lies on another
      bottom = box["y"].get<double>() + box["height"].get<double>();
    }
  }
  EXPECT_NEAR(second, meter, 1e-6 * meter);
}

TEST(FrontierChart, WithoutMeasuredPointsThereIsNone) {
  const auto made = make_case("1MW");
  made->report.frontiers = {inference::Frontier{}};
  EXPECT_TRUE(frontier_charts(made->report, RackNames{made->set}).empty());
}

}  // namespace
}  // namespace perwatt::report
