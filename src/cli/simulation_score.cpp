#include "simulation_score.hpp"

#include "perwatt/measure/intervals.hpp"

namespace perwatt::cli {

namespace {

std::optional<Figure> figure_of(const std::vector<double>& values) {
  const auto interval = measure::mean_interval(values);
  if (!interval) {
    return std::nullopt;
  }
  return Figure{interval->value,
                interval->high ? std::optional{*interval->high - interval->value} : std::nullopt};
}

std::optional<double> in_seconds_or_none(const std::optional<Seconds>& time) {
  return time ? std::optional{in_seconds(*time)} : std::nullopt;
}

}  // namespace

std::optional<Figure> figure(const simulate::PolicyRuns& runs, const FigureOf& of) {
  std::vector<double> values;
  for (const auto& run : runs) {
    const auto value = of(run);
    if (!value) {
      return std::nullopt;
    }
    values.push_back(*value);
  }
  return figure_of(values);
}

simulate::Violations all_violations(const simulate::PolicyRuns& runs) {
  simulate::Violations sum;
  for (const auto& run : runs) {
    sum += run.violations;
  }
  return sum;
}

std::optional<Figure> gap_to(const simulate::PolicyRuns& runs, const simulate::PolicyRuns& bound) {
  std::vector<double> gaps;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (bound[i].good <= TokensPerSecond{}) {
      return std::nullopt;
    }
    gaps.push_back(1 - runs[i].good / bound[i].good);
  }
  return figure_of(gaps);
}

std::optional<double> ttft_seconds(const simulate::PolicyResult& run, double share) {
  return in_seconds_or_none(run.record.ttft.quantile(share));
}

std::optional<double> tpot_seconds(const simulate::PolicyResult& run, double share) {
  return in_seconds_or_none(run.record.tpot.quantile(share));
}

const simulate::PolicyRuns* clairvoyant_of(const std::vector<simulate::PolicyRuns>& runs) {
  for (const auto& policy : runs) {
    if (policy.front().kind == simulate::PolicyKind::clairvoyant) {
      return &policy;
    }
  }
  return nullptr;
}

}  // namespace perwatt::cli
