#include "perwatt/plan/sensitivity.hpp"

#include <cmath>
#include <utility>

#include "plan_model.hpp"
#include "summary.hpp"

#include "perwatt/base/text.hpp"
#include "perwatt/plan/option.hpp"

namespace perwatt::plan {

namespace {

constexpr double kStep = 0.1;  // of SLOs, prices and demand

class Solver {
 public:
  Solver(const Site& site, const catalog::Catalog& catalog,
         std::span<const inference::MeasuredPoint> points,
         const inference::GpuPowerEstimator& estimator,
         inference::serving::ModelledServing* modelled)
      : site_{site},
        catalog_{catalog},
        points_{points},
        estimator_{estimator},
        modelled_{modelled} {
    options_ = find(site);
    base_ = *totals_of(site, options_);
  }

  /// Changes a copy of the site and solves it with the same options.
  template <class Change>
  Sensitivity with(std::string input, std::string change, const Change& apply) {
    Site changed = site_;
    apply(changed);
    return compare(std::move(input), std::move(change), changed, options_);
  }

  /// The same for a change that lets other deployments in or keeps some out.
  template <class Change>
  Sensitivity with_other_slo(std::string input, std::string change, const Change& apply) {
    Site changed = site_;
    apply(changed);
    return compare(std::move(input), std::move(change), changed, find(changed));
  }

  UsdPerSecond profit_with_rates_times(double ratio) {
    Site site = site_;
    for (auto& job : site.training) {
      job.tokens_per_iteration = job.tokens_per_iteration * ratio;
    }
    auto options = options_;
    for (auto& option : options.options) {
      auto& point = option.point;
      point.output_per_gpu = point.output_per_gpu * ratio;
      if (point.total_per_gpu) {
        point.total_per_gpu = *point.total_per_gpu * ratio;
      }
    }
    return totals_of(site, options)->profit() - base_.profit();
  }

 private:
  [[nodiscard]] OptionSet find(const Site& site) const {
    return find_options(site.services, accelerators_of(site, catalog_), points_, estimator_,
                        modelled_);
  }

  [[nodiscard]] std::optional<Totals> totals_of(const Site& site, const OptionSet& options) const {
    const auto set = build_candidates(site, catalog_, options);
    SolverUse use;
    const auto managed = managed_draw(site, set);
    if (is_refused(managed)) {
      return std::nullopt;
    }
    PlanModel model{site, set, managed, use};
    const auto solution = model.solve_relaxed();
    if (!solution) {
      return std::nullopt;
    }
    Plan plan;
    take_answer(site, set, managed, model, *solution, false, plan);
    return plan.totals;
  }

  [[nodiscard]] Sensitivity compare(std::string input, std::string change, const Site& site,
                                    const OptionSet& options) const {
    Sensitivity result{std::move(input), std::move(change), true, {}, {}, {}, {}};
    const auto totals = totals_of(site, options);
    result.feasible = totals.has_value();
    if (totals) {
      result.profit = totals->profit() - base_.profit();
      result.output = totals->output - base_.output;
      result.meter = totals->meter - base_.meter;
    }
    return result;
  }

