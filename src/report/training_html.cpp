// The frame of the report of training, as HTML and as Markdown.
#include "html_page.hpp"
#include "plan_sections.hpp"
#include "text.hpp"
#include "training_parts.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

std::string title_text(const TrainingResults& results) {
  return fmt::format("Energy of a training pipeline: {} operations on {} stages",
                     significant(static_cast<double>(results.pipeline().operations.size()), 12),
                     results.pipeline().stages);
}

/// Why there is no plan; empty with one.
std::string verdict_text(const TrainingResults& results) {
  return results.plan ? "" : results.report.question + ": " + results.report.reason + ".";
}

std::vector<Section> sections_of(const TrainingResults& results) {
  std::vector<Section> sections;
  sections.push_back({{time_energy_chart(results)}, {time_energy_table(results)}});
  sections.push_back({{}, {straggler_table(results)}});
  sections.push_back({gantt_charts(results), {stages_table(results)}});
  if (results.plan) {
    sections.push_back({{}, {settings_table(results)}});
  }
  sections.push_back({{}, {training_inputs_table(results)}});
  return sections;
}

}  // namespace

std::string training_html(const TrainingReport& report) {
  const TrainingResults results{report};
  auto html = page_head(title_text(results), report.version);
  html += fmt::format("<header>\n<h1>{}</h1>\n", html_escaped(title_text(results)));
  if (!results.plan) {
    html += fmt::format("<p class=\"verdict\"><strong>Infeasible:</strong> {}</p>\n",
                        html_escaped(verdict_text(results)));
  }
  html += "</header>\n<section id=\"in-short\">\n<h2>In short</h2>\n<ul class=\"statements\">\n";
  for (const auto& statement : training_statements(results)) {
    html += fmt::format("<li><strong>{}.</strong> {}</li>\n", html_escaped(statement.label),
                        html_escaped(statement.text));
  }
  html += "</ul>\n</section>\n";
  for (const auto& section : sections_of(results)) {
    for (const auto& chart : section.charts) {
      html += chart_section(chart);
    }
    for (const auto& table : section.tables) {
      html += to_html(table);
    }
  }
  return html + page_foot(report.version);
}

std::string training_markdown(const TrainingReport& report) {
  const TrainingResults results{report};
  auto text = fmt::format("# {}\n\n", markdown_escaped(title_text(results)));
  if (!results.plan) {
    text += fmt::format("**Infeasible:** {}\n\n", markdown_escaped(verdict_text(results)));
  }
  text += "## In short\n\n";
  for (const auto& statement : training_statements(results)) {
    text += fmt::format("- **{}.** {}\n", markdown_escaped(statement.label),
                        markdown_escaped(statement.text));
  }
  text += '\n';
  for (const auto& section : sections_of(results)) {
    for (const auto& table : section.tables) {
      text += to_markdown(table);
    }
  }
  return text + fmt::format("Made by perwatt {}.\n", markdown_escaped(report.version));
}

}  // namespace perwatt::report
