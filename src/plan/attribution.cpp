#include "perwatt/plan/attribution.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <unordered_map>

#include "coalition.hpp"

#include "perwatt/facility/tco.hpp"
#include "perwatt/plan/shapley.hpp"

namespace perwatt::plan {

namespace {

constexpr std::size_t kMostExactLevers = 10;
constexpr std::size_t kResamples = 200;
constexpr std::size_t kPermutations = 200;
constexpr UsdPerSecond kRoundingOfUnmet = usd_per_hour(1e-6);  // less is the solver's
constexpr const char* kNoMixture = "a mixture of the two sites has no plan";

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
        unmet_prices_{unmet_training_prices(plan, build_candidates(plan, catalog, options))},
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
                                   options_, draws_, kResamples, unmet_prices_, use_);
    }
    return at->second ? &*at->second : nullptr;
  }

  [[nodiscard]] const std::vector<Lever>& levers() const { return levers_; }

  [[nodiscard]] std::size_t solved() const { return solved_.size(); }

  /// A coalition that was asked for has no plan.
  [[nodiscard]] bool has_unsolved() const {
    return std::any_of(solved_.begin(), solved_.end(),
                       [](const auto& entry) { return !entry.second; });
  }

  [[nodiscard]] double solver_seconds() const { return use_.seconds; }

 private:
  const Site& baseline_;
  const Site& plan_;
  const catalog::Catalog& catalog_;
  const OptionSet& options_;
  std::vector<Lever> levers_;
  std::vector<UsdPerToken> unmet_prices_;  // the plan's, for every coalition
  DeploymentDraws draws_;
  SolverUse use_;
  std::unordered_map<std::uint64_t, std::optional<Coalition>> solved_;
};

/// A quantity a lever gets a share of, as a plain number in base units.
struct SharedQuantity {
  double (*get)(const Worth&);
  void (*set)(Worth&, double);
};

constexpr std::array<SharedQuantity, 5> kQuantities{{
    {[](const Worth& w) { return w.profit.in_base(); },
     [](Worth& w, double x) { w.profit = UsdPerSecond::from_base(x); }},
    {[](const Worth& w) { return w.capital.in_base(); },
     [](Worth& w, double x) { w.capital = UsdPerSecond::from_base(x); }},
    {[](const Worth& w) { return w.output.in_base(); },
     [](Worth& w, double x) { w.output = TokensPerSecond::from_base(x); }},
    {[](const Worth& w) { return w.meter.in_base(); },
     [](Worth& w, double x) { w.meter = Watts::from_base(x); }},
    {[](const Worth& w) { return w.joules_per_output_token.in_base(); },
     [](Worth& w, double x) { w.joules_per_output_token = JoulesPerToken::from_base(x); }},
}};

Worth difference(const Worth& a, const Worth& b) {
  Worth result;
  for (const auto& quantity : kQuantities) {
    quantity.set(result, quantity.get(a) - quantity.get(b));
  }
  return result;
}

/// Shares of each quantity's change, by lever of the game.
struct Shares {
  std::vector<Worth> parts;
  std::vector<double> profit_error;
  std::vector<std::vector<Worth>> resampled;  // by resample
};

/// Splits each quantity of the worths by `split`, which takes the quantity of a worth.
template <class Split>
std::vector<Worth> split_worths(std::size_t levers, const Split& split) {
  std::vector<Worth> parts(levers);
  for (const auto& quantity : kQuantities) {
    const std::vector<double> shares = split(quantity.get);
    for (std::size_t i = 0; i < levers; ++i) {
      quantity.set(parts[i], shares[i]);
    }
  }
  return parts;
}

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
      profit.push_back(coalitions_.back()->worth.profit.in_base());
      if (progress) {
        progress(static_cast<double>(mask + 1) / static_cast<double>(count));
      }
    }
    best_ = best_subsets(profit);
  }

  [[nodiscard]] bool is_solved() const { return !best_.empty(); }

  /// The best of the mask's subsets.
  [[nodiscard]] const Coalition* best(std::uint64_t mask) const { return coalitions_[best_[mask]]; }

  [[nodiscard]] std::vector<double> profits() const {
    return values([](const Coalition& c) { return c.worth.profit.in_base(); });
  }

  [[nodiscard]] Shares shares(std::size_t levers) const {
    Shares shares;
    shares.parts = split_worths(levers, [&](auto get) {
      return shapley_values(values([&](const Coalition& c) { return get(c.worth); }));
    });
    shares.profit_error.assign(levers, 0.0);
    for (std::size_t r = 0; r < kResamples; ++r) {
      shares.resampled.push_back(split_worths(levers, [&](auto get) {
        return shapley_values(values([&](const Coalition& c) { return get(c.resampled[r]); }));
      }));
    }
    return shares;
  }

 private:
  template <class Value>
  [[nodiscard]] std::vector<double> values(const Value& value) const {
    std::vector<double> values;
    for (const std::size_t best : best_) {
      values.push_back(value(*coalitions_[best]));
    }
    return values;
  }

  std::vector<const Coalition*> coalitions_;  // by mask
  std::vector<std::size_t> best_;             // by mask: the best of its subsets
};

