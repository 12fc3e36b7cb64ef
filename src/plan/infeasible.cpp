#include "infeasible.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "plan_model.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::plan {

namespace {

constexpr double kTolerance = 1e-7;
constexpr double kLeastSamples = 3;  // times the probability: the rule of three

/// Six digits for people, rounded away from what would not be enough.
std::string rounded(double value, double (*direction)(double)) {
  if (value == 0) {
    return "0";
  }
  const double scale =
      std::pow(10.0, 5 - static_cast<int>(std::floor(std::log10(std::abs(value)))));
  return shortest(direction(value * scale) / scale);
}

std::string at_least(double value) {
  return rounded(value, [](double x) { return std::ceil(x - kTolerance); });
}

std::string at_most(double value) {
  return rounded(value, [](double x) { return std::floor(x + kTolerance); });
}

std::string megawatt_text(double megawatts_value) {
  return at_least(megawatts_value) + " MW";
}

bool has_candidate(const CandidateSet& set, std::size_t service) {
  return std::any_of(set.candidates.begin(), set.candidates.end(),
                     [&](const Candidate& c) { return c.service == service; });
}

std::string service_key(const Service& service, const std::string& key) {
  return "service[" + service.id + "]." + key;
}

bool has_column(const CandidateSet& set, std::size_t job) {
  return std::any_of(set.training.begin(), set.training.end(),
                     [&](const TrainingColumn& column) { return column.job == job; });
}

std::string training_key(const TrainingJob& job, const std::string& key) {
  return "training[" + job.id + "]." + key;
}

/// Why a job has no column on any rack kind.
Remedy training_remedy(const Site& site, const CandidateSet& set, std::size_t j) {
  const auto& job = site.training[j];
  const auto& fits = set.training_fit[j];
  if (fits.empty()) {
    return {training_key(job, "accelerator"), job.accelerator,
            "a [[rack]] of " + job.accelerator + ", where its profile was measured", 1.0};
  }
  const auto large = std::find_if(fits.begin(), fits.end(),
                                  [](const TrainingFit& fit) { return fit.is_too_large; });
  if (large != fits.end()) {
    const auto& rack = set.racks[large->rack];
    const double least =
        std::ceil(static_cast<double>(job.gpus_per_pipeline()) / rack.gpus_per_rack);
    const double present = static_cast<double>(rack.stock->owned) + rack.stock->max_buy;
    return {"rack[" + rack.stock->system + "].owned", shortest(present) + " racks",
            "at least " + shortest(least) + " racks: one pipeline of '" + job.id + "' has " +
                std::to_string(job.gpus_per_pipeline()) + " GPUs",
            least / std::max(present, 1.0) - 1.0};
  }
  const auto& rack = set.racks[fits.front().rack];
  if (fits.front().is_too_large_for_share) {
    return {"placement[" + rack.stock->system + "].gpu_share_ratio", "the share of " + job.id,
            "so many GPUs that one pipeline, " + std::to_string(job.gpus_per_pipeline()) +
                " GPUs, fits",
            1.0};
  }
  if (fits.front().is_waiting_above_cap) {
    return {training_key(job, "blocking_power"),
            significant(in_watts(job.curve->pipeline().blocking_power), 4) + " W",
            "at most the cap of a board, " +
                significant(in_watts(rack.gpu_cap / set.halls[rack.hall].leakage_ratio), 4) + " W",
            1.0};
  }
  return {training_key(job, job.profile.empty() ? "dag" : "profile"),
          job.profile.empty() ? job.dag : job.profile,
          "for every operation a setting within the cap of " +
              significant(in_watts(rack.gpu_cap), 4) + " W of a board",
          1.0};
}

/// The SLO or the data stand in the way of a service: says which and how far the measured rows
/// reach.
Remedy slo_remedy(const Site& site, const CandidateSet& set, std::size_t s) {
  const auto& service = site.services[s];
  const auto& reach = set.reach[s];
  const std::string workload = service.model + " " + to_string(service.workload);
  if (!reach.has_deployment) {
    return {service_key(service, "model"), workload,
            "a measured deployment of " + workload +
                " on the site's systems (perwatt import, --points)",
            1.0};
  }
  if (*reach.best_interactivity < service.slo.min_interactivity) {
    return {service_key(service, "min_interactivity"),
            shortest(in_tokens_per_second(service.slo.min_interactivity)) + " tok/s",
            "at most " + at_most(in_tokens_per_second(*reach.best_interactivity)) +
                " tok/s, the most that was measured on the site's systems",
            1.0 - *reach.best_interactivity / service.slo.min_interactivity};
  }
  if (set.excluded[s].unknown_ttft > 0) {
    return {service_key(service, "max_ttft"), shortest(in_seconds(*service.slo.max_ttft)) + " s",
            "--allow-unknown-ttft: " + std::to_string(set.excluded[s].unknown_ttft) +
                " operating points have enough interactivity and no measured TTFT",
            0.0};
  }
  if (service.slo.max_ttft && reach.best_ttft && *reach.best_ttft > *service.slo.max_ttft) {
    return {service_key(service, "max_ttft"), shortest(in_seconds(*service.slo.max_ttft)) + " s",
            "at least " + at_least(in_seconds(*reach.best_ttft)) +
                " s, the least that was measured at this interactivity",
            *reach.best_ttft / *service.slo.max_ttft - 1.0};
  }
  if (set.excluded[s].too_large > 0) {
    return {"rack", "owned + max_buy",
            "more racks: the deployments that meet the SLO need more GPUs", 1.0};
  }
  return {service_key(service, "model"), workload,
          "deployments whose power and input rate are known (perwatt import, --points)", 1.0};
}

bool is_committed(const TrainingJob& job) {
  return job.committed.value_or(TokensPerSecond{}) > TokensPerSecond{};
}

std::vector<Limit> all_limits(const Site& site, const CandidateSet& set) {
  std::vector<Limit> limits{{Limit::Kind::envelope, 0}};
  for (std::size_t k = 0; k < set.racks.size(); ++k) {
    limits.push_back({Limit::Kind::racks, k});
  }
  if (site.max_capital) {
    limits.push_back({Limit::Kind::capital, 0});
  }
  for (std::size_t p = 0; p < set.halls.size(); ++p) {
    if (set.halls[p].hall->positions) {
      limits.push_back({Limit::Kind::positions, p});
    }
    if (set.halls[p].hall->it_capacity) {
      limits.push_back({Limit::Kind::hall_capacity, p});
    }
  }
  for (std::size_t s = 0; s < site.services.size(); ++s) {
    if (site.services[s].committed_output.value_or(TokensPerSecond{}) > TokensPerSecond{}) {
      limits.push_back({Limit::Kind::commitment, s});
    }
  }
  for (std::size_t j = 0; j < site.training.size(); ++j) {
    if (is_committed(site.training[j])) {
      limits.push_back({Limit::Kind::pipelines, j});
      limits.push_back({Limit::Kind::training_commitment, j});
    }
  }
  return limits;
}

Remedy describe_commitment(std::string key, TokensPerSecond committed, double excess_ktok) {
  const double present = in_tokens_per_second(committed);
  const double possible = std::max(0.0, std::floor(present - excess_ktok * 1e3));
  return {std::move(key), shortest(present) + " tok/s", "at most " + shortest(possible) + " tok/s",
          1.0 - possible / present};
}

/// How a limit moved by `excess` (in the model's units) reads.
Remedy describe(const Site& site, const CandidateSet& set, const Limit& limit, double excess) {
  switch (limit.kind) {
    case Limit::Kind::envelope: {
      const double present = in_megawatts(site.envelope);
      return {"site.envelope", megawatt_text(present),
              "at least " + megawatt_text(present + excess), excess / present};
    }
    case Limit::Kind::racks: {
      const auto& stock = *set.racks[limit.index].stock;
      return {"rack[" + stock.system + "].owned", std::to_string(stock.owned) + " racks",
              "at least " + shortest(stock.owned + std::round(excess)) + " racks",
              excess / std::max(static_cast<double>(stock.owned) + stock.max_buy, 1.0)};
    }
    case Limit::Kind::capital: {
      const double present = in_usd_per_hour(*site.max_capital);
      return {"site.max_capital_usd_per_hour", at_least(present) + " USD/h",
              "at least " + at_least(present + excess) + " USD/h",
              excess / std::max(present, kTolerance)};
    }
    case Limit::Kind::positions: {
      const auto& hall = *set.halls[limit.index].hall;
      return {"hall[" + hall.id + "].positions", std::to_string(*hall.positions) + " positions",
              "at least " + shortest(*hall.positions + std::round(excess)) + " positions",
              excess / std::max(static_cast<double>(*hall.positions), 1.0)};
    }
    case Limit::Kind::hall_capacity: {
      const auto& hall = *set.halls[limit.index].hall;
      const double present = in_megawatts(*hall.it_capacity);
      return {"hall[" + hall.id + "].it_capacity", megawatt_text(present),
              "at least " + megawatt_text(present + excess), excess / present};
    }
    case Limit::Kind::commitment: {
      const auto& service = site.services[limit.index];
      return describe_commitment(service_key(service, "committed_output_tokens_per_s"),
                                 *service.committed_output, excess);
    }
    case Limit::Kind::pipelines: {
      const auto& job = site.training[limit.index];
      return {training_key(job, "max_pipelines"), std::to_string(job.max_pipelines) + " pipelines",
              "at least " + shortest(job.max_pipelines + std::round(excess)) + " pipelines",
              excess / job.max_pipelines};
    }
    case Limit::Kind::training_commitment: {
      const auto& job = site.training[limit.index];
      return describe_commitment(training_key(job, "committed_trained_tokens_per_s"),
                                 *job.committed, excess);
    }
  }
  return {};
}

/// The smallest excess of the given limits together that makes the site feasible with whole racks.
std::vector<std::pair<Limit, double>> smallest_excess(const Site& site, const CandidateSet& set,
                                                      const ManagedDraw& managed,
                                                      const std::vector<Limit>& limits,
                                                      SolverUse& use) {
  PlanModel model{site, set, managed, use, {.relaxed = limits}};
  const auto solution = model.solve_integer();
  std::vector<std::pair<Limit, double>> excesses;
  if (!solution) {
    return excesses;
  }
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const double excess = solution->columns[static_cast<std::size_t>(model.excess_column(i))];
    if (excess > kTolerance) {
      excesses.emplace_back(limits[i], excess);
    }
  }
  return excesses;
}

