#include "perwatt/plan/lever.hpp"

#include <algorithm>
#include <set>
#include <string>

namespace perwatt::plan {

namespace {

using enum LeverClass;
using enum Layer;

constexpr std::array<LeverInfo, kLeverCount> kLevers{{
    {Lever::placement, "placement", operations, applications},
    {Lever::engine_version, "engine_version", operations, infrastructure},
    {Lever::operating_point, "operating_point", operations, applications},
    {Lever::speculative_decoding, "speculative_decoding", operations, models},
    {Lever::disaggregation, "disaggregation", operations, infrastructure},
    {Lever::precision, "precision", operations, models},
    {Lever::clock, "clock", operations, energy},
    {Lever::training_frequency_plan, "training_frequency_plan", operations, energy},
    {Lever::power_cap, "power_cap", operations, energy},
    {Lever::provisioning, "provisioning", operations, energy},
    {Lever::availability, "availability", operations, infrastructure},
    {Lever::model, "model", LeverClass::model, models},
    {Lever::cooling, "cooling", facility, energy},
    {Lever::smoothing, "smoothing", facility, energy},
    {Lever::power_supply, "power_supply", facility, energy},
    {Lever::host_and_fabric, "host_and_fabric", hardware, infrastructure},
    {Lever::scale_up_domain, "scale_up_domain", hardware, infrastructure},
    {Lever::accelerator_generation, "accelerator_generation", hardware, chips},
    {Lever::capacity, "capacity", hardware, chips},
}};

constexpr std::array<std::string_view, 4> kClassNames{"operations", "model", "facility",
                                                      "hardware"};
constexpr std::array<std::string_view, 5> kLayerNames{"energy", "chips", "infrastructure", "models",
                                                      "applications"};

bool has(LeverSet set, Lever lever) {
  return set[static_cast<std::size_t>(lever)];
}

using Words = std::optional<std::vector<std::string>>;

/// What either allows; an empty optional allows all.
Words either(const Words& a, const Words& b) {
  if (!a || !b) {
    return std::nullopt;
  }
  std::set<std::string> words{a->begin(), a->end()};
  words.insert(b->begin(), b->end());
  return std::vector<std::string>{words.begin(), words.end()};
}

DeploymentRules mixed_rules(const DeploymentRules& old, const DeploymentRules& now,
                            LeverSet pulled) {
  DeploymentRules rules = old;
  if (has(pulled, Lever::precision)) {
    rules.precisions = either(old.precisions, now.precisions);
  }
  if (has(pulled, Lever::speculative_decoding)) {
    rules.spec_decode = either(old.spec_decode, now.spec_decode);
  }
  if (has(pulled, Lever::disaggregation)) {
    rules.serving = either(old.serving, now.serving);
  }
  if (has(pulled, Lever::engine_version)) {
    rules.engines = either(old.engines, now.engines);
    rules.not_after = old.not_after.empty() || now.not_after.empty()
                          ? std::string{}
                          : std::max(old.not_after, now.not_after);
  }
  if (has(pulled, Lever::operating_point)) {
    rules.max_concurrency_per_gpu =
        old.max_concurrency_per_gpu && now.max_concurrency_per_gpu
            ? std::optional{std::max(*old.max_concurrency_per_gpu, *now.max_concurrency_per_gpu)}
            : std::nullopt;
  }
  if (has(pulled, Lever::clock)) {
    rules.min_clock_ratio = std::min(old.min_clock_ratio, now.min_clock_ratio);
  }
  if (has(pulled, Lever::training_frequency_plan)) {
    rules.frequency_plans = std::max(old.frequency_plans, now.frequency_plans);
  }
  return rules;
}

/// Nameplate reserves for every board at a cap of 1, static at a lower one: between these two only
/// the cap differs.
Provisioning mixed_provisioning(const Provisioning& old, const Provisioning& now, LeverSet pulled) {
  const auto& capped = has(pulled, Lever::power_cap) ? now : old;
  const auto is_managed = [](const Provisioning& one) {
    return one.policy == ProvisioningPolicy::managed;
  };
  if (!is_managed(old) && !is_managed(now)) {
    return capped;
  }
  Provisioning mixed = has(pulled, Lever::provisioning) ? now : old;
  mixed.gpu_cap_ratio = capped.gpu_cap_ratio;
  return mixed;
}

/// What sets a rack kind apart: the levers without which it is not there.
class RackKinds {
 public:
  RackKinds(const Site& baseline, const catalog::Catalog& catalog) : catalog_{catalog} {
    for (const auto& rack : baseline.racks) {
      const auto& system = catalog.system(rack.system, rack.defined_at);
      accelerators_.insert(system.accelerator);
      domains_.insert(system.gpus_per_node);
      plants_.insert({rack.system, rack.cooling_plant});
      systems_.insert(rack.system);
      media_.insert({system.accelerator, plant_of(rack).medium});
    }
  }

