#include "perwatt/training/frontier.hpp"

#include <algorithm>

#include "parametric_flow.hpp"
#include "scaled_work.hpp"

namespace perwatt::training {

namespace {

__extension__ using Wide = __int128;

}  // namespace

TimeEnergyFrontier TimeEnergyFrontier::of(const Pipeline& pipeline) {
  const auto topological = topological_order(pipeline, "pipeline");
  const auto works = scale(pipeline);
  Wide slowest_energy = 0;
  for (const auto& operation : pipeline.operations) {
    slowest_energy += works.hulls[operation.work].slowest_energy;
  }
  TimeEnergyFrontier frontier;
  frontier.blocking_ = pipeline.blocking_power * pipeline.stages;
  ParametricFlow flow{pipeline, works, topological};
  Wide paid = 0;  // flow units times picoseconds
  Flow slope = 0;
  auto before = flow.time();
  do {
    paid += Wide{slope} * (before - flow.time());
    before = flow.time();
    const auto watts_of = [&](auto flows) {
      return static_cast<double>(flows) * works.watts_per_flow;
    };
    frontier.points_.push_back({from_picoseconds(flow.time()) + pipeline.tail,
                                Joules::from_base(static_cast<double>(slowest_energy) * kPicojoule +
                                                  watts_of(paid) * kPicosecond),
                                watts(watts_of(slope))});
    slope = flow.flow();
  } while (flow.shorten(0));
  return frontier;
}

Joules TimeEnergyFrontier::effective_energy(Seconds time) const {
  if (time >= slowest()) {
    return points_.front().effective_energy;
  }
  const auto faster =
      std::lower_bound(points_.begin(), points_.end() - 1, time,
                       [](const FrontierPoint& point, Seconds t) { return point.time > t; });
  return faster->effective_energy - faster->slope * (time - faster->time);
}

Seconds TimeEnergyFrontier::least_energy_time() const {
  // Slopes rise towards shorter times; down to the blocking power a shorter time pays for itself.
  const auto first_steeper =
      std::partition_point(points_.begin() + 1, points_.end(),
                           [&](const FrontierPoint& point) { return point.slope <= blocking_; });
  return (first_steeper - 1)->time;
}

std::optional<Seconds> TimeEnergyFrontier::time_under_power(Watts cap) const {
  // energy(T) / T falls with T, as effective_energy(T) does.
  if (energy(fastest()) / fastest() <= cap) {
    return fastest();
  }
  if (cap <= blocking_) {
    return std::nullopt;
  }
  if (energy(slowest()) / slowest() > cap) {
    return points_.front().effective_energy / (cap - blocking_);
  }
  const auto too_strong = std::partition_point(
      points_.begin(), points_.end(),
      [&](const FrontierPoint& point) { return energy(point.time) / point.time <= cap; });
  const auto& fast = *too_strong;
  // On the segment: fast.effective - slope (T - fast.time) + blocking T = cap T.
  return (fast.effective_energy + fast.slope * fast.time) / (cap - blocking_ + fast.slope);
}

}  // namespace perwatt::training
