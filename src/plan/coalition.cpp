#include "coalition.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "plan_model.hpp"
#include "summary.hpp"

#include "perwatt/base/hash.hpp"

namespace perwatt::plan {

namespace {

constexpr double kNormalAt95Percent = 1.6448536269514722;

std::uint64_t mixed(std::uint64_t x) {  // splitmix64, Steele et al. 2014
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

double uniform(std::uint64_t bits) {  // (0, 1)
  return (static_cast<double>(bits >> 11U) + 0.5) * 0x1.0p-53;
}

/// Of what makes a deployment, not its load.
std::uint64_t key_of(const inference::MeasuredPoint& point) {
  const auto& layout = point.layout;
  const auto number = [](const auto& value) { return value ? std::to_string(*value) : "-"; };
  const std::string key = point.accelerator + '|' + point.model + '|' + point.precision + '|' +
                          point.engine + '|' + point.spec_decode + '|' + to_string(point.serving) +
                          '|' + to_string(point.workload) + '|' + std::to_string(layout.num_gpus) +
                          '|' + number(layout.prefill_gpus) + '|' + number(layout.decode_gpus) +
                          '|' + number(layout.decode_tp) + '|' + number(layout.decode_ep);
  return fnv1a(key);
}

/// A factor whose 90 % interval is [low, high]: log-normal, each side with its own width.
double factor(double low, double high, double normal) {
  const double width = std::log(normal < 0 ? 1.0 / low : high) / kNormalAt95Percent;
  return std::exp(width * normal);
}

/// Value of the trained tokens where the jobs turn out to run at another rate.
UsdPerSecond trained_at(const Site& site, const CandidateSet& set, const Plan& plan,
                        const DeploymentDraws& draws, std::size_t resample) {
  UsdPerSecond value;
  for (const auto& assignment : plan.training) {
    const auto& column = set.training[assignment.column];
    const auto& job = site.training[column.job];
    const auto interval = rate_interval(job);
    const double rate =
        factor(interval.low_factor, interval.high_factor, draws.of_training(job.id, resample).rate);
    value += column.value_per_gpu * (assignment.gpus * rate);
  }
  return value;
}

/// The worth of a plan whose deployments turn out to run and draw differently. What is more than
/// the demand is not sold.
Worth worth_at(const Site& site, const CandidateSet& set, const Plan& plan,
               const DeploymentDraws& draws, std::size_t resample) {
  const std::size_t hours = site.year.size();
  std::vector<TokensPerSecond> output(site.services.size() * hours);
  std::vector<UsdPerSecond> revenue(output.size());
  Watts more_it;
  for (const auto& assignment : plan.assignments) {
    const auto& candidate = set.candidates[assignment.candidate];
    const auto draw = draws.of(*candidate.point.point, resample);
    const auto rates = inference::rate_interval(candidate.point);
    const double rate = factor(rates.low_factor, rates.high_factor, draw.rate);
    const auto& power = candidate.gpu_power;
    const auto& rack = set.racks[candidate.rack];
    const Watts board =
        std::min(rack.gpu_cap,
                 power.mean * factor(power.low / power.mean, power.high / power.mean, draw.power));
    const Watts it = rack.chain.it_per_gpu(board).value;
    more_it += (it - candidate.it_per_gpu.value) * (assignment.gpus * site.availability_ratio);
    // Tokens are billed by the rate, energy by the draw.
    const bool by_energy = site.services[candidate.service].it_energy_price > UsdPerJoule{};
    const double billed = by_energy ? it / candidate.it_per_gpu.value : rate;
    for (std::size_t h = 0; h < hours; ++h) {
      const std::size_t cell = candidate.service * hours + h;
      output[cell] += candidate.mean_output_per_gpu * (assignment.gpus_by_hour[h] * rate);
      revenue[cell] += candidate.revenue_per_gpu * (assignment.gpus_by_hour[h] * billed);
    }
  }
  const auto trained = trained_at(site, set, plan, draws, resample);
  const auto& totals = plan.totals;
  // Meter over IT and the mean energy price as in the plan.
  const double power_ratio = totals.it > Watts{} ? 1.0 + more_it / totals.it : 1.0;
  Worth worth{trained - totals.energy_cost * power_ratio - totals.capital_cost,
              totals.capital_cost,
              {},
              totals.meter * power_ratio,
              {}};
  for (std::size_t s = 0; s < site.services.size(); ++s) {
    for (std::size_t h = 0; h < hours; ++h) {
      const std::size_t cell = s * hours + h;
      if (output[cell] > TokensPerSecond{}) {
        const auto demand = site.services[s].demand_output * site.year[h].demand_ratio;
        const double sold = std::min(1.0, demand / output[cell]) * site.year[h].year_ratio;
        worth.profit += revenue[cell] * sold;
        worth.output += output[cell] * sold;
      }
    }
  }
  if (worth.output > TokensPerSecond{}) {
    worth.joules_per_output_token = (worth.meter - totals.training_meter) / worth.output;
  }
  return worth;
}

}  // namespace

DeploymentDraws::Draw DeploymentDraws::of(const inference::MeasuredPoint& point,
                                          std::size_t resample) const {
  return of_key(key_of(point), resample);
}

DeploymentDraws::Draw DeploymentDraws::of_training(std::string_view job,
                                                   std::size_t resample) const {
  return of_key(fnv1a("training|" + std::string{job}), resample);
}

DeploymentDraws::Draw DeploymentDraws::of_key(std::uint64_t key, std::size_t resample) const {
  const std::uint64_t base = mixed(seed_ ^ mixed(key + resample));
  // Box and Muller's pair serves both quantities.
  const double radius = std::sqrt(-2.0 * std::log(uniform(mixed(base + 1))));
  const double angle = 2.0 * std::numbers::pi * uniform(mixed(base + 2));
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

std::vector<UsdPerToken> unmet_training_prices(const Site& site, const CandidateSet& set) {
  UsdPerSecond all;
  for (std::size_t s = 0; s < site.services.size(); ++s) {
    UsdPerToken dearest;  // revenue per output token, that of its input tokens included
    for (const auto& candidate : set.candidates) {
      if (candidate.service == s && candidate.mean_output_per_gpu > TokensPerSecond{}) {
        dearest = std::max(dearest, candidate.revenue_per_gpu / candidate.mean_output_per_gpu);
      }
    }
    all += site.services[s].demand_output * dearest;
  }
  UsdPerJoule price;
  for (const auto& hour : site.year) {
    price = std::max(price, hour.energy_price);
  }
  for (const auto& rack : set.racks) {
    const double racks = static_cast<double>(rack.stock->owned) + rack.stock->max_buy;
    all += rack.provisioned_per_rack.value * price * racks;
    all += rack.capital_per_gpu.value_or(UsdPerSecond{}) *
           (rack.gpus_per_rack * static_cast<double>(rack.stock->max_buy));
  }
  for (std::size_t j = 0; j < site.training.size(); ++j) {  // what the other jobs may earn
    const auto& job = site.training[j];
    const double wanted = static_cast<double>(job.max_pipelines) * job.gpus_per_pipeline();
    UsdPerSecond most;
    for (const auto& column : set.training) {
      const auto& rack = set.racks[column.rack];
      const double racks = static_cast<double>(rack.stock->owned) + rack.stock->max_buy;
      if (column.job == j) {
        most = std::max(most, column.value_per_gpu * std::min(wanted, racks * rack.gpus_per_rack));
      }
    }
    all += most;
  }
  std::vector<UsdPerToken> prices;
  for (const auto& job : site.training) {
    const auto by_value = job.value * kUnmetPriceFactor;
    const auto committed = job.committed.value_or(TokensPerSecond{});
    prices.push_back(committed > TokensPerSecond{} ? std::max(by_value, 2 * (all / committed))
                                                   : by_value);
  }
  return prices;
}

std::optional<Coalition> solve_coalition(const Site& site, const catalog::Catalog& catalog,
                                         const OptionSet& options, const DeploymentDraws& draws,
                                         std::size_t resamples,
                                         const std::vector<UsdPerToken>& unmet_prices,
                                         SolverUse& use) {
  const auto set = build_candidates(site, catalog, options);
  const auto managed = managed_draw(site, set);
  if (is_refused(managed)) {
    return std::nullopt;
  }
  PlanModel model{
      site,
      set,
      managed,
      use,
      {.soft_commitments = true, .unmet_training_prices = unmet_prices, .break_ties = true}};
  const auto solution = model.solve_integer();
  if (!solution) {
    return std::nullopt;
  }
  Plan plan;
  take_answer(site, set, managed, model, *solution, true, plan);
  UsdPerSecond penalty;
  for (std::size_t s = 0; s < site.services.size(); ++s) {
    for (std::size_t h = 0; h < model.hours(); ++h) {
      const double unmet = solution->columns[static_cast<std::size_t>(model.unmet_column(s, h))];
      penalty += tokens_per_second(unmet * 1e3 * site.year[h].year_ratio) *
                 site.services[s].output_price * kUnmetPriceFactor;
    }
  }
  for (std::size_t j = 0; j < site.training.size(); ++j) {
    if (const auto column = model.unmet_training_column(j)) {
      const double unmet = solution->columns[static_cast<std::size_t>(*column)];
      penalty += tokens_per_second(unmet * 1e3) * unmet_prices[j];
    }
  }
  const auto& totals = plan.totals;
  Coalition coalition;
  coalition.unmet = penalty;
  coalition.worth = {totals.profit() - penalty, totals.capital_cost, totals.output, totals.meter,
                     totals.joules_per_output_token()};
  for (const auto& assignment : plan.assignments) {
    const auto& candidate = set.candidates[assignment.candidate];
    const auto& row = *candidate.point.point;
    coalition.answerers.insert({candidate.service, row.model, row.precision});
  }
  for (std::size_t r = 0; r < resamples; ++r) {
    coalition.resampled.push_back(worth_at(site, set, plan, draws, r));
    coalition.resampled.back().profit -= penalty;
  }
  return coalition;
}

}  // namespace perwatt::plan
