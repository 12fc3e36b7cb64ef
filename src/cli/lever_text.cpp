#include "lever_text.hpp"

#include <algorithm>
#include <cmath>

#include "table.hpp"
#include <fmt/format.h>

#include "perwatt/base/text.hpp"

namespace perwatt::cli {

namespace {

constexpr std::size_t kMostChanges = 8;

constexpr double kRounding = 1e-6;  // smaller figures are the solver's rounding

std::string signed_figure(double value, int digits = 4) {
  if (std::abs(value) < kRounding) {
    return "0";
  }
  return (value > 0 ? "+" : "") + significant(value, digits);
}

/// "12.3 .. 45.6"; rounding of the solver is 0.
std::string interval_text(double low, double high, int digits = 4) {
  const auto figure = [&](double value) {
    return std::abs(value) < kRounding ? std::string{"0"} : significant(value, digits);
  };
  return figure(low) + " .. " + figure(high);
}

/// The change with its largest loss, in one line.
std::string quality_line(const plan::QualityChange& change) {
  std::string text = "quality: " + change.from_model + " " + change.from_precision + " -> " +
                     (change.is_other_model() ? change.to_model + " " : "") + change.to_precision;
  if (change.pairs.empty()) {
    return text + ": unknown, no benchmark has a score of both\n";
  }
  const auto& worst = *std::max_element(
      change.pairs.begin(), change.pairs.end(),
      [](const auto& a, const auto& b) { return a.loss_points() < b.loss_points(); });
  return text + fmt::format(": {} benchmarks, the worst {} {} -> {} % ({})\n", change.pairs.size(),
                            worst.from->benchmark, significant(worst.from->score_percent, 3),
                            significant(worst.to->score_percent, 3),
                            worst.same_source() ? worst.from->source
                                                : worst.from->source + ", " + worst.to->source);
}

/// What stands under the table about quality.
std::string quality_text(const plan::Attribution& attribution) {
  std::string text;
  bool any = false;
  for (const auto& part : attribution.parts) {
    for (const auto& change : part.quality) {
      text += quality_line(change);
    }
    if (part.differs && !part.not_counted_because.empty()) {
      text += "* does not count: " + part.not_counted_because + "\n";
      any = true;
    }
  }
  if (!attribution.counted_profit) {
    return text + "counted: unknown, " + attribution.counted_unknown_because + "\n";
  }
  return any ? text + fmt::format("counted: {} USD/h, without pulling what does not count\n",
                                  signed_figure(in_usd_per_hour(*attribution.counted_profit)))
             : text;
}

std::vector<std::string> part_row(const plan::LeverPart& part, UsdPerSecond total) {
  const auto& info = info_of(part.lever);
  const auto& worth = part.part;
  return {std::string{info.name} + (part.not_counted_because.empty() ? "" : " *"),
          std::string{to_string(info.lever_class)},
          signed_figure(in_tokens_per_second(worth.output)),
          signed_figure(in_usd_per_hour(worth.profit)),
          interval_text(in_usd_per_hour(part.low.profit), in_usd_per_hour(part.high.profit)),
          total == UsdPerSecond{} ? "-" : significant(100 * (worth.profit / total), 3) + " %",
          signed_figure(in_joules_per_token(worth.joules_per_output_token), 3),
          worth.capital == UsdPerSecond{} ? "-" : signed_figure(in_usd(part.outlay) / 1e6, 3),
          signed_figure(in_usd(part.net_present_value) / 1e6, 3),
          significant(100 * part.payback_probability, 3) + " %"};
}

}  // namespace

std::string attribution_text(const plan::Attribution& attribution) {
  if (!attribution.unavailable_because.empty()) {
    return "levers: unknown, " + attribution.unavailable_because + "\n";
  }
  const auto& before = attribution.baseline;
  const auto& after = attribution.plan;
  const UsdPerSecond total = after.profit - before.profit;
  const std::string which =
      attribution.only ? std::string{to_string(*attribution.only)} + " levers alone" : "all levers";
  std::string text = fmt::format(
      "{}: {} tok/s output ({} -> {}), {} USD/h profit\n"
      "{} -> {} J per output token at the meter, {} USD/h more capital\n",
      which, signed_figure(in_tokens_per_second(after.output - before.output)),
      significant(in_tokens_per_second(before.output), 4),
      significant(in_tokens_per_second(after.output), 4), signed_figure(in_usd_per_hour(total)),
      significant(in_joules_per_token(before.joules_per_output_token), 4),
      significant(in_joules_per_token(after.joules_per_output_token), 4),
      significant(in_usd_per_hour(after.capital - before.capital), 4));
  const auto& low = attribution.gain_low;
  const auto& high = attribution.gain_high;
  text += fmt::format(
      "90 % intervals of the change: {} tok/s, {} USD/h, {} J per output token\n\n",
      interval_text(in_tokens_per_second(low.output), in_tokens_per_second(high.output)),
      interval_text(in_usd_per_hour(low.profit), in_usd_per_hour(high.profit)),
      interval_text(in_joules_per_token(low.joules_per_output_token),
                    in_joules_per_token(high.joules_per_output_token), 3));
  TextTable table{{"lever", "class", "output tok/s", "USD/h", "90 % interval", "share",
                   "J/out facility", "outlay M USD", "NPV M USD", "pays back"},
                  {0, 1}};
  std::string same;
  for (const auto& part : attribution.parts) {
    if (part.differs) {
      table.add(part_row(part, total));
    } else {
      same += (same.empty() ? "" : ", ") + std::string{info_of(part.lever).name};
    }
  }
  text += table.text();
  if (!attribution.is_exact) {
    text += "more than 10 levers differ: sampled, standard errors in the JSON\n";
  }
  text += quality_text(attribution);
  if (!same.empty()) {
    text += "as in the baseline: " + same + "\n";
  }
  return text;
}

std::string sensitivities_text(const plan::Sensitivities& sensitivities) {
  auto changes = sensitivities.changes;
  std::erase_if(changes, [](const plan::Sensitivity& c) { return !c.unavailable_because.empty(); });
  std::stable_sort(changes.begin(), changes.end(),
                   [](const plan::Sensitivity& a, const plan::Sensitivity& b) {
                     const auto size = [](const plan::Sensitivity& c) {
                       return c.feasible ? std::abs(c.profit.in_base()) : HUGE_VAL;
                     };
                     return size(a) > size(b);
                   });
  TextTable table{{"if", "changes", "profit USD/h", "output tok/s", "meter MW"}, {0, 1}};
  for (std::size_t i = 0; i < std::min(changes.size(), kMostChanges); ++i) {
    const auto& c = changes[i];
    if (c.feasible) {
      table.add({c.input, c.change, signed_figure(in_usd_per_hour(c.profit)),
                 signed_figure(in_tokens_per_second(c.output)),
                 signed_figure(in_megawatts(c.meter), 3)});
    } else {
      table.add({c.input, c.change, "infeasible", "", ""});
    }
  }
  return table.text() +
         fmt::format(
             "1 % more tokens per joule is worth {} USD a year\n",
             significant(
                 in_usd_per_hour(sensitivities.per_percent_tokens_per_joule) * kHoursPerYear, 4));
}

}  // namespace perwatt::cli
