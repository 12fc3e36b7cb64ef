// The tables of the report of training.
#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "text.hpp"
#include "training_parts.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

/// Longer than full clocks, of the frontier and of stragglers.
constexpr double kSlowdowns[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0};
constexpr double kStragglers[] = {0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0};
constexpr std::size_t kMostRows = 256;  // of stages, or of stages and instructions

std::string count_text(std::size_t count) {
  return significant(static_cast<double>(count), 12);
}

std::string number(Seconds time) {
  return significant(in_seconds(time), 5);
}

std::string number(Joules energy) {
  return significant(energy.in_base(), 6);
}

std::string percent(double ratio) {
  return significant(100 * ratio, 4);
}

std::string left_out(std::size_t rows, const char* what) {
  return rows <= kMostRows
             ? ""
             : fmt::format(" The first {} of {} {} are shown.", kMostRows, count_text(rows), what);
}

}  // namespace

Table time_energy_table(const TrainingResults& results) {
  Table table{"time-and-energy",
              "Time and energy in figures",
              "A bound is the exact least energy at that time; no plan is below it, and it mixes "
              "settings, which no device can. Saved: against one iteration at full clocks. Price: "
              "what a second less costs on the frontier, net of the waiting it saves; negative "
              "where shorter is cheaper.",
              {{"iteration"},
               {"time s", kRight},
               {"longer %", kRight},
               {"energy J", kRight},
               {"saved %", kRight},
               {"mean power W", kRight},
               {"price of a second J", kRight}},
              {}};
  const auto& frontier = results.frontier();
  const auto add = [&](const std::string& name, Seconds time, Joules energy, bool is_bound) {
    const auto price = is_bound ? results.price_of_time(time) : std::nullopt;
    table.add({name, number(time), percent(results.slowdown(time)), number(energy),
               percent(results.saved(energy)), significant(in_watts(energy / time)),
               price      ? significant(in_watts(*price))
               : is_bound ? "no shorter"
                          : ""});
  };
  const auto full = std::max(results.full_clocks.time, frontier.fastest());
  const auto least = frontier.least_energy_time();
  add("full clocks", results.full_clocks.time, results.full_clocks.energy, false);
  if (results.plan) {
    add("plan, " + results.report.question, results.plan->time, results.plan->energy, false);
    add("bound at the plan's time", results.plan->time, results.bound(results.plan->time), true);
  }
  if (results.slowdown(frontier.fastest()) < 0) {
    add("fastest, bound", frontier.fastest(), results.bound(frontier.fastest()), true);
  }
  add("as full clocks, bound", full, results.bound(full), true);
  for (const double slowdown : kSlowdowns) {
    const auto time = full * (1 + slowdown);
    if (time < least) {
      add(fmt::format("{} longer, bound", percent_text(slowdown)), time, results.bound(time), true);
    }
  }
  add("least energy, bound", least, results.bound(least), true);
  return table;
}

Table straggler_table(const TrainingResults& results) {
  Table table{"straggler",
              "Waiting for a slower pipeline",
              "Another pipeline of the job takes longer and this one waits for it at the end of "
              "each iteration. GPUs draw the blocking power while they wait, so the plan uses the "
              "time. 'perwatt train --straggler TIME' makes the plan.",
              {{"straggler's iteration s", kRight},
               {"longer than full clocks %", kRight},
               {"full clocks, then waiting J", kRight},
               {"bound J", kRight},
               {"saved at most %", kRight}},
              {}};
  for (const double slowdown : kStragglers) {
    const auto time = results.full_clocks.time * (1 + slowdown);
    const auto bound = results.bound(time);
    table.add({number(time), percent(slowdown),
               number(results.report.planner->all_max_energy(time)), number(bound),
               percent(results.saved_with_waiting(time, bound))});
  }
  return table;
}

Table stages_table(const TrainingResults& results) {
  const auto& order = results.pipeline().order;
  Table table{"stages",
              "Stages",
              "Waiting is what a stage can give up: it runs slower where its operations have slack "
              "and no longest path needs them. Saved: of the stage's energy over the same time, "
              "waiting included. The tail counts as waiting." +
                  left_out(order.size(), "stages"),
              {{"stage", kRight},
               {"operations", kRight},
               {"full clocks: working s", kRight},
               {"waiting s", kRight},
               {"on a longest path", kRight},
               {"energy J", kRight}},
              {}};
  if (results.plan) {
    for (const auto* name :
         {"plan: working s", "waiting s", "on a longest path", "energy J", "saved %"}) {
      table.columns.push_back({name, kRight});
    }
  }
  for (std::size_t stage = 0; stage < std::min(order.size(), kMostRows); ++stage) {
    const auto full = results.full_clocks.use_of(order[stage]);
    const auto time = results.full_clocks.time;
    std::vector<Cell> cells{std::to_string(stage),     count_text(full.operations),
                            number(full.time),         number(time - full.time),
                            count_text(full.critical), number(results.stage_energy(full, time))};
    if (results.plan) {
      const auto planned = results.plan->use_of(order[stage]);
      const auto before = results.stage_energy(full, std::max(time, results.plan->time));
      const auto after = results.stage_energy(planned, results.plan->time);
      for (auto text : {number(planned.time), number(results.plan->time - planned.time),
                        count_text(planned.critical), number(after),
                        before > Joules{} ? percent(1 - after / before) : std::string{"0"}}) {
        cells.emplace_back(std::move(text));
      }
    }
    table.add(std::move(cells));
  }
  return table;
}

