#include "perwatt/plan/attribution.hpp"

#include <algorithm>
#include <unordered_map>

#include "coalition.hpp"

#include "perwatt/facility/tco.hpp"
#include "perwatt/plan/shapley.hpp"

namespace perwatt::plan {

namespace {

constexpr std::size_t kMostExactLevers = 10;
constexpr std::size_t kResamples = 200;
constexpr std::size_t kPermutations = 200;
constexpr double kHoursPerYear = 8760.0;

std::vector<Lever> levers_in(LeverSet differing, std::optional<LeverClass> only) {
  std::vector<Lever> levers;
  for (const auto& info : all_levers()) {
    const bool wanted = !only || info.lever_class == *only;
    if (wanted && differing[static_cast<std::size_t>(info.lever)]) {
      levers.push_back(info.lever);
    }
  }
  return levers;
}

/// Solves the coalitions of the given levers, each once.
class Game {
 public:
  Game(const Site& baseline, const Site& plan, const catalog::Catalog& catalog,
       const OptionSet& options, std::vector<Lever> levers, std::uint64_t seed)
      : baseline_{baseline},
        plan_{plan},
        catalog_{catalog},
        options_{options},
        levers_{std::move(levers)},
        draws_{seed} {}

  /// Null where the site of the coalition has no plan at all.
  const Coalition* solve(std::uint64_t mask) {
    const auto [at, added] = solved_.try_emplace(mask);
    if (added) {
      LeverSet pulled;
      for (std::size_t i = 0; i < levers_.size(); ++i) {
        if ((mask >> i) & 1U) {
          pulled.set(static_cast<std::size_t>(levers_[i]));
        }
      }
      at->second = solve_coalition(mixed_site(baseline_, plan_, pulled, catalog_), catalog_,
                                   options_, draws_, kResamples, use_);
    }
    return at->second ? &*at->second : nullptr;
  }

  [[nodiscard]] const std::vector<Lever>& levers() const { return levers_; }

  [[nodiscard]] std::size_t solved() const { return solved_.size(); }

  [[nodiscard]] double solver_seconds() const { return use_.seconds; }

 private:
  const Site& baseline_;
  const Site& plan_;
  const catalog::Catalog& catalog_;
  const OptionSet& options_;
  std::vector<Lever> levers_;
  DeploymentDraws draws_;
  SolverUse use_;
  std::unordered_map<std::uint64_t, std::optional<Coalition>> solved_;
};

/// The quantities a lever gets a share of, as plain numbers in base units.
using Quantity = double (*)(const Worth&);

constexpr Quantity kProfit = [](const Worth& w) { return w.profit.in_base(); };
constexpr Quantity kCapital = [](const Worth& w) { return w.capital.in_base(); };
constexpr Quantity kOutput = [](const Worth& w) { return w.output.in_base(); };
constexpr Quantity kMeter = [](const Worth& w) { return w.meter.in_base(); };
constexpr Quantity kJoules = [](const Worth& w) { return w.joules_per_output_token.in_base(); };

/// Shares of each quantity's change by lever of the game, and intervals of the profit's.
struct Shares {
  std::vector<double> profit, capital, output, meter, joules;
  std::vector<double> profit_error;
  std::vector<std::vector<double>> resampled_profit;  // by resample
};

/// All coalitions, best choice among the pulled levers' old and new state.
class ExactGame {
 public:
  ExactGame(Game& game, const std::function<void(double)>& progress) {
    const std::size_t count = std::size_t{1} << game.levers().size();
    std::vector<double> profit;
    for (std::size_t mask = 0; mask < count; ++mask) {
      coalitions_.push_back(game.solve(mask));
      if (coalitions_.back() == nullptr) {
        return;
      }
      profit.push_back(kProfit(coalitions_.back()->worth));
      if (progress) {
        progress(static_cast<double>(mask + 1) / static_cast<double>(count));
      }
    }
    best_ = best_subsets(profit);
  }

  [[nodiscard]] bool is_solved() const { return !best_.empty(); }

  [[nodiscard]] const Worth& first() const { return coalitions_.front()->worth; }

  [[nodiscard]] const Worth& last() const { return coalitions_[best_.back()]->worth; }

  [[nodiscard]] std::vector<double> values(Quantity quantity) const {
    std::vector<double> values;
    for (const std::size_t best : best_) {
      values.push_back(quantity(coalitions_[best]->worth));
    }
    return values;
  }

  [[nodiscard]] Shares shares() const {
    Shares shares{shapley_values(values(kProfit)),
                  shapley_values(values(kCapital)),
                  shapley_values(values(kOutput)),
                  shapley_values(values(kMeter)),
                  shapley_values(values(kJoules)),
                  {},
                  {}};
    shares.profit_error.assign(shares.profit.size(), 0.0);
    for (std::size_t r = 0; r < kResamples; ++r) {
      std::vector<double> values;
      for (const std::size_t best : best_) {
        values.push_back(coalitions_[best]->resampled_profit[r].in_base());
      }
      shares.resampled_profit.push_back(shapley_values(values));
    }
    return shares;
  }

