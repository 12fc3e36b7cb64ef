#include <algorithm>
#include <cmath>

#include "infeasible.hpp"
#include "plan_model.hpp"
#include "summary.hpp"

#include "perwatt/plan/plan.hpp"

namespace perwatt::plan {

namespace {

constexpr double kObjectiveRounding = 1e-10;  // relative; less between two optima is none

/// Profit gained by a change of the relaxation, or nothing when the changed one is infeasible.
std::optional<UsdPerSecond> step_value(PlanModel& model, double from_usd_per_hour) {
  const auto changed = model.solve_relaxed();
  if (!changed) {
    return std::nullopt;
  }
  const double gain = changed->objective - from_usd_per_hour;
  const bool is_rounding = std::abs(gain) <= kObjectiveRounding * std::abs(from_usd_per_hour);
  return usd_per_hour(is_rounding ? 0.0 : gain);
}

void find_duals(const Site& site, const CandidateSet& set, PlanModel& model, double optimum,
                Plan& plan) {
  const Watts step = megawatts(1);
  model.set_envelope(site.envelope + step);
  plan.duals.per_megawatt_up = step_value(model, optimum);
  if (site.envelope > step) {
    model.set_envelope(site.envelope - step);
    const auto change = step_value(model, optimum);
    plan.duals.per_megawatt_down = change ? std::optional{UsdPerSecond{} - *change} : std::nullopt;
  }
  model.set_envelope(site.envelope);
  for (std::size_t k = 0; k < set.racks.size(); ++k) {
    const double owned = set.racks[k].stock->owned;
    model.set_owned_racks(k, owned + 1);
    plan.duals.per_rack.push_back(step_value(model, optimum));
    model.set_owned_racks(k, owned);
  }
}

double relative_gap(double better, double worse) {
  const double gap = std::abs(better) < 1e-9 ? 0.0 : (better - worse) / std::abs(better);
  return gap > kObjectiveRounding ? gap : 0.0;
}

}  // namespace

Plan solve_plan(const Site& site, const CandidateSet& set) {
  Plan plan;
  plan.unserved = explain_unserved(site, set);
  plan.untrained = explain_untrained(site, set);
  if (nothing_can_run(set)) {
    explain_infeasible(site, set, {}, plan);
    return plan;
  }
  const auto managed = managed_draw(site, set, true);
  if (is_refused(managed)) {
    refuse_provisioning(site, managed, plan);
    return plan;
  }
  PlanModel model{site, set, managed, plan.solver};
  const auto relaxed = model.solve_relaxed();
  const auto whole = relaxed ? model.solve_integer() : std::nullopt;
  if (!whole) {
    explain_infeasible(site, set, managed, plan);
    return plan;
  }
  plan.relaxed_profit = usd_per_hour(relaxed->objective) - model.constant_cost();
  const double constant = in_usd_per_hour(model.constant_cost());
  plan.rack_gap_ratio = relative_gap(relaxed->objective - constant, whole->objective - constant);
  plan.proven_gap_ratio = relative_gap(whole->bound - constant, whole->objective - constant);
  const auto reduced_cost = [&](const auto& column_of) {
    double cost = 0;
    for (std::size_t h = 0; h < model.hours(); ++h) {
      cost += relaxed->reduced_costs[static_cast<std::size_t>(column_of(h))];
    }
    return cost;
  };
  for (std::size_t c = 0; c < set.candidates.size(); ++c) {
    plan.reduced_cost_usd_per_hour.push_back(
        reduced_cost([&](std::size_t h) { return model.gpus_column(c, h); }));
  }
  for (std::size_t t = 0; t < set.training.size(); ++t) {
    plan.training_reduced_cost_usd_per_hour.push_back(
        reduced_cost([&](std::size_t h) { return model.training_column(t, h); }));
  }
  take_answer(site, set, managed, model, *whole, true, plan);
  find_duals(site, set, model, relaxed->objective, plan);
  return plan;
}

}  // namespace perwatt::plan
