#include "lever_tables.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "text.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

constexpr std::size_t kMostPairs = 10;
constexpr double kRoundingRatio = 1e-9;  // of the total: smaller pairs are the solver's rounding

std::string share_text(UsdPerSecond part, UsdPerSecond total) {
  return total == UsdPerSecond{} ? "" : percent_text(part / total);
}

std::string millions_text(Usd amount) {
  return signed_text(in_usd(amount) / 1e6, 3);
}

std::string heading_text(const ClassPart& sum, UsdPerSecond total) {
  return fmt::format("{}: {} USD/h, {} output tok/s, {} of the change", to_string(sum.lever_class),
                     signed_text(in_usd_per_hour(sum.part.profit)),
                     signed_text(in_tokens_per_second(sum.part.output)),
                     total == UsdPerSecond{} ? "no share" : percent_text(sum.part.profit / total));
}

std::vector<Cell> part_row(const plan::Attribution& attribution, const plan::LeverPart& part,
                           UsdPerSecond total) {
  const auto& worth = part.part;
  const bool buys = std::abs(in_usd(part.outlay)) > 1;
  return {lever_name(part.lever),
          std::string{to_string(info_of(part.lever).layer)},
          signed_text(in_tokens_per_second(worth.output)),
          signed_text(in_usd_per_hour(worth.profit)),
          significant(in_usd_per_hour(part.low.profit)) + " to " +
              significant(in_usd_per_hour(part.high.profit)),
          share_text(worth.profit, total),
          signed_text(in_joules_per_token(worth.joules_per_output_token), 3),
          buys ? millions_text(part.outlay) : "none",
          millions_text(part.net_present_value),
          percent_text(part.payback_probability),
          lever_remark(attribution, part)};
}

/// "as in the baseline: cooling, model", or nothing.
std::string alike_text(const plan::Attribution& attribution) {
  std::string names;
  for (const auto& part : attribution.parts) {
    if (!part.differs) {
      names += (names.empty() ? "" : ", ") + lever_name(part.lever);
    }
  }
  return names.empty() ? names : " As in the baseline, so without a part: " + names + ".";
}

Table parts_table(const plan::Attribution& attribution) {
  const auto total = attribution.plan.profit - attribution.baseline.profit;
  Table table{
      "levers",
      "What each lever earns",
      fmt::format("Shapley parts of the change from baseline to plan, {} over {} solved plans; "
                  "they sum to it. Intervals: 90 % of {} resamples of rates and GPU power with the "
                  "plans held. A part is joint work: an operating lever's part holds what it earns "
                  "on bought racks, and its share of their outlay. How to read it: "
                  "docs/reference/plan-report.md.{}",
                  attribution.is_exact ? "exact" : "sampled", attribution.plans_solved,
                  attribution.resamples, alike_text(attribution)),
      {{"lever"},
       {"layer"},
       {"output tok/s", kRight},
       {"USD/h", kRight},
       {"90 % interval, USD/h", kRight},
       {"share", kRight},
       {"facility J per output token", kRight},
       {"outlay, M USD", kRight},
       {"NPV, M USD", kRight},
       {"pays back", kRight},
       {"remark", kProse}},
      {}};
  for (const auto& sum : class_parts(attribution)) {
    table.add_heading(heading_text(sum, total));
    for (const auto* part : sum.levers) {
      table.add(part_row(attribution, *part, total));
    }
  }
  return table;
}

Table interactions_table(const plan::Attribution& attribution) {
  const double total =
      std::abs(in_usd_per_hour(attribution.plan.profit - attribution.baseline.profit));
  auto pairs = attribution.interactions;
  const auto size = [](const plan::Interaction& pair) {
    return std::abs(in_usd_per_hour(pair.profit));
  };
  std::erase_if(pairs, [&](const auto& pair) { return size(pair) <= kRoundingRatio * total; });
  std::stable_sort(pairs.begin(), pairs.end(),
                   [&](const auto& a, const auto& b) { return size(a) > size(b); });
  Table table{"interactions",
              "Levers that need or replace each other",
              fmt::format("What two levers earn together beyond what each earns, on average over "
                          "the others: the largest {} of {} pairs with any. Not a further part.",
                          std::min(kMostPairs, pairs.size()), pairs.size()),
              {{"lever"}, {"with"}, {"USD/h", kRight}, {"reads", kProse}},
              {}};
  pairs.resize(std::min(kMostPairs, pairs.size()));
  for (const auto& pair : pairs) {
    table.add({lever_name(pair.a), lever_name(pair.b), signed_text(in_usd_per_hour(pair.profit)),
               pair.profit > UsdPerSecond{} ? "earn more together" : "replace each other"});
  }
  return table;
}

}  // namespace

std::string lever_name(plan::Lever lever) {
  std::string name{info_of(lever).name};
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

std::string lever_remark(const plan::Attribution& attribution, const plan::LeverPart& part) {
  std::string remark;
  const auto say = [&](const std::string& text) { remark += (remark.empty() ? "" : "; ") + text; };
  if (!attribution.is_exact) {
    say("sampled, standard error " + significant(in_usd_per_hour(part.standard_error), 2) +
        " USD/h");
  }
  if (part.low.profit < UsdPerSecond{} && part.high.profit > UsdPerSecond{}) {
    say("the interval holds 0: gain or loss is not known");
  } else if (part.part.profit == UsdPerSecond{}) {
    say("differs from the baseline, but earns nothing here");
  }
  if (!part.not_counted_because.empty()) {
    say("does not count: " + part.not_counted_because);
  }
  return remark;
}

std::vector<ClassPart> class_parts(const plan::Attribution& attribution) {
  std::vector<ClassPart> sums;
  for (const auto& part : attribution.parts) {
    if (!part.differs) {
      continue;
    }
    const auto lever_class = info_of(part.lever).lever_class;
    auto at = std::find_if(sums.begin(), sums.end(),
                           [&](const ClassPart& sum) { return sum.lever_class == lever_class; });
    if (at == sums.end()) {
      sums.push_back({lever_class, {}, {}, {}, {}});
      at = std::prev(sums.end());
    }
    at->levers.push_back(&part);
    at->part.profit += part.part.profit;
    at->part.capital += part.part.capital;
    at->part.output += part.part.output;
    at->part.meter += part.part.meter;
    at->part.joules_per_output_token += part.part.joules_per_output_token;
    at->outlay += part.outlay;
    at->net_present_value += part.net_present_value;
  }
  std::stable_sort(sums.begin(), sums.end(), [](const ClassPart& a, const ClassPart& b) {
    return a.lever_class < b.lever_class;
  });
  for (auto& sum : sums) {
    std::stable_sort(sum.levers.begin(), sum.levers.end(),
                     [](const auto* a, const auto* b) { return a->part.profit > b->part.profit; });
  }
  return sums;
}

bool has_parts(const PlanReport& report) {
  return report.attribution && report.attribution->unavailable_because.empty() &&
         std::any_of(report.attribution->parts.begin(), report.attribution->parts.end(),
                     [](const plan::LeverPart& part) { return part.differs; });
}

std::vector<Table> lever_tables(const PlanReport& report) {
  if (!has_parts(report)) {
    return {};
  }
  std::vector<Table> tables{parts_table(*report.attribution)};
  auto pairs = interactions_table(*report.attribution);
  if (!pairs.rows.empty()) {
    tables.push_back(std::move(pairs));
  }
  return tables;
}

}  // namespace perwatt::report
