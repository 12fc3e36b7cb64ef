// The frame of the report of measurements, as HTML and as Markdown.
#include "html_page.hpp"
#include "measurement_parts.hpp"
#include "text.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

std::string title_text(const MeasurementReport& report) {
  const auto& first = report.runs.front().measurement;
  const auto subject = first.model.empty() ? std::string{"an endpoint"} : first.model;
  return report.runs.size() == 1 ? fmt::format("Measurement of {}", subject)
                                 : fmt::format("{} measurements, {}", report.runs.size(), subject);
}

std::string verdict_block(const MeasurementReport& report) {
  const auto sentences = verdicts(report);
  if (sentences.empty()) {
    return "";
  }
  std::string html = "<div class=\"verdict\">\n";
  for (const auto& sentence : sentences) {
    html += fmt::format("<p><strong>Not valid:</strong> {}</p>\n", html_escaped(sentence));
  }
  return html + "</div>\n";
}

}  // namespace

std::string measurement_html(const MeasurementReport& report) {
  auto html = page_head(title_text(report), report.version);
  html += fmt::format("<header>\n<h1>{}</h1>\n", html_escaped(title_text(report)));
  html += verdict_block(report) + "</header>\n";
  html += "<section id=\"in-short\">\n<h2>In short</h2>\n<ul class=\"statements\">\n";
  for (const auto& headline : headlines(report)) {
    html += fmt::format("<li><strong>{}.</strong> {}</li>\n", html_escaped(headline.run),
                        html_escaped(headline.text));
  }
  html += "</ul>\n</section>\n";
  for (const auto& chart : measurement_charts(report)) {
    html += chart_section(chart);
  }
  for (const auto& table : measurement_tables(report)) {
    html += to_html(table);
  }
  return html + page_foot(report.version);
}

std::string measurement_markdown(const MeasurementReport& report) {
  auto text = fmt::format("# {}\n\n", markdown_escaped(title_text(report)));
  for (const auto& sentence : verdicts(report)) {
    text += fmt::format("**Not valid:** {}\n\n", markdown_escaped(sentence));
  }
  text += "## In short\n\n";
  for (const auto& headline : headlines(report)) {
    text += fmt::format("- **{}.** {}\n", markdown_escaped(headline.run),
                        markdown_escaped(headline.text));
  }
  text += '\n';
  for (const auto& table : measurement_tables(report)) {
    text += to_markdown(table);
  }
  return text + fmt::format("Made by perwatt {}.\n", markdown_escaped(report.version));
}

}  // namespace perwatt::report
