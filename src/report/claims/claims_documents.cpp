#include <set>
#include <utility>

#include "../html_page.hpp"
#include "../text.hpp"
#include "claims_tables.hpp"
#include "evaluators.hpp"
#include <fmt/format.h>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

constexpr const char* kTitle = "Published claims against the data";
constexpr double kClaimHeight = 320;

std::string lead(std::span<const ClaimResult> results) {
  std::size_t supported = 0;
  std::size_t partly = 0;
  for (const auto& result : results) {
    supported += result.verdict.kind == VerdictKind::supported ? 1 : 0;
    partly += result.verdict.kind == VerdictKind::supported_only_against ? 1 : 0;
  }
  return fmt::format(
      "Of {} claims {} are supported, {} only against something named, {} not "
      "reproducible.",
      results.size(), supported, partly, results.size() - supported - partly);
}

/// The curves of one claim with its value as a rule.
Chart curve_chart(const ClaimResult& result) {
  Json values = Json::array();
  std::set<std::string> drawn;  // two comparisons may judge one curve
  for (const auto& curve : result.curves) {
    if (!drawn.insert(curve.label).second) {
      continue;
    }
    for (const auto& point : curve.points) {
      values.push_back({{"against", curve.label},
                        {"interactivity", in_tokens_per_second(point.interactivity)},
                        {"ratio", point.ratio}});
    }
  }
  auto colour = field("against", "nominal", "ratio");
  Json layers = Json::array(
      {{{"data", {{"values", values}}},
        {"mark", {{"type", "line"}, {"strokeWidth", 2}}},
        {"encoding",
         {{"x", field("interactivity", "quantitative", "output tokens/s per user (interactivity)")},
          {"y", field("ratio", "quantitative", "ratio")},
          {"color", colour}}}}});
  if (result.claim.target) {
    layers.push_back({{"data", {{"values", {{{"claimed", result.claim.target->value}}}}}},
                      {"mark", {{"type", "rule"}, {"color", kInk}, {"strokeDash", {5, 4}}}},
                      {"encoding", {{"y", {{"field", "claimed"}, {"type", "quantitative"}}}}}});
  }
  return {"chart-" + slug(result.claim.id),
          "Ratio over interactivity: " + result.claim.id,
          result.curves.front().boundary +
              ". A line between deployments: nothing was measured along it. The dashed rule is the "
              "claimed value.",
          {{"$schema", kVegaLiteSchema},
           {"width", kChartWidth},
           {"height", kClaimHeight},
           {"layer", std::move(layers)},
           {"config", chart_config()}}};
}

std::string optional_text(const std::optional<double>& value) {
  return value ? shortest(*value) : "";
}

}  // namespace

std::string claims_html(std::span<const ClaimResult> results, const std::string& version) {
  auto html = page_head(kTitle, version) +
              fmt::format("<header>\n<h1>{}</h1>\n<p class=\"lead\">{}</p>\n</header>\n", kTitle,
                          html_escaped(lead(results))) +
              to_html(claims_table(results));
  for (const auto& result : results) {
    html += to_html(figures_table(result));
    if (!result.curves.empty()) {
      html += chart_section(curve_chart(result));
    }
  }
  return html + page_foot(version);
}

std::string claims_markdown(std::span<const ClaimResult> results, const std::string& version) {
  auto text =
      fmt::format("# {}\n\n{}\n\n", kTitle, lead(results)) + to_markdown(claims_table(results));
  for (const auto& result : results) {
    text += to_markdown(figures_table(result));
    if (!result.curves.empty()) {
      text += to_markdown(curve_table(result));
    }
  }
  return text + fmt::format("Made by perwatt {}.\n", markdown_escaped(version));
}

std::string claims_csv(std::span<const ClaimResult> results) {
  auto text = csv_line({"claim", "made_by", "date", "verdict", "figure", "value", "unit",
                        "relation", "claimed", "tolerance_ratio", "holds", "boundary",
                        "price_table", "tag", "rests_on", "missing"});
  for (const auto& result : results) {
    for (const auto& figure : result.figures) {
      const auto& target = figure.target;
      text += csv_line({result.claim.id, result.claim.made_by, result.claim.date,
                        to_string(result.verdict), label_text(figure), optional_text(figure.value),
                        figure.unit, target ? std::string{to_string(target->relation)} : "",
                        target ? shortest(target->value) : "",
                        target ? shortest(target->tolerance_ratio) : "",
                        figure.holds ? (*figure.holds ? "true" : "false") : "", figure.boundary,
                        figure.price_table, figure.value ? std::string{to_string(figure.tag)} : "",
                        figure.rests_on, figure.missing});
    }
  }
  return text;
}

}  // namespace perwatt::report
