// Bracketing and bisection on a noisy response that falls with the load.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>

#include "perwatt/base/error.hpp"
#include "perwatt/base/normal_law.hpp"
#include "perwatt/measure/search.hpp"

namespace perwatt::measure {

namespace {

void check(const SloSearchRules& rules) {
  if (!(rules.lowest > 0 && rules.lowest <= rules.highest && std::isfinite(rules.highest))) {
    throw_bad_input(
        "a search from " + std::to_string(rules.lowest) + " to " + std::to_string(rules.highest),
        "", "give a lowest load above 0 and a highest one no lower");
  }
  if (!(rules.target_ratio > 0 && rules.target_ratio < 1)) {
    throw_bad_input("a share of " + std::to_string(rules.target_ratio) + " of requests in the SLO",
                    "", "give a share between 0 and 1, as 0.99");
  }
  if (!(rules.tolerance_ratio >= 0.001 && rules.tolerance_ratio <= 1)) {
    throw_bad_input("a tolerance of " + std::to_string(rules.tolerance_ratio), "",
                    "give a share from 0.001 to 1, as 0.05");
  }
  if (!(rules.confidence_ratio > 0 && rules.confidence_ratio < 1)) {
    throw_bad_input("a confidence of " + std::to_string(rules.confidence_ratio), "",
                    "give a value between 0 and 1, as 0.95");
  }
  if (!(rules.overdispersion >= 1 && std::isfinite(rules.overdispersion))) {
    throw_bad_input("an overdispersion of " + std::to_string(rules.overdispersion), "",
                    "give 1 or more");
  }
  if (rules.fewest_replicates < 1 || rules.most_replicates < rules.fewest_replicates) {
    throw_bad_input(std::to_string(rules.fewest_replicates) + " to " +
                        std::to_string(rules.most_replicates) + " runs at a load",
                    "", "give at least 1, and no fewer at most than at least");
  }
  if (rules.most_runs && *rules.most_runs < 1) {
    throw_bad_input("a budget of " + std::to_string(*rules.most_runs) + " runs", "",
                    "give at least 1");
  }
}

double whole(const SloSearchRules& rules, double load) {
  return rules.load == Load::concurrency ? std::max(1.0, std::round(load)) : load;
}

class SloSearch {
 public:
  SloSearch(const SloSearchRules& rules, const MakeRun& make_run)
      : rules_{rules},
        make_run_{make_run},
        generator_{rules.seed},
        budget_{std::min(rules.most_runs.value_or(most_runs_of(rules)), most_runs_of(rules))},
        critical_{normal_quantile(1 - (1 - rules.confidence_ratio) / (2.0 * budget_))} {}

  SloSearchResult run() {
    result_.status = search();
    summarise();
    return std::move(result_);
  }

 private:
  SloSearchStatus search() {
    double met = whole(rules_, rules_.lowest);
    if (!visit(met)) {
      return *stopped_;
    }
    if (!result_.visited.back().met) {
      return SloSearchStatus::never_met;
    }
    const double highest = whole(rules_, rules_.highest);
    double missed = 0;
    while (missed == 0) {
      if (met >= highest) {
        return SloSearchStatus::always_met;
      }
      const double next = std::min(highest, 2 * met);
      if (!visit(next)) {
        return *stopped_;
      }
      (result_.visited.back().met ? met : missed) = next;
    }
    while (!narrow(met, missed)) {
      const double middle = whole(rules_, std::sqrt(met * missed));
      if (!visit(std::clamp(middle, rules_.load == Load::concurrency ? met + 1 : met, missed))) {
        return *stopped_;
      }
      (result_.visited.back().met ? met : missed) = result_.visited.back().load;
    }
    return SloSearchStatus::found;
  }

  [[nodiscard]] bool narrow(double met, double missed) const {
    return missed <= met * (1 + rules_.tolerance_ratio) ||
           (rules_.load == Load::concurrency && missed - met <= 1);
  }

  /// Runs at `load` until met or missed is shown. False when the search must stop: `stopped_` says
  /// as what.
  bool visit(double load) {
    result_.visited.push_back({load, {}, false, false});
    VisitedLoad& visited = result_.visited.back();
    for (int replicate = 0; replicate < rules_.most_replicates; ++replicate) {
      if (result_.runs >= budget_) {
        stopped_ = SloSearchStatus::budget_spent;
        return false;
      }
      ++result_.runs;
      Result<Trial> run = make_run_({load, std::nullopt, replicate, generator_()});
      if (!run) {
        result_.failure = run.reason();
        stopped_ = SloSearchStatus::failed;
        return false;
      }
      visited.trials.push_back(std::move(run).value());
      if (judge(visited)) {
        return true;
      }
    }
    if (valid_attainments(visited).empty()) {
      result_.failure = "no valid run at a load of " + std::to_string(load);
      stopped_ = SloSearchStatus::failed;
      return false;
    }
    return true;
  }