  [[nodiscard]] LeverSet needed_for(const RackStock& rack) const {
    const auto& system = catalog_.system(rack.system, rack.defined_at);
    LeverSet levers;
    const auto need = [&](Lever lever) { levers.set(static_cast<std::size_t>(lever)); };
    if (systems_.contains(rack.system)) {  // more of the same, in another hall
      need(Lever::capacity);
      if (!plants_.contains({rack.system, rack.cooling_plant})) {
        need(Lever::cooling);
      }
      return levers;
    }
    if (!accelerators_.contains(system.accelerator)) {
      need(Lever::accelerator_generation);
    }
    if (!domains_.contains(system.gpus_per_node)) {
      need(Lever::scale_up_domain);
    }
    if (levers.none()) {  // the same accelerator and domain in another rack
      need(media_.contains({system.accelerator, plant_of(rack).medium}) ? Lever::host_and_fabric
                                                                        : Lever::cooling);
    }
    return levers;
  }

 private:
  [[nodiscard]] const catalog::CoolingPlant& plant_of(const RackStock& rack) const {
    return catalog_.cooling_plant(rack.cooling_plant, rack.defined_at);
  }

  const catalog::Catalog& catalog_;
  std::set<std::string> accelerators_;
  std::set<int> domains_;
  std::set<std::pair<std::string, std::string>> media_;
  std::set<std::string> systems_;
  std::set<std::pair<std::string, std::string>> plants_;
};

bool is_same_kind(const RackStock& a, const RackStock& b) {
  return a.system == b.system && a.hall == b.hall;
}

bool has_kind(const std::vector<RackStock>& racks, const RackStock& rack) {
  return std::any_of(racks.begin(), racks.end(),
                     [&](const RackStock& other) { return is_same_kind(other, rack); });
}

/// By rack kind of the plan, the stock of the baseline it continues, each at most once: the same
/// kind, else the same system in a hall that the plan no longer has. Null: a new kind.
std::vector<const RackStock*> continued_stocks(const Site& baseline, const Site& plan) {
  std::vector<const RackStock*> stocks;
  for (const auto& rack : plan.racks) {
    const auto at =
        std::find_if(baseline.racks.begin(), baseline.racks.end(), [&](const RackStock& old) {
          const bool is_taken = std::find(stocks.begin(), stocks.end(), &old) != stocks.end();
          return is_same_kind(old, rack) ||
                 (old.system == rack.system && !has_kind(baseline.racks, rack) &&
                  !has_kind(plan.racks, old) && !is_taken);
        });
    stocks.push_back(at == baseline.racks.end() ? nullptr : &*at);
  }
  return stocks;
}

std::vector<RackStock> mixed_racks(const Site& baseline, const Site& plan, LeverSet pulled,
                                   const catalog::Catalog& catalog) {
  const RackKinds kinds{baseline, catalog};
  const auto continued = continued_stocks(baseline, plan);
  std::vector<RackStock> racks;
  // In the plan's order, so that no lever changes a tie.
  for (std::size_t k = 0; k < plan.racks.size(); ++k) {
    const auto& rack = plan.racks[k];
    const auto* old = continued[k];
    if (old == nullptr) {
      if ((kinds.needed_for(rack) & ~pulled).none()) {
        racks.push_back(rack);
      }
      continue;
    }
    RackStock mixed = has(pulled, Lever::capacity) ? rack : *old;
    mixed.capital_per_gpu = rack.capital_per_gpu;
    const auto& stands = has(pulled, Lever::cooling) ? rack : *old;
    mixed.hall = stands.hall;
    mixed.cooling_plant = stands.cooling_plant;
    mixed.defined_at = rack.defined_at;
    racks.push_back(mixed);
  }
  for (const auto& rack : baseline.racks) {
    const bool goes_on = std::find(continued.begin(), continued.end(), &rack) != continued.end();
    if (!goes_on && !has(pulled, Lever::capacity)) {
      racks.push_back(rack);
    }
  }
  return racks;
}

/// The halls of both sites; one of both as the cooling lever says.
std::vector<Hall> mixed_halls(const Site& baseline, const Site& plan, LeverSet pulled) {
  const bool is_new = has(pulled, Lever::cooling);
  std::vector<Hall> halls = is_new ? plan.halls : baseline.halls;
  for (const auto& hall : is_new ? baseline.halls : plan.halls) {
    const bool known = std::any_of(halls.begin(), halls.end(),
                                   [&](const Hall& other) { return other.id == hall.id; });
    if (!known) {
      halls.push_back(hall);
    }
  }
  return halls;
}

void mix_models(const Service& old, const Service& now, bool pulled, Service& mixed) {
  if (!pulled) {
    mixed.model = old.model;
    mixed.alternative_models = old.alternative_models;
    return;
  }
  std::set<std::string> models{now.alternative_models.begin(), now.alternative_models.end()};
  models.insert(old.alternative_models.begin(), old.alternative_models.end());
  models.insert(old.model);
  models.erase(now.model);
  mixed.model = now.model;
  mixed.alternative_models.assign(models.begin(), models.end());
}

bool same_year(const Site& a, const Site& b) {
  return a.climate == b.climate &&
         std::equal(a.year.begin(), a.year.end(), b.year.begin(), b.year.end(),
                    [](const HourClass& x, const HourClass& y) {
                      return x.year_ratio == y.year_ratio && x.energy_price == y.energy_price &&
                             x.demand_ratio == y.demand_ratio;
                    });
}

bool same_services(const Site& a, const Site& b) {
  return std::equal(a.services.begin(), a.services.end(), b.services.begin(), b.services.end(),
                    [](const Service& x, const Service& y) {
                      return x.id == y.id && x.workload == y.workload &&
                             x.slo.min_interactivity == y.slo.min_interactivity &&
                             x.slo.max_ttft == y.slo.max_ttft &&
                             x.demand_output == y.demand_output &&
                             x.committed_output == y.committed_output &&
                             x.output_price == y.output_price && x.input_price == y.input_price;
                    });
}

bool same_training(const Site& a, const Site& b) {
  return std::equal(a.training.begin(), a.training.end(), b.training.begin(), b.training.end(),
                    [](const TrainingJob& x, const TrainingJob& y) { return x.same_as(y); });
}

bool same_site(const Site& a, const Site& b) {
  const auto same_stock = [](const RackStock& x, const RackStock& y) {
    return x.system == y.system && x.hall == y.hall && x.owned == y.owned && x.max_buy == y.max_buy;
  };
  const auto same_load = [](const SiteLoad& x, const SiteLoad& y) {
    return x.it_power == y.it_power && x.hall == y.hall;
  };
  const auto same_models = [](const Service& x, const Service& y) {
    return x.model == y.model && x.alternative_models == y.alternative_models;
  };
  const auto same_hall = [](const Hall& x, const Hall& y) {
    return x.id == y.id && x.cooling_plant == y.cooling_plant && x.supply == y.supply &&
           x.positions == y.positions && x.it_capacity == y.it_capacity;
  };
  const auto same_supply = [](const PowerSupply& x, const PowerSupply& y) {
    return x.power == y.power && x.energy == y.energy && x.energy_price == y.energy_price;
  };
  return std::is_permutation(a.halls.begin(), a.halls.end(), b.halls.begin(), b.halls.end(),
                             same_hall) &&
         std::equal(a.supplies.begin(), a.supplies.end(), b.supplies.begin(), b.supplies.end(),
                    same_supply) &&
         a.retrofits.size() == b.retrofits.size() && a.provisioning.same_as(b.provisioning) &&
         a.envelope == b.envelope && a.availability_ratio == b.availability_ratio &&
         a.rules == b.rules && a.placements == b.placements &&
         std::equal(a.racks.begin(), a.racks.end(), b.racks.begin(), b.racks.end(), same_stock) &&
         std::equal(a.loads.begin(), a.loads.end(), b.loads.begin(), b.loads.end(), same_load) &&
         std::equal(a.services.begin(), a.services.end(), b.services.begin(), b.services.end(),
                    same_models);
}

}  // namespace

const std::array<LeverInfo, kLeverCount>& all_levers() {
  return kLevers;
}

const LeverInfo& info_of(Lever lever) {
  return kLevers[static_cast<std::size_t>(lever)];
}

std::string_view to_string(LeverClass lever_class) {
  return kClassNames[static_cast<std::size_t>(lever_class)];
}

std::string_view to_string(Layer layer) {
  return kLayerNames[static_cast<std::size_t>(layer)];
}

std::optional<LeverClass> parse_lever_class(std::string_view text) {
  for (std::size_t i = 0; i < kClassNames.size(); ++i) {
    if (kClassNames[i] == text) {
      return static_cast<LeverClass>(i);
    }
  }
  return std::nullopt;
}

Site mixed_site(const Site& baseline, const Site& plan, LeverSet pulled,
                const catalog::Catalog& catalog) {
  const auto& from = [&](Lever lever) -> const Site& {
    return has(pulled, lever) ? plan : baseline;
  };
  Site site = plan;
  site.racks = mixed_racks(baseline, plan, pulled, catalog);
  site.rules = mixed_rules(baseline.rules, plan.rules, pulled);
  site.placements = from(Lever::placement).placements;
  site.availability_ratio = from(Lever::availability).availability_ratio;
  site.envelope = from(Lever::power_supply).envelope;
  site.loads = from(Lever::host_and_fabric).loads;
  site.supplies = from(Lever::power_supply).supplies;
  site.provisioning = mixed_provisioning(baseline.provisioning, plan.provisioning, pulled);
  site.halls = mixed_halls(baseline, plan, pulled);
  site.retrofits = from(Lever::cooling).retrofits;
  for (std::size_t s = 0; s < site.services.size(); ++s) {
    mix_models(baseline.services[s], plan.services[s], has(pulled, Lever::model), site.services[s]);
  }
  return site;
}

LeverSet differing_levers(const Site& baseline, const Site& plan, const catalog::Catalog& catalog) {
  LeverSet differing;
  const Site before = mixed_site(baseline, plan, {}, catalog);
  const Site after = mixed_site(baseline, plan, LeverSet{}.set(), catalog);
  for (std::size_t i = 0; i < kLeverCount; ++i) {
    // A lever may act only together with others (a rack that needs two), so both ends are looked
    // at.
    LeverSet without = LeverSet{}.set();
    without.reset(i);
    differing[i] = !same_site(mixed_site(baseline, plan, LeverSet{}.set(i), catalog), before) ||
                   !same_site(mixed_site(baseline, plan, without, catalog), after);
  }
  if (baseline.training.empty() && plan.training.empty()) {  // the rule is of jobs alone
    differing.reset(static_cast<std::size_t>(Lever::training_frequency_plan));
  }
  return differing;
}

std::optional<std::string> incomparable_because(const Site& baseline, const Site& plan) {
  if (!same_services(baseline, plan)) {
    return "the baseline sells something else: its services, SLOs, demands or prices differ";
  }
  if (!same_training(baseline, plan)) {
    return "the baseline trains something else: its training jobs, their profiles, pipelines, "
           "commitments or values differ";
  }
  if (!same_year(baseline, plan)) {
    return "the baseline has another year: its climate, hour classes or energy prices differ";
  }
  return std::nullopt;
}

}  // namespace perwatt::plan
