// The plan as one HTML file.
#include <algorithm>
#include <iterator>

#include "charts.hpp"
#include "executive.hpp"
#include "figures.hpp"
#include "html_page.hpp"
#include "plan_sections.hpp"
#include "plan_summary.hpp"
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

std::string executive_section(const PlanReport& report) {
  std::string html = "<section id=\"in-short\">\n<h2>In short</h2>\n<ul class=\"statements\">\n";
  for (const auto& statement : executive_statements(report)) {
    html += fmt::format("<li><strong>{}.</strong> {}</li>\n", html_escaped(statement.label),
                        html_escaped(statement.text));
  }
  return html + "</ul>\n</section>\n";
}

}  // namespace

std::string plan_html(const PlanReport& report) {
  auto html = page_head(title_text(report), report.version) + header(report);
  if (report.solved.plan->status == plan::PlanStatus::optimal) {
    html += executive_section(report) + cards(report);
  }
  for (const auto& section : plan_sections(report)) {
    for (const auto& chart : section.charts) {
      html += chart_section(chart);
    }
    for (const auto& table : section.tables) {
      html += to_html(table);
    }
  }
  for (const auto& table : provenance_tables(report)) {
    html += to_html(table);
  }
  return html + page_foot(report.version);
}

}  // namespace perwatt::report
