// The figures that the report of training shows.
#include <algorithm>
#include <cmath>
#include <utility>

#include "text.hpp"
#include "training_parts.hpp"

namespace perwatt::report {

namespace {

constexpr double kNoSlack = 1e-9;  // of the iteration: far below any measurement

TrainingRun run_of(const training::Planner& planner, std::string name,
                   std::vector<const training::Option*> chosen, Seconds busy, Seconds time,
                   Joules energy) {
  auto timeline = planner.timeline(chosen);
  return {std::move(name), std::move(chosen), std::move(timeline), busy, time, energy};
}

}  // namespace

bool TrainingRun::is_critical(std::uint32_t operation) const {
  return timeline.slack[operation] <= time * kNoSlack;
}

UseSum TrainingRun::use_of(std::span<const std::uint32_t> operations) const {
  UseSum sum;
  for (const auto operation : operations) {
    const auto& option = *chosen[operation];
    ++sum.operations;
    sum.critical += is_critical(operation) ? 1 : 0;
    sum.time += option.time;
    sum.energy += option.energy;
    sum.effective_energy += option.effective_energy;
    sum.settings.insert(&option);
    if (const auto mhz = option.knob.frequency_mhz) {
      sum.lowest_mhz = sum.with_frequency == 0 ? *mhz : std::min(sum.lowest_mhz, *mhz);
      sum.highest_mhz = std::max(sum.highest_mhz, *mhz);
      sum.sum_mhz += *mhz;
      ++sum.with_frequency;
    }
  }
  return sum;
}

TrainingResults::TrainingResults(const TrainingReport& shown)
    : report{shown},
      full_clocks{run_of(*shown.planner, "full clocks",
                         training::all_max_choice(shown.planner->pipeline()),
                         shown.planner->all_max().time, shown.planner->all_max().time,
                         shown.planner->all_max().energy)} {
  if (shown.plan) {
    plan = run_of(*shown.planner, "plan", shown.plan->chosen, shown.plan->busy, shown.plan->time,
                  shown.plan->energy);
  }
}

Joules TrainingResults::bound(Seconds time) const {
  return frontier().energy(std::max(time, frontier().fastest()));
}

double TrainingResults::slowdown(Seconds time) const {
  const double ratio = time / full_clocks.time - 1;
  return std::abs(ratio) <= kNoSlack ? 0 : ratio;
}

double TrainingResults::saved(Joules energy) const {
  return full_clocks.energy > Joules{} ? 1 - energy / full_clocks.energy : 0;
}

double TrainingResults::saved_with_waiting(Seconds time, Joules energy) const {
  const auto waited = report.planner->all_max_energy(time);
  return waited > Joules{} ? 1 - energy / waited : 0;
}

std::optional<Watts> TrainingResults::price_of_time(Seconds time) const {
  const auto& points = frontier().points();
  const auto faster = std::partition_point(
      points.begin(), points.end(),
      [&](const training::FrontierPoint& point) { return point.time >= time * (1 - kNoSlack); });
  return faster == points.end() ? std::nullopt
                                : std::optional{faster->slope - frontier().blocking()};
}

std::string seconds_text(Seconds time) {
  return significant(in_seconds(time), 5) + " s";
}

std::string joules_text(Joules energy) {
  return significant(energy.in_base(), 6) + " J";
}

std::string microbatch_text(int microbatch) {
  return microbatch < 0 ? "once per iteration" : "microbatch " + std::to_string(microbatch);
}

}  // namespace perwatt::report
