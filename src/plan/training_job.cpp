#include "perwatt/plan/training_job.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <span>
#include <utility>

#include "perwatt/training/frequency_plan.hpp"

namespace perwatt::plan {

namespace {

constexpr std::array<std::string_view, 3> kNames{"none", "same_time", "any"};
constexpr double kSameTime = 1e-9;  // relative: longer by less is rounding

/// Visits on exchanges for one point: at 96 microbatches a hundredth of Planner::kMostVisits leaves
/// a mean gap of 0.118 % instead of 0.104 %, in a tenth of the time.
constexpr double kMostVisits = 4e6;

/// Transfers and a tail that take less of an iteration were hardly fitted to a measured one: every
/// measured iteration is at least 1.3 % longer than its operations.
constexpr double kLeastBeside = 0.01;

Watts power_over(const training::FrontierPoint& point, Watts blocking) {
  return point.effective_energy / point.time + blocking;
}

/// Whether the mixture of two frontier points draws, at the rate of each point between them, at
/// most kThinning more than that point.
bool stands_for_all_between(const std::vector<training::FrontierPoint>& points, std::size_t a,
                            std::size_t b, Watts blocking) {
  const Watts slow = power_over(points[a], blocking);
  const Watts fast = power_over(points[b], blocking);
  for (std::size_t i = a + 1; i < b; ++i) {
    // Rates are 1 / time.
    const double share =
        (points[a].time / points[i].time - 1) / (points[a].time / points[b].time - 1);
    const Watts mixed = slow + (fast - slow) * share;
    if (mixed > power_over(points[i], blocking) * (1 + TrainingCurve::kThinning)) {
      return false;
    }
  }
  return true;
}

/// Times of breakpoints, fast to slow, as far apart as stands_for_all_between() allows.
std::vector<Seconds> thinned_times(const training::TimeEnergyFrontier& frontier) {
  const auto& points = frontier.points();
  std::vector<Seconds> times{points.front().time};
  for (std::size_t from = 0; from + 1 < points.size();) {
    // The watts over the rate are convex, so what a longer chord leaves out only grows.
    std::size_t good = from + 1;
    std::size_t bad = points.size();
    while (bad - good > 1) {
      const std::size_t middle = std::midpoint(good, bad);
      (stands_for_all_between(points, from, middle, frontier.blocking()) ? good : bad) = middle;
    }
    times.push_back(points[good].time);
    from = good;
  }
  std::reverse(times.begin(), times.end());
  return times;
}

/// Stages wait for each other, and replicas too, so that a board draws the blocking power at times.
Watts highest_power(std::span<const training::Option* const> chosen, Watts blocking) {
  Watts highest = blocking;
  for (const auto* option : chosen) {
    highest = std::max(highest, option->power());
  }
  return highest;
}

TrainingPoint point_of(const training::FrequencyPlan& plan, const training::Planner& planner,
                       Seconds full_clocks) {
  const auto& pipeline = planner.pipeline();
  const auto& frontier = planner.frontier();
  const auto needs =
      plan.time <= full_clocks * (1 + kSameTime) ? FrequencyPlans::same_time : FrequencyPlans::any;
  return {needs,
          plan.time,
          plan.energy,
          frontier.energy(std::max(plan.time, frontier.fastest())),
          plan.mean_power() / static_cast<double>(pipeline.stages),
          highest_power(plan.chosen, pipeline.blocking_power)};
}

TrainingPoint full_clocks_of(const training::Planner& planner) {
  const auto& pipeline = planner.pipeline();
  const auto& run = planner.all_max();
  const auto chosen = training::all_max_choice(pipeline);
  return {FrequencyPlans::none,
          run.time,
          run.energy,
          planner.frontier().energy(std::max(run.time, planner.frontier().fastest())),
          run.energy / run.time / static_cast<double>(pipeline.stages),
          highest_power(chosen, pipeline.blocking_power)};
}

std::vector<TrainingPoint> points_of(const training::Pipeline& pipeline) {
  const training::Planner planner{pipeline, kMostVisits};
  std::vector<TrainingPoint> points{full_clocks_of(planner)};
  const Seconds full_clocks = points.front().time;
  std::vector<TrainingPoint> plans;
  const auto add = [&](const training::FrequencyPlan& plan) {
    plans.push_back(point_of(plan, planner, full_clocks));
  };
  for (const auto time : thinned_times(planner.frontier())) {
    add(*planner.at(time));
  }
  // The frontier counts whole picoseconds, so that its fastest time may be the later one.
  add(*planner.at(std::max(full_clocks, planner.frontier().fastest())));
  add(planner.least_energy());
  std::sort(plans.begin(), plans.end(), [](const TrainingPoint& a, const TrainingPoint& b) {
    return a.time != b.time ? a.time < b.time : a.energy < b.energy;
  });
  for (const auto& plan : plans) {
    if (points.size() == 1 || plan.time > points.back().time) {
      points.push_back(plan);
    }
  }
  return points;
}

}  // namespace

std::string_view to_string(FrequencyPlans plans) {
  return kNames[static_cast<std::size_t>(plans)];
}

std::optional<FrequencyPlans> parse_frequency_plans(std::string_view text) {
  const auto at = std::find(kNames.begin(), kNames.end(), text);
  return at == kNames.end() ? std::nullopt
                            : std::optional{static_cast<FrequencyPlans>(at - kNames.begin())};
}

TrainingCurve::TrainingCurve(training::Pipeline pipeline) : pipeline_{std::move(pipeline)} {
  auto operations = pipeline_;
  operations.tail = Seconds{};
  for (auto& dependency : operations.dependencies) {
    dependency.delay = Seconds{};
  }
  const auto all = training::replay_all_max(pipeline_).time;
  beside_operations_ratio_ = 1 - training::replay_all_max(operations).time / all;
}

const std::vector<TrainingPoint>& TrainingCurve::points_under(Watts cap) {
  static const std::vector<TrainingPoint> none;
  if (pipeline_.blocking_power > cap) {
    return none;
  }
  const auto [at, added] = solved_.try_emplace(settings_above(cap));
  if (added) {
    if (const auto capped = training::under_cap(pipeline_, cap)) {
      at->second = points_of(*capped);
    }
  }
  return at->second;
}

std::size_t TrainingCurve::settings() const {
  std::size_t count = 0;
  for (const auto& work : pipeline_.works) {
    count += work.all.size();
  }
  return count;
}

std::size_t TrainingCurve::settings_above(Watts cap) const {
  std::size_t count = 0;
  for (const auto& work : pipeline_.works) {
    count += static_cast<std::size_t>(
        std::count_if(work.all.begin(), work.all.end(),
                      [&](const training::Option& option) { return option.power() > cap; }));
  }
  return count;
}

bool TrainingJob::same_as(const TrainingJob& other) const {
  return id == other.id && accelerator == other.accelerator &&
         gpus_per_stage == other.gpus_per_stage &&
         tokens_per_iteration == other.tokens_per_iteration && value == other.value &&
         max_pipelines == other.max_pipelines && committed == other.committed &&
         (curve == other.curve || curve->pipeline() == other.curve->pipeline());
}

TrainingRateInterval rate_interval(const TrainingJob& job) {
  if (job.curve->beside_operations_ratio() >= kLeastBeside) {
    return {1.0, 0.98, 1.02};
  }
  // Operations alone over measured iterations of ten workloads, docs/model/plan.md#training: the
  // median, and what nine of ten lie between.
  constexpr double kMedian = 0.965;
  return {kMedian, 0.93 / kMedian, 0.987 / kMedian};
}

}  // namespace perwatt::plan