/// Shares from sampled orders of the levers, the same orders for every quantity.
Shares sampled_shares(Game& game, std::uint64_t seed) {
  const std::size_t levers = game.levers().size();
  const auto sample = [&](const std::function<double(const Coalition&)>& value) {
    return sampled_shapley(
        levers,
        [&](std::uint64_t mask) {
          const auto* coalition = game.solve(mask);
          return coalition == nullptr ? 0.0 : value(*coalition);
        },
        kPermutations, seed);
  };
  Shares shares;
  shares.parts = split_worths(levers, [&](auto get) {
    return sample([&](const Coalition& c) { return get(c.worth); }).values;
  });
  shares.profit_error =
      sample([](const Coalition& c) { return c.worth.profit.in_base(); }).standard_errors;
  for (std::size_t r = 0; r < kResamples; ++r) {
    shares.resampled.push_back(split_worths(levers, [&](auto get) {
      return sample([&](const Coalition& c) { return get(c.resampled[r]); }).values;
    }));
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

/// The q-quantile of each quantity.
Worth quantile_of(const std::vector<Worth>& worths, double q) {
  Worth result;
  for (const auto& quantity : kQuantities) {
    std::vector<double> values;
    std::transform(worths.begin(), worths.end(), std::back_inserter(values), quantity.get);
    quantity.set(result, quantile(std::move(values), q));
  }
  return result;
}

/// What one lever's share of profit and capital means over the horizon.
void value_over_horizon(const Site& site, const catalog::Catalog& catalog,
                        const std::vector<Worth>& resampled, LeverPart& part) {
  const auto& horizon = site.horizon;
  const double per_year = facility::annuity_ratio_per_year(
      horizon.cost_of_capital_ratio, catalog.finance().server_lifetime_years.value);
  const double years_of_gain =
      1.0 / facility::annuity_ratio_per_year(horizon.cost_of_capital_ratio, horizon.years);
  part.outlay = part.part.capital * seconds(kSecondsPerYear) / per_year;
  const Usd gain_per_year = (part.part.profit + part.part.capital) * seconds(kSecondsPerYear);
  part.net_present_value = gain_per_year * years_of_gain - part.outlay;
  const auto pays_back = [&](const Worth& drawn) {
    const Usd per_year_gain = (drawn.profit + part.part.capital) * seconds(kSecondsPerYear);
    return per_year_gain * horizon.payback_years >= part.outlay;
  };
  part.payback_probability =
      static_cast<double>(std::count_if(resampled.begin(), resampled.end(), pays_back)) /
      static_cast<double>(resampled.size());
}

LeverPart make_part(const Site& site, const catalog::Catalog& catalog, Lever lever, std::size_t i,
                    const Shares& shares) {
  LeverPart part;
  part.lever = lever;
  part.differs = true;
  part.part = shares.parts[i];
  part.standard_error = UsdPerSecond::from_base(shares.profit_error[i]);
  std::vector<Worth> resampled;
  for (const auto& parts : shares.resampled) {
    resampled.push_back(parts[i]);
  }
  part.low = quantile_of(resampled, 0.05);
  part.high = quantile_of(resampled, 0.95);
  value_over_horizon(site, catalog, resampled, part);
  return part;
}

void add_parts(const Site& site, const catalog::Catalog& catalog, const std::vector<Lever>& levers,
               const Shares& shares, Attribution& attribution) {
  for (const auto& info : all_levers()) {
    if (attribution.only && info.lever_class != *attribution.only) {
      continue;
    }
    if (info.lever == Lever::training_frequency_plan && site.training.empty()) {
      continue;  // says nothing of a site that trains nothing
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

/// The changes that the lever stands for: another model, or another precision of the same.
std::vector<QualityChange> changes_of(Lever lever, const std::vector<QualityChange>& changes) {
  std::vector<QualityChange> own;
  std::copy_if(changes.begin(), changes.end(), std::back_inserter(own),
               [&](const QualityChange& change) {
                 return change.is_other_model() == (lever == Lever::model);
               });
  return own;
}

constexpr std::array kQualityLevers{Lever::precision, Lever::model};

/// The plan that a coalition of the game comes to, never null for what was solved before.
using CoalitionOf = std::function<const Coalition*(std::uint64_t)>;

/// Leaves levers alone until every change of quality that remains counts.
void add_counted(const Site& site, const catalog::Catalog& catalog,
                 const std::vector<Lever>& levers, const CoalitionOf& coalition_of,
                 Attribution& attribution) {
  const Coalition& first = *coalition_of(0);
  std::uint64_t mask = (std::uint64_t{1} << levers.size()) - 1;
  for (bool is_settled = false; !is_settled;) {
    const auto* coalition = coalition_of(mask);
    if (coalition == nullptr) {
      attribution.counted_unknown_because = kNoMixture;
      return;
    }
    const auto changes = quality_changes(site, catalog, first.answerers, coalition->answerers);
    is_settled = true;
    for (const auto lever : kQualityLevers) {
      const auto own = changes_of(lever, changes);
      const auto reason = not_counted_because(own, site.max_quality_loss_points);
      if (reason.empty()) {
        continue;
      }
      const auto at = std::find(levers.begin(), levers.end(), lever) - levers.begin();
      const auto bit = std::uint64_t{1} << static_cast<std::uint64_t>(at);
      if ((mask & bit) == 0) {
        attribution.counted_unknown_because =
            reason + "; it comes with other levers, from which it cannot be told apart";
        return;
      }
      mask &= ~bit;
      is_settled = false;
    }
    if (is_settled) {
      attribution.counted_profit = coalition->worth.profit - first.worth.profit;
    }
  }
}

/// Baseline, plan, the gain's interval and what its quality is. REQUIRES: the parts are there.
void add_ends(const Site& site, const catalog::Catalog& catalog, const std::vector<Lever>& levers,
              const CoalitionOf& coalition_of, Attribution& attribution) {
  const Coalition& first = *coalition_of(0);
  const Coalition& last = *coalition_of((std::uint64_t{1} << levers.size()) - 1);
  attribution.baseline = first.worth;
  attribution.plan = last.worth;
  std::vector<Worth> gains;
  for (std::size_t r = 0; r < kResamples; ++r) {
    gains.push_back(difference(last.resampled[r], first.resampled[r]));
  }
  attribution.gain_low = quantile_of(gains, 0.05);
  attribution.gain_high = quantile_of(gains, 0.95);
  const auto changes = quality_changes(site, catalog, first.answerers, last.answerers);
  for (auto& part : attribution.parts) {
    if (std::find(kQualityLevers.begin(), kQualityLevers.end(), part.lever) !=
        kQualityLevers.end()) {
      part.quality = changes_of(part.lever, changes);
      part.not_counted_because = not_counted_because(part.quality, site.max_quality_loss_points);
    }
  }
  add_counted(site, catalog, levers, coalition_of, attribution);
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

/// Things in the order in which `others` has those of the same id.
template <class Thing>
void order_like(const std::vector<Thing>& others, std::vector<Thing>& things) {
  const auto place = [&](const Thing& thing) {
    return std::find_if(others.begin(), others.end(),
                        [&](const Thing& other) { return other.id == thing.id; });
  };
  std::stable_sort(things.begin(), things.end(),
                   [&](const Thing& a, const Thing& b) { return place(a) < place(b); });
}

/// The order of tables in a file says nothing.
Site with_work_ordered_like(const Site& plan, Site site) {
  order_like(plan.services, site.services);
  order_like(plan.training, site.training);
  return site;
}

Attribution unavailable(const AttributionQuery& query, std::string reason) {
  Attribution attribution;
  attribution.only = query.only;
  attribution.unavailable_because = std::move(reason);
  return attribution;
}

}  // namespace

Attribution attribute(const Site& unordered_baseline, const Site& plan,
                      const catalog::Catalog& catalog, const OptionSet& options,
                      const AttributionQuery& query) {
  const Site baseline = with_work_ordered_like(plan, unordered_baseline);
  Attribution attribution;
  attribution.only = query.only;
  if (const auto reason = incomparable_because(baseline, plan)) {
    return unavailable(query, *reason);
  }
  const auto levers = levers_in(differing_levers(baseline, plan, catalog), query.only);
  Game game{baseline, plan, catalog, options, levers, query.seed};
  const std::uint64_t all = (std::uint64_t{1} << levers.size()) - 1;
  if (game.solve(0) == nullptr || game.solve(all) == nullptr) {
    return unavailable(query, "the loads beside the racks alone pass the envelope");
  }
  if (!query.only && game.solve(all)->unmet > kRoundingOfUnmet && !plan.training.empty()) {
    return unavailable(query,
                       "the plan's commitments cost more than the price at which they may be "
                       "broken, so that the levers would not lead to the plan");
  }
  attribution.resamples = kResamples;
  if (levers.size() <= kMostExactLevers) {
    const ExactGame exact{game, query.progress};
    if (!exact.is_solved()) {
      return unavailable(query, kNoMixture);
    }
    add_parts(plan, catalog, levers, exact.shares(levers.size()), attribution);
    add_ends(
        plan, catalog, levers, [&](std::uint64_t mask) { return exact.best(mask); }, attribution);
    add_interactions(levers, exact.profits(), attribution);
  } else {
    attribution.is_exact = false;
    add_parts(plan, catalog, levers, sampled_shares(game, query.seed), attribution);
    if (game.has_unsolved()) {
      return unavailable(query, kNoMixture);
    }
    add_ends(
        plan, catalog, levers, [&](std::uint64_t mask) { return game.solve(mask); }, attribution);
  }
  attribution.plans_solved = game.solved();
  attribution.solver_seconds = game.solver_seconds();
  return attribution;
}

}  // namespace perwatt::plan