  const Site& site_;
  const catalog::Catalog& catalog_;
  std::span<const inference::MeasuredPoint> points_;
  const inference::GpuPowerEstimator& estimator_;
  inference::serving::ModelledServing* modelled_;
  OptionSet options_;
  Totals base_;
};

std::string percent(double ratio) {
  return (ratio > 1 ? "+" : "-") + shortest(std::round(std::abs(ratio - 1) * 1000) / 10) + " %";
}

void add_slo_changes(const Site& site, Solver& solver, std::vector<Sensitivity>& changes) {
  for (std::size_t s = 0; s < site.services.size(); ++s) {
    const std::string name = "service[" + site.services[s].id + "].";
    for (const double ratio : {1 + kStep, 1 - kStep}) {
      changes.push_back(
          solver.with_other_slo(name + "min_interactivity", percent(ratio), [&](Site& changed) {
            auto& bound = changed.services[s].slo.min_interactivity;
            bound = bound * ratio;
          }));
      if (site.services[s].slo.max_ttft) {
        changes.push_back(
            solver.with_other_slo(name + "max_ttft", percent(ratio), [&](Site& changed) {
              auto& bound = changed.services[s].slo.max_ttft;
              bound = *bound * ratio;
            }));
      }
    }
  }
}

void add_money_changes(const Site& site, Solver& solver, std::vector<Sensitivity>& changes) {
  for (const double ratio : {1 + kStep, 1 - kStep}) {
    changes.push_back(solver.with("prices.energy", percent(ratio), [&](Site& changed) {
      changed.energy_price = changed.energy_price * ratio;
      for (auto& hour : changed.year) {
        hour.energy_price = hour.energy_price * ratio;
      }
    }));
    changes.push_back(solver.with("prices of tokens", percent(ratio), [&](Site& changed) {
      for (auto& service : changed.services) {
        service.output_price = service.output_price * ratio;
        service.input_price = service.input_price * ratio;
        service.it_energy_price = service.it_energy_price * ratio;
      }
    }));
    if (!site.training.empty()) {
      changes.push_back(solver.with("value of trained tokens", percent(ratio), [&](Site& changed) {
        for (auto& job : changed.training) {
          job.value = job.value * ratio;
        }
      }));
    }
    changes.push_back(solver.with("demand", percent(ratio), [&](Site& changed) {
      for (auto& service : changed.services) {
        service.demand_output = service.demand_output * ratio;
        if (service.committed_output && *service.committed_output > service.demand_output) {
          service.committed_output = service.demand_output;
        }
      }
    }));
  }
}

void add_rack_changes(const Site& site, Solver& solver, std::vector<Sensitivity>& changes) {
  for (std::size_t k = 0; k < site.racks.size(); ++k) {
    changes.push_back(solver.with("rack[" + site.racks[k].system + "].owned", "+1 rack",
                                  [&](Site& changed) { ++changed.racks[k].owned; }));
  }
}

/// One kelvin more at every plant whose power follows from its supply temperature.
void add_supply_changes(const Site& site, const catalog::Catalog& catalog, Solver& solver,
                        std::vector<Sensitivity>& changes) {
  for (std::size_t p = 0; p < site.halls.size(); ++p) {
    const auto& hall = site.halls[p];
    const auto& plant = catalog.cooling_plant(hall.cooling_plant, hall.defined_at);
    if (!plant.physics) {
      continue;
    }
    const std::string input = "hall[" + hall.id + "].supply_temperature";
    const auto warmer = celsius(in_celsius(hall.supply.value_or(plant.physics->supply)) + 1);
    if (warmer > plant.physics->supply_max) {
      changes.push_back({input,
                         "+1 C",
                         false,
                         "'" + plant.id + "' supplies at most " +
                             shortest(in_celsius(plant.physics->supply_max)) + " C",
                         {},
                         {},
                         {}});
      continue;
    }
    changes.push_back(solver.with(input, "+1 C", [&](Site& changed) {
      changed.halls[p].supply = warmer;
      equip_hall(changed.halls[p], changed.year, catalog);
    }));
  }
}

}  // namespace

Sensitivities find_sensitivities(const Site& site, const catalog::Catalog& catalog,
                                 std::span<const inference::MeasuredPoint> points,
                                 const inference::GpuPowerEstimator& estimator,
                                 inference::serving::ModelledServing* modelled) {
  Solver solver{site, catalog, points, estimator, modelled};
  Sensitivities result;
  add_slo_changes(site, solver, result.changes);
  add_money_changes(site, solver, result.changes);
  add_rack_changes(site, solver, result.changes);
  add_supply_changes(site, catalog, solver, result.changes);
  result.per_percent_tokens_per_joule = solver.profit_with_rates_times(1.01);
  return result;
}

}  // namespace perwatt::plan
