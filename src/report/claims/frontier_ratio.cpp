// Ratios of accelerators at equal interactivity, and points that must not exist.
#include <cmath>
#include <utility>

#include "../layout_text.hpp"
#include "../ratio_curves.hpp"
#include "../text.hpp"
#include "evaluators.hpp"

#include "perwatt/base/text.hpp"
#include "perwatt/facility/tco.hpp"
#include "perwatt/inference/rate_line.hpp"

namespace perwatt::report {

namespace {

using inference::LineValue;
using inference::RateLine;

constexpr int kCurveStep = 5;  // tokens/s per user

std::string at_text(TokensPerSecond interactivity) {
  return "at " + significant(in_tokens_per_second(interactivity)) + " tok/s/user";
}

std::optional<LineValue> read_line(const RateLine& line, RateReading reading, TokensPerSecond at) {
  return reading == RateReading::pooled ? line.pooled_at(at) : line.best_row_at(at);
}

/// What turns a ratio per GPU into one per megawatt or dollar: the denominator's figure of the
/// table over the numerator's. Nothing where the table lacks one.
std::optional<double> table_factor(const FrontierRatio& kind, const catalog::PriceTable& table,
                                   const std::string& numerator, const std::string& denominator) {
  const auto id_of = [](const std::string& side) { return side.substr(0, side.find(':')); };
  if (kind.basis == RatioBasis::cost) {
    const auto over = facility::published_price_per_gpu(table, id_of(numerator), kind.column);
    const auto under = facility::published_price_per_gpu(table, id_of(denominator), kind.column);
    return over && under && *over > UsdPerSecond{} ? std::optional{*under / *over} : std::nullopt;
  }
  const auto over = table.accelerators.find(id_of(numerator));
  const auto under = table.accelerators.find(id_of(denominator));
  if (over == table.accelerators.end() || under == table.accelerators.end() ||
      !over->second.allin_facility || !under->second.allin_facility ||
      *over->second.allin_facility <= Watts{}) {
    return std::nullopt;
  }
  return *under->second.allin_facility / *over->second.allin_facility;
}

std::string basis_text(const FrontierRatio& kind) {
  switch (kind.basis) {
    case RatioBasis::gpu:
      return "total tokens/s per GPU";
    case RatioBasis::provisioned_mw:
      return "total tokens/s per provisioned MW, all-in kW per GPU at the meter";
    case RatioBasis::cost:
      return "total tokens per USD, " + std::string{to_string(kind.column)};
  }
  return {};
}

std::string line_text(const LineValue& value) {
  if (value.low == nullptr) {
    return "row " + row_text(*value.high);
  }
  return std::string{value.is_between_deployments ? "chart line between deployments: "
                                                  : "between rows of one deployment: "} +
         row_text(*value.high) + " and " + row_text(*value.low);
}

/// One numerator over one denominator in one table.
struct Pair {
  const FrontierRatio& kind;
  const RateLine& over;
  const RateLine& under;
  double factor = 1;