namespace {

using Group = std::pair<std::size_t, std::string>;  // stage and instruction

std::map<Group, std::vector<std::uint32_t>> groups_of(const training::Pipeline& pipeline) {
  std::map<Group, std::vector<std::uint32_t>> groups;
  for (std::size_t stage = 0; stage < pipeline.order.size(); ++stage) {
    for (const auto operation : pipeline.order[stage]) {
      groups[{stage, pipeline.work_of(operation).instruction}].push_back(operation);
    }
  }
  return groups;
}

std::size_t different_knobs(const UseSum& use) {
  std::set<std::string> names;
  for (const auto* option : use.settings) {
    names.insert(to_string(option->knob));
  }
  return names.size();
}

}  // namespace

Table settings_table(const TrainingResults& results) {
  const auto groups = groups_of(results.pipeline());
  Table table{"settings",
              "Settings of the plan",
              "By stage and instruction. Frequencies: lowest, mean over the operations, highest. "
              "Saved: effective energy (energy less the blocking power over the operation's time) "
              "of full clocks less the plan's; over all rows that is what the plan saves while the "
              "iteration lasts as long." +
                  left_out(groups.size(), "rows"),
              {{"stage", kRight},
               {"instruction"},
               {"operations", kRight},
               {"different settings", kRight},
               {"lowest MHz", kRight},
               {"mean MHz", kRight},
               {"highest MHz", kRight},
               {"full clocks: time s", kRight},
               {"energy J", kRight},
               {"plan: time s", kRight},
               {"energy J", kRight},
               {"saved J", kRight},
               {"of all that is saved %", kRight}},
              {}};
  const auto all_saved =
      results.report.planner->all_max().effective_energy - results.report.plan->effective_energy;
  std::size_t rows = 0;
  for (const auto& [group, operations] : groups) {
    if (++rows > kMostRows) {
      break;
    }
    const auto full = results.full_clocks.use_of(operations);
    const auto planned = results.plan->use_of(operations);
    const auto saved = full.effective_energy - planned.effective_energy;
    const auto mhz = [&](double value) {
      return planned.with_frequency == 0 ? std::string{"none"} : significant(value);
    };
    table.add({std::to_string(group.first), group.second, count_text(planned.operations),
               count_text(different_knobs(planned)), mhz(planned.lowest_mhz),
               mhz(static_cast<double>(planned.sum_mhz) /
                   static_cast<double>(std::max<std::size_t>(1, planned.with_frequency))),
               mhz(planned.highest_mhz), number(full.time), number(full.energy),
               number(planned.time), number(planned.energy), number(saved),
               all_saved > Joules{} ? percent(saved / all_saved) : ""});
  }
  return table;
}

Table training_inputs_table(const TrainingResults& results) {
  const auto& report = results.report;
  const auto& pipeline = results.pipeline();
  Table table{
      "inputs",
      "Inputs and assumptions",
      "What this page is made of. Method: parametric min-cost flow over the convex hulls of "
      "the raw profile, docs/model/training.md.",
      {{"input"}, {"value", kProse}, {"tag"}},
      {}};
  for (const auto& input : report.inputs) {
    table.add({input.name, input.value, "given"});
  }
  if (report.fit) {
    table.add({"transfer between stages", seconds_text(report.fit->transfer), "fitted"});
    table.add({"tail", seconds_text(report.fit->tail), "fitted"});
    table.add({"fit",
               fmt::format("measured iterations within {} on average",
                           percent_text(report.fit_error_ratio)),
               "derived"});
  }
  std::size_t dominated = 0;
  for (const auto& work : pipeline.works) {
    dominated += work.dominated;
  }
  table.add({"pipeline",
             fmt::format("{} operations on {} stages, {} dependencies",
                         count_text(pipeline.operations.size()), pipeline.stages,
                         count_text(pipeline.dependencies.size())),
             "derived"});
  table.add({"frontier",
             fmt::format("{} breakpoints, {} to {}", count_text(results.frontier().points().size()),
                         seconds_text(results.frontier().fastest()),
                         seconds_text(results.frontier().slowest())),
             "derived"});
  table.add(
      {"settings left out",
       fmt::format("{} dominated (another is as short and takes no more effective energy), {} "
                   "repeated rows",
                   count_text(dominated), count_text(report.repeated_rows)),
       "derived"});
  for (const auto& note : pipeline.notes) {
    table.add({"assumption", note, "assumed"});
  }
  table.add({"switching", "a change of the frequency takes no time and no energy", "assumed"});
  return table;
}

}  // namespace perwatt::report
