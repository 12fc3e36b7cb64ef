#include "claims_tables.hpp"

#include <map>

#include "../text.hpp"
#include "evaluators.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

std::string holds_text(const ClaimFigure& figure) {
  if (figure.is_lower_bound) {
    return "unknown: a lower bound";
  }
  if (!figure.holds) {
    return figure.value ? "not judged" : "no value";
  }
  return *figure.holds ? "yes" : "no";
}

}  // namespace

Table claims_table(std::span<const ClaimResult> results) {
  Table table{"claims",
              "Published claims",
              "Each verdict is computed from the figures of its claim and a tolerance that stands "
              "for the rounding of the claim. Rules: docs/model/claims.md.",
              {{"claim", Align::prose},
               {"says", Align::prose},
               {"who", Align::prose},
               {"claimed", Align::right},
               {"perwatt computes, nearest", Align::prose},
               {"verdict", Align::prose},
               {"why", Align::prose}},
              {}};
  for (const auto& result : results) {
    const auto& claim = result.claim;
    table.add({Cell{claim.id, "#claim-" + claim.id}, claim.statement,
               claim.made_by + ", " + claim.date, claimed_text(result), computed_text(result),
               to_string(result.verdict), result.why});
  }
  return table;
}

Table short_claims_table(std::span<const ClaimResult> results) {
  Table table{"claims",
              "Published claims on the same data",
              "What vendors and others state, and what the measured points and published numbers "
              "behind this plan say. In full: perwatt report claims.",
              {{"claim", Align::prose},
               {"claimed", Align::right},
               {"computed", Align::prose},
               {"verdict", Align::prose}},
              {}};
  for (const auto& result : results) {
    table.add(
        {result.claim.statement + " (" + result.claim.made_by + ", " + result.claim.date + ")",
         claimed_text(result), computed_text(result), short_text(result.verdict)});
  }
  return table;
}

Table figures_table(const ClaimResult& result) {
  const auto& claim = result.claim;
  Table table{"claim-" + claim.id,
              claim.id,
              claim.statement + " (" + claim.made_by + ", " + claim.date + "; " + claim.source +
                  "). Verdict: " + to_string(result.verdict) + ". " + result.why +
                  (claim.note.empty() ? "" : " Note: " + claim.note),
              {{"figure", Align::prose},
               {"value", Align::right},
               {"claimed"},
               {"holds"},
               {"boundary", Align::prose},
               {"price table"},
               {"tag"},
               {"rests on", Align::prose}},
              {}};
  for (const auto& figure : result.figures) {
    table.add({label_text(figure), figure.value ? value_text(figure) : "-", target_text(figure),
               holds_text(figure), figure.boundary, figure.price_table,
               figure.value ? std::string{to_string(figure.tag)} : "",
               figure.value ? figure.rests_on : figure.missing});
  }
  return table;
}

Table curve_table(const ClaimResult& result) {
  Table table{"curve-" + result.claim.id,
              "Ratio over interactivity: " + result.claim.id,
              "Tokens/s per user, then the ratio for each comparison.",
              {{"tok/s/user", Align::right}},
              {}};
  std::map<double, std::vector<std::string>> rows;
  for (std::size_t c = 0; c < result.curves.size(); ++c) {
    const auto& curve = result.curves[c];
    table.columns.push_back({curve.label, Align::right});
    for (const auto& point : curve.points) {
      auto& row = rows[in_tokens_per_second(point.interactivity)];
      row.resize(result.curves.size(), "-");
      row[c] = significant(point.ratio, 3);
    }
  }
  for (auto& [interactivity, ratios] : rows) {
    std::vector<Cell> cells{significant(interactivity)};
    cells.insert(cells.end(), ratios.begin(), ratios.end());
    table.add(std::move(cells));
  }
  return table;
}

}  // namespace perwatt::report
