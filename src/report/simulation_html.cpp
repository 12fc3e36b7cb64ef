// The frame of the report of a simulation.
#include "executive.hpp"
#include "html_page.hpp"
#include "simulation_parts.hpp"
#include "text.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

std::string run_text(const SimulationReport& report) {
  const auto& scenario = *report.scenario;
  const auto& limit = report.runs->front().front().limit;
  const auto seeds = report.runs->front().size();
  return fmt::format(
      "{} devices, {}; {} s scored after {} s of warm-up; {}; from {}.",
      significant(static_cast<double>(scenario.tree.devices().size()), 12),
      limit
          ? fmt::format("limit {} of the root, {}", power_text(*limit), scenario.tree.node({0}).id)
          : fmt::format("no limit of the root, {}", scenario.tree.node({0}).id),
      significant(in_seconds(scenario.duration), 7), significant(in_seconds(scenario.warm_up), 7),
      seeds == 1 ? fmt::format("seed {}", scenario.seed)
                 : fmt::format("{} seeds from {}", seeds, scenario.seed),
      report.source);
}

/// How the page is to be read.
std::vector<Statement> reading_statements(const SimulationReport& report) {
  const auto& root = report.scenario->tree.node({0});
  std::vector<Statement> statements;
  statements.push_back({"Modelled",
                        "Nothing on this page was measured on a device: a plant, its work and its "
                        "faults were simulated, with what is listed at the end as assumed."});
  statements.push_back(
      {"Power",
       fmt::format("Facility power is the supply of the root, {} ({}), with the losses and fixed "
                   "watts of all nodes below it; what the tree does not have is not counted. GPU "
                   "power is the sum of all device boards.",
                   root.id, topology::to_string(root.kind))});
  statements.push_back(
      {"Tokens",
       "Output tokens are all that were produced, also those lost by a failure. Good "
       "tokens are the output of requests that ended inside their limits of TTFT and "
       "TPOT. Input tokens are in neither."});
  if (report.runs->front().size() > 1) {
    statements.push_back({"Seeds",
                          "Every policy meets the same arrivals, failures and devices, seed by "
                          "seed."});
  }
  return statements;
}

}  // namespace

std::string simulation_html(const SimulationReport& report) {
  const auto title = "Simulation: " + report.scenario->name;
  auto html = page_head(title, report.version);
  html += fmt::format(
      "<header>\n<h1>{}</h1>\n<p class=\"lead\">{} <span class=\"tag\">modelled</span></p>\n"
      "</header>\n<section id=\"reading\">\n<h2>How to read it</h2>\n"
      "<ul class=\"statements\">\n",
      html_escaped(title), html_escaped(run_text(report)));
  for (const auto& statement : reading_statements(report)) {
    html += fmt::format("<li><strong>{}.</strong> {}</li>\n", html_escaped(statement.label),
                        html_escaped(statement.text));
  }
  html += "</ul>\n</section>\n" + to_html(scores_table(report));
  for (const auto& table : gain_tables(report)) {
    html += to_html(table);
  }
  for (const auto& charts : {timeline_charts(report), watts_charts(report)}) {
    for (const auto& chart : charts) {
      html += chart_section(chart);
    }
  }
  if (!report.runs->front().front().limit) {
    html +=
        "<p class=\"note\">The root has no limit, so that there is no share of one to account "
        "for.</p>\n";
  }
  for (const auto& tables : {job_tables(report), assumption_tables(report)}) {
    for (const auto& table : tables) {
      html += to_html(table);
    }
  }
  return html + page_foot(report.version);
}

}  // namespace perwatt::report
