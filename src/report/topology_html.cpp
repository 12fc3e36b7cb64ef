#include <algorithm>

#include "html_page.hpp"
#include "table.hpp"
#include "text.hpp"
#include <fmt/format.h>

#include "perwatt/report/topology_report.hpp"
#include "perwatt/topology/loads.hpp"

namespace perwatt::report {

namespace {

using topology::LineFigures;
using topology::OutlineLine;
using topology::PowerTree;

constexpr std::size_t kDeepestPageIndent = 30;

std::string power_or_dash(const std::optional<Watts>& power) {
  return power ? power_text(*power) : "-";
}

std::string window_text(Seconds window) {
  return window > Seconds{} ? " over " + significant(in_seconds(window) / 60, 4) + " min" : "";
}

std::string limits_text(const PowerTree& tree, const OutlineLine& line) {
  if (line.device) {
    return power_text(tree.device(*line.device).max) + " cap";
  }
  std::string text;
  for (const auto& limit : tree.node(line.node).limits) {
    text += (text.empty() ? "" : ", ") + power_text(limit.power) + " " +
            std::string{topology::to_string(limit.kind)} + window_text(limit.window);
    if (limit.phase) {
      text += " " + std::string{topology::to_string(*limit.phase)};
    }
  }
  return text.empty() ? "-" : text;
}

/// Name, and what it is: "UPS A", "H100".
std::string line_kind(const PowerTree& tree, const OutlineLine& line) {
  if (line.device) {
    const auto& device = tree.device(*line.device);
    const auto name = device.vendor + (device.vendor.empty() ? "" : " ") + device.accelerator;
    return name.empty() ? "device" : name;
  }
  const auto& node = tree.node(line.node);
  std::string kind{topology::to_string(node.kind)};
  kind += node.feed.empty() ? "" : " " + node.feed;
  for (std::size_t i = 1; i < node.supplies.size(); ++i) {
    kind += ", also from " + tree.node(node.supplies[i].parent).id;
  }
  return kind;
}

std::string bar_html(const std::optional<double>& use) {
  if (!use) {
    return "-";
  }
  const char* colour = *use > 0.9 ? "#b26a00" : "#1f6fb4";
  return fmt::format(
      "<span style=\"display:inline-block;width:100px;height:10px;background:#e9eef3\">"
      "<span style=\"display:block;width:{}%;height:10px;background:{}\"></span></span> {}",
      significant(std::clamp(*use, 0.0, 1.0) * 100, 3), *use > 1 ? "#b3261e" : colour,
      percent_text(*use));
}

std::string split_html(const TopologyReport& report) {
  const auto& split = *report.split;
  if (split.status == allocate::Status::infeasible) {
    return "<p class=\"note\">No split of watts: what must be drawn passes a limit.</p>\n";
  }
  return fmt::format(
      "<p class=\"lead\">The best split of watts makes {} {}; with every device at one of its "
      "settings {} ({} below the bound). Per kW: what the limit of a node adds by a kW more and "
      "costs by one less, at the rate of the first watt.</p>\n",
      significant(split.value, 6), html_escaped(split.value_unit),
      significant(split.settings.value, 6), percent_text(std::max(0.0, split.gap_ratio())));
}

std::string line_html(const TopologyReport& report, const OutlineLine& line,
                      const LineFigures& figures) {
  auto label = line.id;
  if (line.alike > 1) {
    label += fmt::format(" … {} ({} alike)", line.last_id, line.alike);
  }
  if (line.depth > kDeepestPageIndent) {
    label = fmt::format("(level {}) ", line.depth + 1) + label;
  }
  auto html = fmt::format(
      "<tr><td style=\"padding-left:{}px\">{}</td><td class=\"prose\">{}</td><td "
      "class=\"prose\">{}</td>",
      9 + 18 * std::min(line.depth, kDeepestPageIndent), html_escaped(label),
      html_escaped(line_kind(*report.tree, line)), html_escaped(limits_text(*report.tree, line)));
  for (const auto& figure : {figures.draw, figures.headroom, std::optional{figures.at_maximum}}) {
    html += fmt::format("<td class=\"number\">{}</td>", power_or_dash(figure));
  }
  if (report.split != nullptr) {
    const auto& split = *report.split;
    html += fmt::format("<td class=\"number\">{}</td>",
                        power_text(line.device ? split.device_power[line.device->value]
                                               : split.supply[line.node.value]));
    if (line.device) {
      html += "<td></td><td></td>";
    } else {
      const auto& price = split.prices[line.node.value];
      html +=
          fmt::format("<td class=\"number\">{}</td><td class=\"number\">{}</td>",
                      significant(price.per_kilowatt_more()),
                      price.loss_per_watt ? significant(*price.per_kilowatt_less()) : "infeasible");
    }
  }
  return html + fmt::format("<td>{}</td></tr>\n", bar_html(figures.use_ratio));
}

std::string header_html(const TopologyReport& report) {
  std::string html =
      "<thead><tr><th>node</th><th>kind</th><th>limits</th><th class=\"number\">draw</th>"
      "<th class=\"number\">headroom</th><th class=\"number\">at maximum</th>";
  if (report.split != nullptr) {
    html += fmt::format(
        "<th class=\"number\">best split</th><th class=\"number\">{} per kW more</th>"
        "<th class=\"number\">per kW less</th>",
        html_escaped(report.split->value_unit));
  }
  return html + fmt::format("<th>{} of the least limit</th></tr></thead>\n",
                            report.has_readings ? "draw" : "maximum");
}

}  // namespace

std::string topology_html(const TopologyReport& report, std::size_t most_lines) {
  const auto& tree = *report.tree;
  const auto maximum =
      topology::loads_at(tree, topology::device_draws(tree, topology::DrawLevel::maximum));
  const auto lines = topology::outline(tree, report.draws, false, report.beside);
  const auto title = "Power tree: " + tree.node({0}).id;
  auto html = page_head(title, report.version);
  html += fmt::format(
      "<header>\n<h1>{}</h1>\n<p class=\"lead\">{} nodes and {} devices from {}.</p>\n</header>\n",
      html_escaped(title), significant(static_cast<double>(tree.nodes().size()), 12),
      significant(static_cast<double>(tree.devices().size()), 12), html_escaped(report.source));
  auto table = report;
  if (report.split != nullptr) {
    html += split_html(report);
    table.split = report.split->status == allocate::Status::optimal ? report.split : nullptr;
  }
  html +=
      "<section id=\"tree\">\n<h2>Limits, draw and headroom</h2>\n<p class=\"note\">All powers are "
      "of the supply side of a node, losses included. Siblings that are alike share a line, which "
      "shows one of them. Headroom is the least limit less the draw; at maximum, every device "
      "draws its highest cap.</p>\n<div class=\"scroll\">\n<table>\n";
  html += header_html(table) + "<tbody>\n";
  const auto shown = std::min(lines.size(), most_lines);
  for (std::size_t i = 0; i < shown; ++i) {
    html += line_html(table, lines[i], topology::figures_of(tree, maximum, report.draws, lines[i]));
  }
  html += "</tbody>\n</table>\n</div>\n";
  if (shown < lines.size()) {
    html += fmt::format("<p class=\"note\">{} more lines: perwatt topology show prints them.</p>\n",
                        significant(static_cast<double>(lines.size() - shown), 12));
  }
  return html + "</section>\n" + page_foot(report.version);
}

}  // namespace perwatt::report
