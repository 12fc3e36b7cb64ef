#include "perwatt/training/frequency_plan.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "rounding.hpp"
#include "switch_budget.hpp"

namespace perwatt::training {

namespace {

/// Around the time of least energy, whose plan may be beaten by that of a time nearby.
constexpr std::array<double, 5> kNearby = {0.99, 0.995, 1.0, 1.005, 1.01};

/// A plan under a power cap is found by steps of its time, each at least this much longer.
constexpr double kLeastStep = 1e-4;
constexpr int kMostSteps = 16;

}  // namespace

Planner::Planner(const Pipeline& pipeline, double most_visits)
    : pipeline_{pipeline},
      most_visits_{most_visits},
      topological_{topological_order(pipeline, "pipeline")},
      makespan_{pipeline, topological_},
      frontier_{TimeEnergyFrontier::of(pipeline)},
      all_max_{replay_all_max(pipeline)} {}

Joules Planner::all_max_energy(Seconds time) const {
  return all_max_.effective_energy + frontier_.blocking() * std::max(all_max_.time, time);
}

double Planner::saved_ratio(const FrequencyPlan& plan) const {
  const auto all_max = all_max_energy(plan.time);
  return all_max > Joules{} ? 1 - plan.energy / all_max : 0;
}

Timeline Planner::timeline(std::span<const Option* const> chosen) const {
  std::vector<Seconds> times;
  times.reserve(chosen.size());
  for (const auto* option : chosen) {
    times.push_back(option->time);
  }
  return makespan_.timeline(times);
}

FrequencyPlan Planner::score(std::vector<const Option*> chosen) const {
  const auto result = replay(pipeline_, makespan_, chosen);
  FrequencyPlan plan;
  plan.switches = switches_of(pipeline_, chosen);
  plan.chosen = std::move(chosen);
  plan.busy = result.time;
  plan.time = result.time;
  plan.energy = result.energy;
  plan.effective_energy = result.effective_energy;
  plan.lower_bound = frontier_.energy(plan.time);
  return plan;
}

FrequencyPlan Planner::held_until(FrequencyPlan plan, Seconds time) const {
  plan.time = std::max(plan.busy, time);
  plan.energy = plan.effective_energy + frontier_.blocking() * plan.time;
  plan.lower_bound = frontier_.energy(plan.time);
  return plan;
}

std::optional<FrequencyPlan> Planner::at(Seconds time) const {
  if (time < frontier_.fastest() * (1 - kTimeTolerance)) {
    return std::nullopt;
  }
  const auto works = scale(pipeline_);
  const DiscretePipeline discrete{pipeline_, topological_};
  const auto choice =
      round_at(pipeline_, works, discrete, topological_,
               to_picoseconds(std::min(time, frontier_.slowest()) - pipeline_.tail), most_visits_);
  std::vector<const Option*> chosen(pipeline_.operations.size());
  for (std::size_t rank = 0; rank < chosen.size(); ++rank) {
    const auto operation = discrete.operation(rank);
    chosen[operation] = &pipeline_.work_of(operation).options[choice[rank]];
  }
  return score(std::move(chosen));
}

std::optional<FrequencyPlan> Planner::at(Seconds time, int most_switches) const {
  auto free = at(time);
  if (!free || free->switches <= most_switches) {
    return free;
  }
  auto chosen =
      choose_with_switches(pipeline_, topological_, makespan_, free->chosen, time, most_switches);
  return chosen ? std::optional{score(std::move(*chosen))} : std::nullopt;
}

FrequencyPlan Planner::least_energy() const {
  const auto ideal = frontier_.least_energy_time();
  std::optional<FrequencyPlan> best;
  for (const double share : kNearby) {
    auto plan = at(std::max(frontier_.fastest(), ideal * share));
    if (plan && (!best || plan->energy < best->energy)) {
      best = std::move(plan);
    }
  }
  best->lower_bound = frontier_.energy(ideal);
  return *std::move(best);
}

std::optional<FrequencyPlan> Planner::under_power(Watts cap) const {
  const auto ideal = frontier_.time_under_power(cap);
  if (!ideal) {
    return std::nullopt;
  }
  // A rounded plan draws a little more than the frontier: it waits, or a longer plan waits less.
  std::optional<FrequencyPlan> best;
  auto time = *ideal;
  for (int step = 0; step < kMostSteps; ++step) {
    auto plan = *at(time);
    auto longest = frontier_.slowest();
    if (plan.mean_power() > cap && cap > frontier_.blocking()) {
      longest = plan.effective_energy / (cap - frontier_.blocking());
      plan = held_until(std::move(plan), longest);
    }
    if (plan.mean_power() <= cap * (1 + kTimeTolerance) && (!best || plan.time < best->time)) {
      best = std::move(plan);
    }
    const auto next = std::max(time + (longest - time) * 0.5, time * (1 + kLeastStep));
    if ((best && best->time <= next) || time >= frontier_.slowest()) {
      break;
    }
    time = next;
  }
  return best;
}

std::optional<FrequencyPlan> Planner::under_power_without_waiting(Watts cap) const {
  const auto ideal = frontier_.time_under_power(cap);
  const auto slowest = frontier_.slowest();
  if (!ideal || *ideal > slowest) {
    return std::nullopt;
  }
  // A rounded plan draws a little more than the frontier: a little longer, until it draws less.
  auto time = *ideal;
  for (int step = 0; step < kMostSteps; ++step) {
    auto plan = at(time);
    if (plan && plan->mean_power() <= cap * (1 + kTimeTolerance)) {
      return plan;
    }
    if (time >= slowest) {
      return std::nullopt;
    }
    const double excess = plan ? plan->mean_power() / cap - 1 : 0;
    time = std::min(slowest, time * (1 + std::max(kLeastStep, excess)));
  }
  return std::nullopt;
}

std::optional<FrequencyPlan> Planner::with_straggler(Seconds time) const {
  auto plan = at(std::min(time, frontier_.slowest()));
  return plan ? std::optional{held_until(*std::move(plan), time)} : std::nullopt;
}

}  // namespace perwatt::training
