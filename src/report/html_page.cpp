#include "html_page.hpp"

#include "chart_libraries.hpp"
#include "text.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'";

}  // namespace

std::string page_head(const std::string& title, const std::string& version) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"generator\" content=\"perwatt {}\">\n<title>{}</title>\n"
      "<style>\n{}</style>\n</head>\n<body>\n<main>\n",
      kPolicy, html_escaped(version), html_escaped(title), report_style());
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

std::string page_foot(const std::string& version) {
  std::string html = fmt::format(
      "<footer>\n<p>Made by perwatt {}. Charts are drawn by Vega, Vega-Lite and Vega-Embed, "
      "inlined "
      "in this file; it loads nothing.</p>\n<details><summary>Licences of the chart libraries"
      "</summary><pre>{}</pre></details>\n</footer>\n</main>\n",
      html_escaped(version), html_escaped(chart_licences()));
  for (const auto script :
       {vega_script(), vega_lite_script(), vega_embed_script(), render_charts_script()}) {
    html += "<script>";
    html += script;
    html += "</script>\n";
  }
  return html + "</body>\n</html>\n";
}

}  // namespace perwatt::report
