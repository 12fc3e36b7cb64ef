#include "coalition.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "plan_model.hpp"
#include "summary.hpp"

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

/// FNV-1a over what makes a deployment, not its load.
std::uint64_t key_of(const inference::MeasuredPoint& point) {
  const auto& layout = point.layout;
  const auto number = [](const auto& value) { return value ? std::to_string(*value) : "-"; };
  const std::string key = point.accelerator + '|' + point.model + '|' + point.precision + '|' +
                          point.engine + '|' + point.spec_decode + '|' + to_string(point.serving) +
                          '|' + to_string(point.workload) + '|' + std::to_string(layout.num_gpus) +
                          '|' + number(layout.prefill_gpus) + '|' + number(layout.decode_gpus) +
                          '|' + number(layout.decode_tp) + '|' + number(layout.decode_ep);
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : key) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash;
}

/// A factor whose 90 % interval is [low, high]: log-normal, each side with its own width.
double factor(double low, double high, double normal) {
  const double width = std::log(normal < 0 ? 1.0 / low : high) / kNormalAt95Percent;
  return std::exp(width * normal);
}

/// The worth of a plan whose deployments turn out to run and draw differently. What is more than
/// the demand is not sold.
Worth worth_at(const Site& site, const CandidateSet& set, const Plan& plan,
               const DeploymentDraws& draws, std::size_t resample) {
  std::vector<TokensPerSecond> output(site.services.size());
  std::vector<UsdPerSecond> revenue(site.services.size());
  Watts more_it;
  for (const auto& assignment : plan.assignments) {
    const auto& candidate = set.candidates[assignment.candidate];
    const auto& service = site.services[candidate.service];
    const auto draw = draws.of(*candidate.point.point, resample);
    const auto rates = inference::rate_interval(candidate.point);
    const double rate = factor(rates.low_factor, rates.high_factor, draw.rate);
    const double serving = assignment.gpus * site.availability_ratio;
    output[candidate.service] += candidate.point.output_per_gpu * (serving * rate);
    revenue[candidate.service] +=
        candidate.point.output_per_gpu * (serving * rate) * service.output_price +
        candidate.point.input_per_gpu().value_or(TokensPerSecond{}) * (serving * rate) *
            service.input_price;
    const auto& power = candidate.gpu_power;
    const auto& rack = set.racks[candidate.rack];
    const Watts board =
        std::min(rack.chain.tdp(),
                 power.mean * factor(power.low / power.mean, power.high / power.mean, draw.power));
    more_it += (rack.chain.it_per_gpu(board).value - candidate.it_per_gpu.value) * serving;
  }
  const auto& totals = plan.totals;
  // Meter over IT and the mean energy price as in the plan.
  const double power_ratio = totals.it > Watts{} ? 1.0 + more_it / totals.it : 1.0;
  Worth worth{UsdPerSecond{} - totals.energy_cost * power_ratio - totals.capital_cost,
              totals.capital_cost,
              {},
              totals.meter * power_ratio,
              {}};
  for (std::size_t s = 0; s < output.size(); ++s) {
    if (output[s] > TokensPerSecond{}) {
      const double sold = std::min(1.0, site.services[s].demand_output / output[s]);
      worth.profit += revenue[s] * sold;
      worth.output += output[s] * sold;
    }
  }
  if (worth.output > TokensPerSecond{}) {
    worth.joules_per_output_token = worth.meter / worth.output;
  }
  return worth;
}

}  // namespace

DeploymentDraws::Draw DeploymentDraws::of(const inference::MeasuredPoint& point,
                                          std::size_t resample) const {
  const std::uint64_t base = mixed(seed_ ^ mixed(key_of(point) + resample));
  // Box and Muller's pair serves both quantities.
  const double radius = std::sqrt(-2.0 * std::log(uniform(mixed(base + 1))));
  const double angle = 2.0 * std::numbers::pi * uniform(mixed(base + 2));
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

std::optional<Coalition> solve_coalition(const Site& site, const catalog::Catalog& catalog,
                                         const OptionSet& options, const DeploymentDraws& draws,
                                         std::size_t resamples, SolverUse& use) {
  const auto set = build_candidates(site, catalog, options);
  PlanModel model{site, set, use, {.soft_commitments = true, .break_ties = true}};
  const auto solution = model.program().solve_integer();
  if (!solution) {
    return std::nullopt;
  }
  Plan plan;
  take_answer(site, set, model, *solution, true, plan);
  UsdPerSecond penalty;
  for (std::size_t s = 0; s < site.services.size(); ++s) {
    const double unmet = solution->columns[static_cast<std::size_t>(model.unmet_column(s))];
    penalty += tokens_per_second(unmet * 1e3) * site.services[s].output_price * kUnmetPriceFactor;
  }
  const auto& totals = plan.totals;
  Coalition coalition;
  coalition.worth = {
      totals.profit() - penalty, totals.capital_cost, totals.output, totals.meter,
      totals.output > TokensPerSecond{} ? totals.meter / totals.output : JoulesPerToken{}};
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
