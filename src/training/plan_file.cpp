#include "perwatt/training/plan_file.hpp"

#include <algorithm>

#include "python_plan.hpp"
#include <nlohmann/json.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/json_node.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::training {

namespace {

constexpr const char* kPlanRemedy = "give a plan that 'perwatt train --plan' wrote";

PlanTable read_json_plan(std::string_view text, const std::string& name) {
  const auto json = parse_json(text, name, kPlanRemedy);
  const JsonNode root{json, name, kPlanRemedy};
  const auto other_knobs =
      root.has("other_knobs") ? root.texts("other_knobs") : std::vector<std::string>{};
  PlanTable table;
  table.name = name;
  for (const auto& stage : root.nodes("stages")) {
    if (stage.has("stage") &&
        stage.count("stage") != static_cast<std::int64_t>(table.stages.size())) {
      stage.fail("stage", "the next stage, " + std::to_string(table.stages.size()));
    }
    auto& entries = table.stages.emplace_back();
    for (const auto& operation : stage.nodes("operations")) {
      PlanEntry entry;
      entry.instruction = operation.text("instruction");
      if (operation.has("microbatch")) {
        entry.microbatch = static_cast<int>(operation.number("microbatch"));
      }
      entry.knob.frequency_mhz = operation.optional_int("frequency_mhz");
      for (const auto& knob : other_knobs) {
        entry.knob.others.push_back(operation.text(knob.c_str()));
      }
      entries.push_back(std::move(entry));
    }
  }
  return table;
}

bool fits(const PlanEntry& entry, const Option& option) {
  return entry.knob.frequency_mhz == option.knob.frequency_mhz &&
         (entry.knob.others.empty() || entry.knob.others == option.knob.others);
}

bool names(const PlanEntry& entry, const Pipeline& pipeline, std::uint32_t operation) {
  return (entry.instruction.empty() ||
          entry.instruction == pipeline.work_of(operation).instruction) &&
         (!entry.microbatch || *entry.microbatch == pipeline.operations[operation].microbatch);
}

}  // namespace

PlanTable read_plan(std::string_view text, const std::string& name) {
  const auto content = trimmed(text);
  return content.starts_with('{') ? read_json_plan(text, name) : read_python_plan(text, name);
}

std::vector<const Option*> match(const PlanTable& table, const Pipeline& pipeline) {
  if (table.stages.size() != pipeline.order.size()) {
    throw_bad_input("the plan has " + std::to_string(table.stages.size()) +
                        " stages, the pipeline " + std::to_string(pipeline.order.size()),
                    table.name, "give the plan of this pipeline");
  }
  std::vector<const Option*> chosen(pipeline.operations.size());
  for (std::size_t stage = 0; stage < pipeline.order.size(); ++stage) {
    const auto& entries = table.stages[stage];
    std::size_t next = 0;
    for (const auto operation : pipeline.order[stage]) {
      const auto& work = pipeline.work_of(operation);
      const bool is_named = next < entries.size() && names(entries[next], pipeline, operation);
      if (!is_named && work.all.size() == 1) {
        chosen[operation] = &work.all.front();
        continue;
      }
      const auto where =
          table.name + ": stage " + std::to_string(stage) + ", entry " + std::to_string(next);
      if (!is_named) {
        throw_bad_input(next < entries.size() ? "'" + printable(entries[next].instruction) +
                                                    "' where the schedule has " + work.instruction
                                              : "the stage ends before its " + work.instruction,
                        where, "give the plan of this schedule and number of microbatches");
      }
      const auto found = std::find_if(work.all.begin(), work.all.end(), [&](const Option& option) {
        return fits(entries[next], option);
      });
      if (found == work.all.end()) {
        throw_bad_input("the profile has no " + work.instruction + " at " +
                            printable(to_string(entries[next].knob)),
                        where, "profile that setting, or plan with this profile");
      }
      if (std::any_of(found + 1, work.all.end(),
                      [&](const Option& option) { return fits(entries[next], option); })) {
        throw_bad_input("the profile has several settings of " + work.instruction + " at " +
                            printable(to_string(entries[next].knob)),
                        where, "give the plan as JSON, with all its knobs");
      }
      chosen[operation] = &*found;
      ++next;
    }
    if (next < entries.size()) {
      throw_bad_input(std::to_string(entries.size() - next) + " entries too many for the schedule",
                      table.name + ": stage " + std::to_string(stage),
                      "give the plan of this schedule and number of microbatches");
    }
  }
  return chosen;
}

std::string plan_json(const FrequencyPlan& plan, const Pipeline& pipeline) {
  Json json{{"time_seconds", plan.time.in_base()},
            {"busy_seconds", plan.busy.in_base()},
            {"energy_joules", plan.energy.in_base()},
            {"effective_energy_joules", plan.effective_energy.in_base()},
            {"lower_bound_joules", plan.lower_bound.in_base()},
            {"gap_ratio", plan.gap_ratio()},
            {"switches", plan.switches}};
  const auto& other_knobs = pipeline.other_knobs;
  if (!other_knobs.empty()) {
    json["other_knobs"] = other_knobs;
  }
  json["stages"] = Json::array();
  for (std::size_t stage = 0; stage < pipeline.order.size(); ++stage) {
    auto operations = Json::array();
    for (const auto operation : pipeline.order[stage]) {
      Json entry{{"instruction", pipeline.work_of(operation).instruction},
                 {"microbatch", pipeline.operations[operation].microbatch}};
      const auto& knob = plan.chosen[operation]->knob;
      if (knob.frequency_mhz) {
        entry["frequency_mhz"] = *knob.frequency_mhz;
      }
      for (std::size_t i = 0; i < other_knobs.size(); ++i) {
        entry[other_knobs[i]] = knob.others[i];
      }
      operations.push_back(std::move(entry));
    }
    json["stages"].push_back({{"stage", stage}, {"operations", std::move(operations)}});
  }
  return json.dump(1) + "\n";
}

std::vector<std::vector<std::pair<std::string, int>>> frequencies_by_stage(
    const FrequencyPlan& plan, const Pipeline& pipeline) {
  if (!pipeline.other_knobs.empty()) {
    throw_bad_input("the profile has the knob " + printable(pipeline.other_knobs.front()) +
                        ", which a list of frequencies cannot hold",
                    "plan", "write the plan as JSON");
  }
  std::vector<std::vector<std::pair<std::string, int>>> stages;
  for (const auto& order : pipeline.order) {
    auto& stage = stages.emplace_back();
    for (const auto operation : order) {
      if (const auto& frequency = plan.chosen[operation]->knob.frequency_mhz) {
        stage.emplace_back(pipeline.work_of(operation).instruction, *frequency);
      }
    }
  }
  return stages;
}

std::string plan_python(const FrequencyPlan& plan, const Pipeline& pipeline) {
  std::string text = "[\n";
  for (const auto& stage : frequencies_by_stage(plan, pipeline)) {
    text += "[";
    for (std::size_t i = 0; i < stage.size(); ++i) {
      text += std::string{i == 0 ? "" : ", "} + "('" + stage[i].first + "', " +
              std::to_string(stage[i].second) + ")";
    }
    text += "],\n";
  }
  return text + "]\n# time " + shortest(plan.time.in_base()) + " s, energy " +
         shortest(plan.energy.in_base()) + " J, lower bound " +
         shortest(plan.lower_bound.in_base()) + " J\n";
}

}  // namespace perwatt::training
