// The plan as one HTML file: no request leaves the page, and a content security policy holds it to
// that.
#include <algorithm>
#include <iterator>

#include "chart_libraries.hpp"
#include "charts.hpp"
#include "figures.hpp"
#include "plan_summary.hpp"
#include "plan_tables.hpp"
#include "provenance.hpp"
#include "text.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'";

/// Keys of the figures on top, in order.
constexpr const char* kCards[] = {"output", "per_provisioned_mw", "per_drawn_mw", "joules_facility",
                                  "profit", "energy_share",       "provisioned",  "meter",
                                  "mw_up"};

std::string head(const PlanReport& report) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"generator\" content=\"perwatt {}\">\n<title>{}</title>\n"
      "<style>\n{}</style>\n</head>\n<body>\n<main>\n",
      kPolicy, html_escaped(report.version), html_escaped(title_text(report)), report_style());
}

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

std::string chart_section(Chart chart) {
  chart.spec["description"] = chart.title;
  return fmt::format(
      "<section>\n<h2>{}</h2>\n<p class=\"note\">{}</p>\n"
      "<figure class=\"chart\" id=\"{}\" role=\"img\" aria-label=\"{}\"></figure>\n"
      "<script type=\"application/json\" data-chart=\"{}\">{}</script>\n</section>\n",
      html_escaped(chart.title), html_escaped(chart.note), chart.id, html_escaped(chart.title),
      chart.id, script_escaped(chart.spec.dump(-1, ' ', false, Json::error_handler_t::replace)));
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

std::string foot(const PlanReport& report) {
  std::string html = fmt::format(
      "<footer>\n<p>Made by perwatt {}. Charts are drawn by Vega, Vega-Lite and Vega-Embed, "
      "inlined "
      "in this file; it loads nothing.</p>\n<details><summary>Licences of the chart libraries"
      "</summary><pre>{}</pre></details>\n</footer>\n</main>\n",
      html_escaped(report.version), html_escaped(chart_licences()));
  for (const auto script :
       {vega_script(), vega_lite_script(), vega_embed_script(), render_charts_script()}) {
    html += "<script>";
    html += script;
    html += "</script>\n";
  }
  return html + "</body>\n</html>\n";
}

}  // namespace

std::string plan_html(const PlanReport& report) {
  auto html = head(report) + header(report);
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
  return html + foot(report);
}

}  // namespace perwatt::report
