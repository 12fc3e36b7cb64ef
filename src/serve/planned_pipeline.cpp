#include "perwatt/serve/planned_pipeline.hpp"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/hash.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/training/plan_file.hpp"

namespace perwatt::serve {

namespace {

constexpr double kNone = -1;

std::vector<std::vector<int>> frequencies_of(const training::Pipeline& pipeline) {
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

std::string fingerprint_of(const training::Pipeline& pipeline,
                           const std::vector<std::vector<int>>& frequencies) {
  std::string text;
  for (std::size_t stage = 0; stage < pipeline.order.size(); ++stage) {
    for (const auto operation : pipeline.order[stage]) {
      text += pipeline.work_of(operation).instruction + ' ';
    }
    for (const int frequency : frequencies[stage]) {
      text += std::to_string(frequency) + ' ';
    }
    text += '\n';
  }
  return std::to_string(fnv1a(text));
}

std::pair<double, double> key_of(std::optional<Watts> cap, std::optional<Seconds> time) {
  return {cap ? cap->in_base() : kNone, time ? time->in_base() : kNone};
}

}  // namespace

PlannedPipeline::PlannedPipeline(std::string name, training::Pipeline pipeline, PlanGoal goal,
                                 const std::string& where)
    : name_{std::move(name)},
      pipeline_{std::move(pipeline)},
      planner_{pipeline_},
      frequencies_{frequencies_of(pipeline_)},
      fingerprint_{fingerprint_of(pipeline_, frequencies_)} {
  if (!pipeline_.other_knobs.empty()) {
    throw_bad_input("the profile has the knob " + printable(pipeline_.other_knobs.front()) +
                        ", and ranks are told frequencies only",
                    where, "profile frequencies alone");
  }
  const auto full_clocks = std::max(planner_.all_max().time, planner_.frontier().fastest());
  auto plan = goal.least_energy ? std::optional{planner_.least_energy()}
                                : planner_.at(goal.time.value_or(full_clocks));
  if (!plan) {
    throw_bad_input("no iteration is as short as " + shortest(goal.time->in_base()) + " s", where,
                    "give at least " + shortest(planner_.frontier().fastest().in_base()) + "s");
  }
  unhurried_ = *std::move(plan);
}

std::shared_ptr<const StagePlan> PlannedPipeline::told(const training::FrequencyPlan& plan) const {
  auto told = std::make_shared<StagePlan>();
  told->time = plan.time;
  told->energy = plan.energy;
  told->lower_bound = plan.lower_bound;
  for (const auto& stage : training::frequencies_by_stage(plan, pipeline_)) {
    told->frequencies.push_back(nlohmann::json(stage).dump());
  }
  return told;
}

std::shared_ptr<const StagePlan> PlannedPipeline::known(std::optional<Watts> cap,
                                                        std::optional<Seconds> time) const {
  std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
  const auto found = known_.find(key_of(cap, time));
  return found == known_.end() ? nullptr : found->second.lock();
}

std::shared_ptr<const StagePlan> PlannedPipeline::plan(std::optional<Watts> cap) const {
  auto plan = known(cap, std::nullopt);
  if (plan) {
    return plan;
  }
  if (!cap || unhurried_.mean_power() <= *cap) {
    plan = told(unhurried_);
  } else if (const auto found = planner_.under_power_without_waiting(*cap)) {
    plan = told(*found);
  } else {
    return nullptr;
  }
  known_[key_of(cap, std::nullopt)] = plan;
  return plan;
}

std::shared_ptr<const StagePlan> PlannedPipeline::waiting_plan(std::optional<Watts> cap,
                                                               Seconds time) const {
  auto plan = known(cap, time);
  if (plan) {
    return plan;
  }
  const auto found = planner_.with_straggler(time);
  if (found && (!cap || found->mean_power() <= *cap)) {
    plan = told(*found);
  } else {  // as without others, and then it waits
    auto waiting = *this->plan(cap);
    waiting.energy += planner_.frontier().blocking() * (time - waiting.time);
    waiting.time = time;
    waiting.lower_bound = planner_.frontier().energy(time);
    plan = std::make_shared<const StagePlan>(std::move(waiting));
  }
  known_[key_of(cap, time)] = plan;
  return plan;
}

}  // namespace perwatt::serve
