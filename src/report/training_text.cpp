// The sentences of the report of training.
#include <algorithm>
#include <cmath>

#include "text.hpp"
#include "training_parts.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

constexpr double kShownStraggler = 0.2;  // slower than full clocks, in the sentence

/// "5 % more", "5 % less", "as much".
std::string compared(double ratio, const char* more, const char* less, const char* same) {
  const auto text = percent_text(std::abs(ratio), 4);
  if (std::abs(ratio) < 1e-6) {
    return same;
  }
  return text + (ratio > 0 ? more : less);
}

Statement free_statement(const TrainingResults& results) {
  const auto time = results.full_clocks.time;
  const auto bound = results.bound(time);
  return {
      "At no cost in time",
      fmt::format("Full clocks take {} and {}. No plan that is as short takes less than {}, "
                  "which is {} (bound).",
                  seconds_text(time), joules_text(results.full_clocks.energy), joules_text(bound),
                  compared(-results.saved(bound), " more", " less", "the same"))};
}

Statement plan_statement(const TrainingResults& results) {
  const auto& report = results.report;
  if (!report.plan) {
    return {"Plan",
            fmt::format("Asked for: {}. There is none: {}.", report.question, report.reason)};
  }
  const auto& plan = *report.plan;
  std::string text =
      fmt::format("Asked for: {}. It takes {} ({} than full clocks), {}, {} on average. ",
                  report.question, seconds_text(plan.time),
                  compared(results.slowdown(plan.time), " longer", " shorter", "no longer"),
                  joules_text(plan.energy), power_text(plan.mean_power()));
  if (seconds_text(plan.time) != seconds_text(plan.busy)) {
    text += fmt::format("It is busy for {} and then waits. ", seconds_text(plan.busy));
  }
  text += fmt::format(
      "That is {} than full clocks{}; it is {} above the proven bound of {}. The frequency changes "
      "{} times.",
      compared(-report.planner->saved_ratio(plan), " more energy", " less energy", "no less"),
      results.slowdown(plan.time) > 0 ? " that wait until then" : "",
      percent_text(std::max(0.0, plan.gap_ratio())), joules_text(plan.lower_bound), plan.switches);
  return {"Plan", text};
}

Statement more_time_statement(const TrainingResults& results) {
  const auto least = results.frontier().least_energy_time();
  std::string text;
  for (const double slowdown : {0.02, 0.05, 0.1}) {
    const auto time = results.full_clocks.time * (1 + slowdown);
    if (time < least) {
      text += fmt::format("{} {} longer saves at most {}", text.empty() ? "An iteration" : ",",
                          percent_text(slowdown), percent_text(results.saved(results.bound(time))));
    }
  }
  text += text.empty() ? "" : ". ";
  text += fmt::format(
      "The least energy of all, {} ({}), takes {} ({}); beyond that waiting GPUs draw more than "
      "slower clocks save (bound).",
      joules_text(results.bound(least)),
      compared(-results.saved(results.bound(least)), " more", " less", "no less"),
      seconds_text(least), compared(results.slowdown(least), " longer", " shorter", "no longer"));
  return {"At a cost in time", text};
}

Statement price_statement(const TrainingResults& results) {
  const auto time = results.plan ? results.plan->time : results.full_clocks.time;
  const auto price = results.price_of_time(time);
  const auto where = results.plan ? "At the plan's time" : "At the time of full clocks";
  if (!price) {
    return {"Price of time", fmt::format("{} no iteration is shorter.", where)};
  }
  return {"Price of time",
          *price > Watts{}
              ? fmt::format("{} an iteration shorter by 1 ms costs {} J more.", where,
                            significant((*price * seconds(0.001)).in_base(), 3))
              : fmt::format("{} an iteration shorter by 1 ms would save {} J: the time is longer "
                            "than that of least energy.",
                            where, significant((*price * seconds(-0.001)).in_base(), 3))};
}

/// "stage 3 works 1.7 s of 2.8 s and has 2 of 24 operations on a longest path; …".
std::string stage_text(const TrainingResults& results, std::size_t stage, const UseSum& use) {
  const auto total = results.full_clocks.time;
  auto text =
      fmt::format("stage {} works {} of {} and has {} of {} operations on a longest path", stage,
                  seconds_text(use.time), seconds_text(total), use.critical, use.operations);
  if (!results.plan) {
    return text;
  }
  const auto planned = results.plan->use_of(results.pipeline().order[stage]);
  const auto before = results.stage_energy(use, std::max(total, results.plan->time));
  if (planned.with_frequency > 0) {
    text += fmt::format("; the plan runs it at {} MHz on average",
                        significant(static_cast<double>(planned.sum_mhz) /
                                    static_cast<double>(planned.with_frequency)));
  }
  if (before > Joules{}) {
    const double change = results.stage_energy(planned, results.plan->time) / before - 1;
    text += fmt::format("; there it takes {}",
                        compared(change, " more energy", " less energy", "as much energy"));
  }
  return text;
}

Statement stages_statement(const TrainingResults& results) {
  constexpr double kAlike = 1e-9;  // sums of the same times in another order
  std::vector<UseSum> uses;
  std::size_t busiest = 0;
  std::size_t idlest = 0;
  for (const auto& order : results.pipeline().order) {
    uses.push_back(results.full_clocks.use_of(order));
    const auto time = uses.back().time;
    if (time > uses[busiest].time * (1 + kAlike)) {
      busiest = uses.size() - 1;
    }
    if (time < uses[idlest].time * (1 - kAlike)) {
      idlest = uses.size() - 1;
    }
  }
  auto text = "At full clocks " + stage_text(results, busiest, uses[busiest]) + ".";
  if (idlest != busiest) {
    text += " The most time to spare is where the least work is: " +
            stage_text(results, idlest, uses[idlest]) + ".";
  }
  return {"Stages", text};
}

Statement straggler_statement(const TrainingResults& results) {
  const auto time = results.full_clocks.time * (1 + kShownStraggler);
  const auto bound = results.bound(time);
  return {"A straggler",
          fmt::format(
              "If this pipeline had to wait for another whose iteration takes {} longer "
              "than full clocks ({}), full clocks and waiting would take {}; a plan for "
              "it takes at least {}, {} (bound). A job without stragglers saves the figures above "
              "and no more.",
              percent_text(kShownStraggler), seconds_text(time),
              joules_text(results.report.planner->all_max_energy(time)), joules_text(bound),
              compared(-results.saved_with_waiting(time, bound), " more", " less", "the same"))};
}

}  // namespace

std::vector<Statement> training_statements(const TrainingResults& results) {
  return {free_statement(results),
          plan_statement(results),
          more_time_statement(results),
          price_statement(results),
          stages_statement(results),
          straggler_statement(results),
          {"What is counted",
           fmt::format("Energy of GPU boards, per GPU of a tensor parallel group and summed over "
                       "{} stages, {} where a GPU waits. Times and energies of operations are the "
                       "profile's; frontier and plans are derived from them and were not run.",
                       results.pipeline().stages, power_text(results.pipeline().blocking_power))}};
}

}  // namespace perwatt::report
