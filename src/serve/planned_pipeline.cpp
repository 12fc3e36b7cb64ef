#include "perwatt/serve/planned_pipeline.hpp"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::serve {

namespace {

constexpr double kNone = -1;

std::vector<std::vector<int>> frequencies_by_stage(const training::Pipeline& pipeline) {
  std::vector<std::set<int>> sets(static_cast<std::size_t>(pipeline.stages));
  for (const auto& work : pipeline.works) {
    for (const auto& option : work.options) {
      if (option.knob.frequency_mhz) {
        sets[static_cast<std::size_t>(work.stage)].insert(*option.knob.frequency_mhz);
      }
    }
  }
  std::vector<std::vector<int>> lists;
  for (const auto& set : sets) {
    lists.emplace_back(set.begin(), set.end());
  }
  return lists;
}

}  // namespace

PlannedPipeline::PlannedPipeline(std::string name, training::Pipeline pipeline, PlanGoal goal,
                                 const std::string& where)
    : name_{std::move(name)},
      pipeline_{std::move(pipeline)},
      planner_{pipeline_},
      goal_{goal},
      frequencies_{frequencies_by_stage(pipeline_)} {
  if (!pipeline_.other_knobs.empty()) {
    throw_bad_input("the profile has the knob " + printable(pipeline_.other_knobs.front()) +
                        ", and ranks are told frequencies only",
                    where, "profile frequencies alone");
  }
  if (goal_.time && !planner_.at(*goal_.time)) {
    throw_bad_input("no iteration is as short as " + shortest(goal_.time->in_base()) + " s", where,
                    "give at least " + shortest(planner_.frontier().fastest().in_base()) + "s");
  }
}

training::FrequencyPlan PlannedPipeline::goal_plan() const {
  return goal_.least_energy ? planner_.least_energy()
                            : *planner_.at(goal_.time.value_or(std::max(
                                  planner_.all_max().time, planner_.frontier().fastest())));
}

std::optional<training::FrequencyPlan> PlannedPipeline::capped_plan(
    std::optional<Watts> cap) const {
  auto plan = goal_plan();
  return !cap || plan.mean_power() <= *cap ? std::optional{std::move(plan)}
                                           : planner_.under_power(*cap);
}

std::shared_ptr<const StagePlan> PlannedPipeline::told(const training::FrequencyPlan& plan) const {
  auto told = std::make_shared<StagePlan>();
  told->time = plan.time;
  told->energy = plan.energy;
  told->lower_bound = plan.lower_bound;
  for (const auto& order : pipeline_.order) {
    auto list = nlohmann::json::array();
    for (const auto operation : order) {
      if (const auto& frequency = plan.chosen[operation]->knob.frequency_mhz) {
        list.push_back({pipeline_.work_of(operation).instruction, *frequency});
      }
    }
    told->frequencies.push_back(list.dump());
  }
  return told;
}

std::shared_ptr<const StagePlan> PlannedPipeline::plan(std::optional<Watts> cap) const {
  auto& known = known_[{cap ? cap->in_base() : kNone, kNone}];
  auto plan = known.lock();
  if (!plan) {
    if (const auto found = capped_plan(cap)) {
      known = plan = told(*found);
    }
  }
  return plan;
}

std::shared_ptr<const StagePlan> PlannedPipeline::waiting_plan(std::optional<Watts> cap,
                                                               Seconds time) const {
  std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
  auto& known = known_[{cap ? cap->in_base() : kNone, time.in_base()}];
  auto plan = known.lock();
  if (!plan) {
    auto found = planner_.with_straggler(time);
    const bool fits = found && (!cap || found->mean_power() <= *cap);
    known = plan = told(fits ? *found : *capped_plan(cap));
  }
  return plan;
}

}  // namespace perwatt::serve
