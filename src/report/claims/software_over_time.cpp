// What newer software gets out of the same hardware: the best row by month.
#include <map>
#include <utility>

#include "../text.hpp"
#include "evaluators.hpp"

#include "perwatt/base/text.hpp"
#include "perwatt/inference/rate_line.hpp"

namespace perwatt::report {

namespace {

using Rows = std::vector<const inference::MeasuredPoint*>;

/// Months since year 0 of a date YYYY-MM…; nothing for a year alone or no date.
std::optional<int> month_of(const std::string& date) {
  if (date.size() < 7) {
    return std::nullopt;
  }
  const auto year = parse_integer(std::string_view{date}.substr(0, 4));
  const auto month = parse_integer(std::string_view{date}.substr(5, 2));
  if (!year || !month) {
    return std::nullopt;
  }
  return static_cast<int>(*year) * 12 + static_cast<int>(*month) - 1;
}

/// The best row published by the end of each month that has rows.
struct Best {
  int month = 0;
  inference::LineValue value;
};

std::vector<Best> best_by_month(const Rows& rows, TokensPerSecond interactivity) {
  std::map<int, Rows> by_month;
  for (const auto* row : rows) {
    if (const auto month = month_of(row->date)) {
      by_month[*month].push_back(row);
    }
  }
  Rows so_far;
  std::vector<Best> best;
  for (const auto& [month, added] : by_month) {
    so_far.insert(so_far.end(), added.begin(), added.end());
    if (const auto value = inference::RateLine{so_far}.best_row_at(interactivity)) {
      best.push_back({month, *value});
    }
  }
  return best;
}

struct Gain {
  double ratio = 0;
  Best from;
  Best to;
};

/// The largest ratio between two months at most `months` apart; nothing with fewer than two.
std::optional<Gain> largest_gain(const std::vector<Best>& best, int months) {
  std::optional<Gain> largest;
  for (std::size_t i = 0; i < best.size(); ++i) {
    for (std::size_t j = i + 1; j < best.size() && best[j].month - best[i].month <= months; ++j) {
      const double ratio = best[j].value.total_per_gpu / best[i].value.total_per_gpu;
      if (!largest || ratio > largest->ratio) {
        largest = Gain{ratio, best[i], best[j]};
      }
    }
  }
  return largest;
}

std::string configuration_key(const inference::MeasuredPoint& row) {
  return row.precision + '\n' + row.engine + '\n' + row.spec_decode + '\n' + to_string(row.serving);
}

/// The rows as groups within which software alone may change.
std::vector<Rows> groups_of(const Rows& rows, bool same_configuration) {
  if (!same_configuration) {
    return {rows};
  }
  std::map<std::string, Rows> groups;
  for (const auto* row : rows) {
    groups[configuration_key(*row)].push_back(row);
  }
  std::vector<Rows> result;
  result.reserve(groups.size());
  for (auto& [key, group] : groups) {
    result.push_back(std::move(group));
  }
  return result;
}

}  // namespace

void evaluate(const SoftwareOverTime& kind, const ClaimContext& context) {
  const auto& catalog = *context.data.catalog;
  const auto served = canonical_served(catalog, kind.served, context.comparison.place("model"));
  for (const auto& name : kind.sides) {
    const auto side = canonical_side(catalog, name, context.comparison.place("accelerators"));
    const auto rows = inference::rows_of(context.data.points, served.model, served.workload, side);
    for (const auto at : kind.interactivities) {
      std::optional<Gain> gain;
      for (const auto& group : groups_of(rows, kind.same_configuration)) {
        const auto found = largest_gain(best_by_month(group, at), kind.months);
        if (found && (!gain || found->ratio > gain->ratio)) {
          gain = found;
        }
      }
      const auto label =
          side + " at " + significant(in_tokens_per_second(at)) + " tok/s/user, " +
          (kind.same_configuration ? "same engine and serving" : "any engine and serving");
      auto& figure = context.add(served.model + " on " + label, label);
      figure.boundary = served_text(served) + ", total tokens/s per GPU, best row of two months " +
                        "at most " + std::to_string(kind.months) + " apart";
      if (!gain) {
        figure.missing = rows.empty()
                             ? "no measured rows of " + side + " for " + served_text(served)
                             : "no dated rows of " + side + " for " + served_text(served) +
                                   " in two such months";
        continue;
      }
      figure.tag = weaker(gain->from.value.tag, gain->to.value.tag);
      figure.rests_on =
          row_text(*gain->from.value.high) + "; then " + row_text(*gain->to.value.high);
      set_value(figure, gain->ratio);
    }
  }
}

}  // namespace perwatt::report
