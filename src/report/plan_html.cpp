// The plan as one HTML file.
#include <algorithm>
#include <iterator>

#include "charts.hpp"
#include "figures.hpp"
#include "html_page.hpp"
#include "plan_summary.hpp"
#include "plan_tables.hpp"
#include "provenance.hpp"
#include "text.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

/// Keys of the figures on top, in order.
constexpr const char* kCards[] = {"output", "per_provisioned_mw", "per_drawn_mw", "joules_facility",
                                  "profit", "energy_share",       "provisioned",  "meter",
                                  "mw_up"};

std::string header(const PlanReport& report) {
  auto html = fmt::format("<header>\n<h1>{}</h1>\n", html_escaped(title_text(report)));
  for (const auto& text : lead_texts(report)) {
    html += fmt::format("<p class=\"lead\">{}</p>\n", html_escaped(text));
  }
  if (report.solved.plan->status != plan::PlanStatus::optimal) {
    html += fmt::format("<p class=\"verdict\"><strong>Infeasible:</strong> {}</p>\n",
                        html_escaped(report.solved.plan->infeasible_because));
  }
  return html + "</header>\n";
}

std::string card(const Figure& figure) {
  auto html = fmt::format(
      "<div class=\"card\"><div class=\"name\">{}</div><div class=\"value\">{} "
      "<span class=\"unit\">{}</span></div><div class=\"interval\">",
      html_escaped(figure.name), html_escaped(value_text(figure, 4)), html_escaped(figure.unit));
  if (figure.interval) {
    html += "90 %: " + html_escaped(interval_text(figure)) + ' ';
  } else if (!figure.value) {
    html += html_escaped(figure.remark);
  }
  if (!figure.tag.empty()) {
    html += fmt::format("<span class=\"tag\">{}</span>", html_escaped(figure.tag));
  }
  return html + "</div></div>\n";
}

std::string cards(const PlanReport& report) {
  const auto figures = headline_figures(report.solved, *report.catalog);
  std::string html = "<div class=\"cards\">\n";
  for (const auto* key : kCards) {
    const auto at = std::find_if(figures.begin(), figures.end(),
                                 [&](const Figure& figure) { return figure.key == key; });
    html += card(*at);
  }
  return html + "</div>\n";
}

std::string chart_sections(const PlanReport& report) {
  const RackNames racks{*report.solved.set};
  std::string html;
  for (const auto& charts : {cost_charts(report), power_flow_charts(report),
                             frontier_charts(report, racks), power_curve_charts(report, racks)}) {
    for (const auto& chart : charts) {
      html += chart_section(chart);
    }
  }
  return html;
}

}  // namespace

std::string plan_html(const PlanReport& report) {
  auto html = page_head(title_text(report), report.version) + header(report);
  const auto results = result_tables(report);
  const bool optimal = report.solved.plan->status == plan::PlanStatus::optimal;
  // A feasible plan shows its charts after the headline figures, an infeasible one after the
  // reasons.
  const std::size_t on_top = optimal ? 1 : results.size();
  if (optimal) {
    html += cards(report);
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (i == on_top) {
      html += chart_sections(report);
    }
    html += to_html(results[i]);
  }
  if (on_top == results.size()) {
    html += chart_sections(report);
  }
  for (const auto& table : provenance_tables(report)) {
    html += to_html(table);
  }
  return html + page_foot(report.version);
}

}  // namespace perwatt::report