  [[nodiscard]] std::optional<double> ratio_at(TokensPerSecond at) const {
    const auto high = read_line(over, kind.line, at);
    const auto low = read_line(under, kind.line, at);
    if (!high || !low) {
      return std::nullopt;
    }
    return high->total_per_gpu / low->total_per_gpu * factor;
  }
};

std::string unreached_text(const RateLine& line, const std::string& side, const Served& served) {
  if (line.empty()) {
    return "no measured rows of " + side + " for " + served_text(served);
  }
  return side + " reaches at most " +
         significant(in_tokens_per_second(*line.corners().front()->interactivity)) +
         " tok/s/user in the measured rows";
}

ClaimCurve curve_of(const Pair& pair, const std::optional<ClaimTarget>& target) {
  ClaimCurve curve;
  bool was_in = false;
  for (int x = 1; x <= kMostInteractivity; ++x) {
    const auto at = tokens_per_second(x);
    const auto ratio = pair.ratio_at(at);
    if (!ratio) {
      break;
    }
    if (x % kCurveStep == 0) {
      curve.points.push_back({at, *ratio});
    }
    const bool is_in = target && holds(*ratio, *target);
    if (is_in && was_in) {
      curve.holds_in.back().to = at;
    } else if (is_in) {
      curve.holds_in.push_back({at, at});
    }
    was_in = is_in;
  }
  return curve;
}

void fill(ClaimFigure& figure, const Pair& pair, TokensPerSecond at) {
  const auto over = read_line(pair.over, pair.kind.line, at);
  const auto under = read_line(pair.under, pair.kind.line, at);
  figure.tag = weaker(over->tag, under->tag);
  figure.rests_on = line_text(*over) + "; over " + line_text(*under);
  set_value(figure, *pair.ratio_at(at));
  const auto& gap = pair.kind.incomplete;
  if (gap && at >= gap->from && at <= gap->to && figure.holds == false &&
      figure.target->relation == Relation::at_least) {
    figure.holds.reset();
    figure.is_lower_bound = true;
  }
}

/// The sides of a ratio with their lines.
struct Sides {
  std::string numerator;
  std::string denominator;
  RateLine over;
  RateLine under;
  Served served;
};

void add_pair(const FrontierRatio& kind, const ClaimContext& context, const Sides& sides,
              const catalog::PriceTable* table) {
  const auto factor =
      table != nullptr ? table_factor(kind, *table, sides.numerator, sides.denominator) : 1.0;
  const Pair pair{kind, sides.over, sides.under, factor.value_or(0)};
  const auto against =
      sides.denominator + (table != nullptr ? ", table " + table->id : std::string{});
  for (const auto at : kind.interactivities) {
    auto& figure =
        context.add(sides.numerator + " / " + sides.denominator + ' ' + at_text(at),
                    kind.interactivities.size() > 1 ? against + ' ' + at_text(at) : against);
    figure.boundary = basis_text(kind);
    figure.price_table = table != nullptr ? table->id : "";
    if (!factor) {
      figure.missing = "table " + table->id + " lacks a figure of one side";
    } else if (!pair.over.pooled_at(at)) {
      figure.missing = unreached_text(pair.over, sides.numerator, sides.served);
    } else if (!pair.under.pooled_at(at)) {
      figure.missing = unreached_text(pair.under, sides.denominator, sides.served);
    } else {
      fill(figure, pair, at);
      if (table != nullptr) {
        figure.tag = weaker(figure.tag, table->tag);
        figure.rests_on += "; " + source_text(*context.data.catalog, table->source);
      }
    }
  }
  if (factor) {
    auto curve = curve_of(pair, context.comparison.target);
    curve.label = sides.numerator + " / " + against +
                  (kind.line == RateReading::rows ? ", best measured rows" : "");
    curve.against = against;
    curve.boundary = basis_text(kind);
    if (!curve.points.empty()) {
      context.result.curves.push_back(std::move(curve));
    }
  }
}

}  // namespace

void evaluate(const FrontierRatio& kind, const ClaimContext& context) {
  const auto& catalog = *context.data.catalog;
  const auto& comparison = context.comparison;
  const auto served = canonical_served(catalog, kind.served, comparison.place("model"));
  const auto numerator = canonical_side(catalog, kind.numerator, comparison.place("numerator"));
  const auto line_of = [&](const std::string& side) {
    return RateLine{inference::rows_of(context.data.points, served.model, served.workload, side)};
  };
  const auto over = line_of(numerator);
  for (const auto& name : kind.denominators) {
    const auto denominator = canonical_side(catalog, name, comparison.place("denominators"));
    const Sides sides{numerator, denominator, over, line_of(denominator), served};
    if (kind.basis == RatioBasis::gpu) {
      add_pair(kind, context, sides, nullptr);
      continue;
    }
    for (const auto& table : kind.price_tables) {
      add_pair(kind, context, sides, &catalog.price_table(table, comparison.place("price_tables")));
    }
  }
}

void evaluate(const NoData& kind, const ClaimContext& context) {
  const auto& catalog = *context.data.catalog;
  const auto served = canonical_served(catalog, kind.served, context.comparison.place("model"));
  for (const auto& name : kind.sides) {
    const auto side = canonical_side(catalog, name, context.comparison.place("accelerators"));
    const auto rows = inference::rows_of(context.data.points, served.model, served.workload, side);
    auto& figure = context.add("rows of " + side + ", " + served_text(served), side);
    figure.boundary = "measured points";
    figure.unit = "rows";
    figure.expect = 0;
    if (rows.empty()) {
      figure.missing = "no measured rows of " + side + " for " + served_text(served);
    } else {
      figure.value = static_cast<double>(rows.size());
      figure.tag = Tag::measured;
      figure.rests_on = "row " + row_text(*rows.front()) +
                        ": data have appeared, write a comparison in place of no_data";
    }
  }
}

}  // namespace perwatt::report