  static std::vector<double> valid_attainments(const VisitedLoad& visited) {
    std::vector<double> values;
    for (const Trial& trial : visited.trials) {
      if (trial.valid && trial.effective_requests > 0) {
        values.push_back(trial.attainment_ratio);
      }
    }
    return values;
  }

  /// Sets `met` and `shown`; true when shown.
  bool judge(VisitedLoad& visited) const {
    std::vector<double> values = valid_attainments(visited);
    if (values.empty()) {
      return false;
    }
    double requests = 0;
    for (const Trial& trial : visited.trials) {
      requests += trial.valid ? trial.effective_requests : 0.0;
    }
    const auto count = static_cast<double>(values.size());
    double mean = 0;
    for (const double value : values) {
      mean += value / count;
    }
    double squares = 0;
    for (const double value : values) {
      squares += (value - mean) * (value - mean);
    }
    const double of_run = count > 1 ? squares / (count - 1) : 0;
    const double of_requests =
        rules_.overdispersion * rules_.target_ratio * (1 - rules_.target_ratio) / requests;
    const double z =
        (mean - rules_.target_ratio) / std::sqrt(std::max(of_requests, of_run / count));
    visited.shown = static_cast<int>(count) >= rules_.fewest_replicates && std::abs(z) > critical_;
    std::sort(values.begin(), values.end());
    const double median = (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
    visited.met = visited.shown ? z > 0 : median >= rules_.target_ratio;
    return visited.shown;
  }

  void summarise() {
    double best_goodput = -1;
    for (const VisitedLoad& visited : result_.visited) {
      const std::vector<double> values = valid_attainments(visited);
      if (values.empty()) {
        continue;
      }
      if (visited.met) {
        result_.highest_met = std::max(result_.highest_met.value_or(visited.load), visited.load);
        const double goodput = mean_goodput(visited);
        if (goodput > best_goodput) {
          best_goodput = goodput;
          result_.best_goodput_load = visited.load;
        }
      } else {
        result_.lowest_missed =
            std::min(result_.lowest_missed.value_or(visited.load), visited.load);
      }
      if (visited.shown) {
        std::optional<double>& shown = visited.met ? result_.shown_met : result_.shown_missed;
        const double held = shown.value_or(visited.load);
        shown = visited.met ? std::max(held, visited.load) : std::min(held, visited.load);
      }
    }
  }

  static double mean_goodput(const VisitedLoad& visited) {
    double total = 0;
    int count = 0;
    for (const Trial& trial : visited.trials) {
      if (trial.valid) {
        total += in_tokens_per_second(trial.goodput);
        ++count;
      }
    }
    return total / count;
  }

  const SloSearchRules& rules_;
  const MakeRun& make_run_;
  std::mt19937_64 generator_;
  int budget_;
  double critical_;
  SloSearchResult result_;
  std::optional<SloSearchStatus> stopped_;
};

}  // namespace

std::string_view to_string(SloSearchStatus status) {
  switch (status) {
    case SloSearchStatus::found:
      return "found";
    case SloSearchStatus::never_met:
      return "never_met";
    case SloSearchStatus::always_met:
      return "always_met";
    case SloSearchStatus::budget_spent:
      return "budget_spent";
    case SloSearchStatus::failed:
      return "failed";
  }
  return "";
}

int most_runs_of(const SloSearchRules& rules) {
  check(rules);
  const auto doublings = static_cast<int>(std::ceil(std::log2(rules.highest / rules.lowest)));
  // A doubling's bracket, halved in logarithm until it is narrow. Whole concurrencies: the middle
  // is rounded, so that a bracket of c to 2 c may take one halving more than its logarithm says.
  const double halvings = std::log2(std::log(2.0) / std::log1p(rules.tolerance_ratio));
  const int bisections = std::max(0, static_cast<int>(std::ceil(halvings))) +
                         (rules.load == Load::concurrency ? 1 : 0);
  return (1 + doublings + bisections) * rules.most_replicates;
}

SloSearchResult highest_load_under_slo(const SloSearchRules& rules, const MakeRun& make_run) {
  check(rules);
  return SloSearch{rules, make_run}.run();
}

}  // namespace perwatt::measure