std::string name_tightest(const Remedy& remedy) {
  return "the tightest limit is " + remedy.limit + " (" + remedy.present + "): it would need " +
         remedy.needed;
}

}  // namespace

bool nothing_can_run(const CandidateSet& set) {
  return set.candidates.empty() && set.training.empty();
}

std::vector<std::optional<Remedy>> explain_unserved(const Site& site, const CandidateSet& set) {
  std::vector<std::optional<Remedy>> reasons(site.services.size());
  for (std::size_t s = 0; s < site.services.size(); ++s) {
    if (!has_candidate(set, s)) {
      reasons[s] = slo_remedy(site, set, s);
    }
  }
  return reasons;
}

std::vector<std::optional<Remedy>> explain_untrained(const Site& site, const CandidateSet& set) {
  std::vector<std::optional<Remedy>> reasons(site.training.size());
  for (std::size_t j = 0; j < site.training.size(); ++j) {
    if (!has_column(set, j)) {
      reasons[j] = training_remedy(site, set, j);
    }
  }
  return reasons;
}

void explain_infeasible(const Site& site, const CandidateSet& set, const ManagedDraw& managed,
                        Plan& plan) {
  // A service or job that must run but has no column: no amount of power or racks helps.
  const bool none = nothing_can_run(set);
  for (std::size_t s = 0; s < site.services.size(); ++s) {
    const bool committed =
        site.services[s].committed_output.value_or(TokensPerSecond{}) > TokensPerSecond{};
    if ((none || committed) && !has_candidate(set, s)) {
      plan.remedies.push_back(*plan.unserved[s]);
    }
  }
  for (std::size_t j = 0; j < site.training.size(); ++j) {
    if ((none || is_committed(site.training[j])) && !has_column(set, j)) {
      plan.remedies.push_back(*plan.untrained[j]);
    }
  }
  if (!plan.remedies.empty()) {
    std::stable_sort(
        plan.remedies.begin(), plan.remedies.end(),
        [](const Remedy& a, const Remedy& b) { return a.relative_change < b.relative_change; });
    plan.infeasible_because =
        (site.training.empty()
             ? std::string{"no deployment on the site's systems can serve what is asked; "}
             : std::string{"nothing on the site's systems can serve or train what is asked; "}) +
        name_tightest(plan.remedies.front());
    return;
  }
  const auto limits = all_limits(site, set);
  for (const auto& limit : limits) {
    for (const auto& [moved, excess] : smallest_excess(site, set, managed, {limit}, plan.solver)) {
      plan.remedies.push_back(describe(site, set, moved, excess));
    }
  }
  std::stable_sort(
      plan.remedies.begin(), plan.remedies.end(),
      [](const Remedy& a, const Remedy& b) { return a.relative_change < b.relative_change; });
  if (!plan.remedies.empty()) {
    plan.infeasible_because =
        "the limits contradict each other; " + name_tightest(plan.remedies.front());
    return;
  }
  for (const auto& [moved, excess] : smallest_excess(site, set, managed, limits, plan.solver)) {
    plan.remedies.push_back(describe(site, set, moved, excess));
  }
  plan.infeasible_because =
      plan.remedies.empty()
          ? "no change of the limits that was tried makes it feasible"
          : "no single limit is enough: all that are listed must move together; " +
                name_tightest(plan.remedies.front());
}

void refuse_provisioning(const Site& site, const ManagedDraw& managed, Plan& plan) {
  const double asked = site.provisioning.excursion_probability;
  const double least = kLeastSamples / managed.samples_effective;
  plan.remedies.push_back({"provisioning.excursion_probability", shortest(asked),
                           "at least " + at_least(least), least / asked - 1.0});
  plan.infeasible_because =
      "managed provisioning is refused: " + significant(managed.samples_effective, 4) +
      " independent power samples cannot support an excursion probability of " + shortest(asked) +
      " with 95 % confidence (3 / samples = " + significant(least, 3) + ")";
}

}  // namespace perwatt::plan