 private:
  std::vector<const Coalition*> coalitions_;  // by mask
  std::vector<std::size_t> best_;             // by mask: the best of its subsets
};

/// Shares from sampled orders of the levers, the same orders for every quantity.
Shares sampled_shares(Game& game, std::uint64_t seed) {
  const auto sample = [&](const std::function<double(const Coalition&)>& value) {
    return sampled_shapley(
        game.levers().size(),
        [&](std::uint64_t mask) {
          const auto* coalition = game.solve(mask);
          return coalition == nullptr ? 0.0 : value(*coalition);
        },
        kPermutations, seed);
  };
  const auto of = [&](Quantity quantity) {
    return sample([quantity](const Coalition& c) { return quantity(c.worth); }).values;
  };
  const auto profit = sample([](const Coalition& c) { return kProfit(c.worth); });
  Shares shares{profit.values, of(kCapital),           of(kOutput), of(kMeter),
                of(kJoules),   profit.standard_errors, {}};
  for (std::size_t r = 0; r < kResamples; ++r) {
    shares.resampled_profit.push_back(
        sample([r](const Coalition& c) { return c.resampled_profit[r].in_base(); }).values);
  }
  return shares;
}

/// The q-quantile of a sample, linear between order statistics.
double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const auto above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

/// What one lever's share of profit and capital means over the horizon.
void value_over_horizon(const Site& site, const catalog::Catalog& catalog,
                        const std::vector<double>& resampled_profit, LeverPart& part) {
  constexpr double kSecondsPerYear = kHoursPerYear * kSecondsPerHour;
  const auto& horizon = site.horizon;
  const double per_year = facility::annuity_ratio_per_year(
      horizon.cost_of_capital_ratio, catalog.finance().server_lifetime_years.value);
  const double years_of_gain =
      1.0 / facility::annuity_ratio_per_year(horizon.cost_of_capital_ratio, horizon.years);
  part.outlay = part.part.capital * seconds(kSecondsPerYear) / per_year;
  const Usd gain_per_year = (part.part.profit + part.part.capital) * seconds(kSecondsPerYear);
  part.net_present_value = gain_per_year * years_of_gain - part.outlay;
  const auto pays_back = [&](double profit) {
    const Usd per_year_gain =
        (UsdPerSecond::from_base(profit) + part.part.capital) * seconds(kSecondsPerYear);
    return per_year_gain * horizon.payback_years >= part.outlay;
  };
  part.payback_probability = static_cast<double>(std::count_if(resampled_profit.begin(),
                                                               resampled_profit.end(), pays_back)) /
                             static_cast<double>(resampled_profit.size());
}

LeverPart make_part(const Site& site, const catalog::Catalog& catalog, Lever lever, std::size_t i,
                    const Shares& shares) {
  LeverPart part;
  part.lever = lever;
  part.differs = true;
  part.part = {UsdPerSecond::from_base(shares.profit[i]),
               UsdPerSecond::from_base(shares.capital[i]),
               TokensPerSecond::from_base(shares.output[i]), Watts::from_base(shares.meter[i]),
               JoulesPerToken::from_base(shares.joules[i])};
  part.standard_error = UsdPerSecond::from_base(shares.profit_error[i]);
  std::vector<double> resampled;
  for (const auto& values : shares.resampled_profit) {
    resampled.push_back(values[i]);
  }
  part.profit_low = UsdPerSecond::from_base(quantile(resampled, 0.05));
  part.profit_high = UsdPerSecond::from_base(quantile(resampled, 0.95));
  value_over_horizon(site, catalog, resampled, part);
  return part;
}

void add_parts(const Site& site, const catalog::Catalog& catalog, const std::vector<Lever>& levers,
               const Shares& shares, Attribution& attribution) {
  for (const auto& info : all_levers()) {
    if (attribution.only && info.lever_class != *attribution.only) {
      continue;
    }
    const auto at = std::find(levers.begin(), levers.end(), info.lever);
    if (at == levers.end()) {
      LeverPart part;
      part.lever = info.lever;
      part.payback_probability = 1;
      attribution.parts.push_back(part);
    } else {
      const auto i = static_cast<std::size_t>(at - levers.begin());
      attribution.parts.push_back(make_part(site, catalog, info.lever, i, shares));
    }
  }
}

void add_interactions(const std::vector<Lever>& levers, const std::vector<double>& values,
                      Attribution& attribution) {
  const auto index = shapley_interactions(values);
  const std::size_t n = levers.size();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i + 1; j < n; ++j) {
      attribution.interactions.push_back(
          {levers[i], levers[j], UsdPerSecond::from_base(index[i * n + j])});
    }
  }
}

}  // namespace

Attribution attribute(const Site& baseline, const Site& plan, const catalog::Catalog& catalog,
                      const OptionSet& options, const AttributionQuery& query) {
  Attribution attribution;
  attribution.only = query.only;
  if (const auto reason = incomparable_because(baseline, plan)) {
    attribution.unavailable_because = *reason;
    return attribution;
  }
  const auto levers = levers_in(differing_levers(baseline, plan, catalog), query.only);
  Game game{baseline, plan, catalog, options, levers, query.seed};
  const std::uint64_t all = (std::uint64_t{1} << levers.size()) - 1;
  if (game.solve(0) == nullptr || game.solve(all) == nullptr) {
    attribution.unavailable_because = "the loads beside the racks alone pass the envelope";
    return attribution;
  }
  attribution.resamples = kResamples;
  if (levers.size() <= kMostExactLevers) {
    const ExactGame exact{game, query.progress};
    if (!exact.is_solved()) {
      attribution.unavailable_because = "a mixture of the two sites has no plan";
      return attribution;
    }
    attribution.baseline = exact.first();
    attribution.plan = exact.last();
    add_parts(plan, catalog, levers, exact.shares(), attribution);
    add_interactions(levers, exact.values(kProfit), attribution);
  } else {
    attribution.is_exact = false;
    attribution.baseline = game.solve(0)->worth;
    attribution.plan = game.solve(all)->worth;
    add_parts(plan, catalog, levers, sampled_shares(game, query.seed), attribution);
  }
  attribution.plans_solved = game.solved();
  attribution.solver_seconds = game.solver_seconds();
  return attribution;
}

}  // namespace perwatt::plan
