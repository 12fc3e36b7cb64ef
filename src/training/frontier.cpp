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
                                Joules::from_base(static_cast<double>(slowest_energy) * kNanojoule +
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
  const auto keeps = [&](const FrontierPoint& point) {
    return energy(point.time) <= cap * point.time;
  };
  // From the fastest on: where effective energy is negative, mean power rises again.
  const auto first = std::find_if(points_.rbegin(), points_.rend(), keeps);
  if (first == points_.rbegin()) {
    return fastest();
  }
  if (first == points_.rend()) {
    const auto& least = points_.front().effective_energy;
    return cap > blocking_ && least > Joules{} ? std::optional{least / (cap - blocking_)}
                                               : std::nullopt;
  }
  const auto& fast = *(first - 1);
  // On the segment: fast.effective - slope (T - fast.time) + blocking T = cap T.
  return (fast.effective_energy + fast.slope * fast.time) / (cap - blocking_ + fast.slope);
}

}  // namespace perwatt::training
