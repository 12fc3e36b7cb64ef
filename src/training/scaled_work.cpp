#include "scaled_work.hpp"

#include <algorithm>
#include <cmath>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::training {

namespace {

__extension__ using Wide = __int128;

constexpr double kMostSumSeconds = 40.0 * 86400.0;
constexpr double kMostSumJoules = 4e9;
constexpr double kMostFlow = 1152921504606846976.0;  // 2^60, half of kInfiniteFlow
constexpr double kFinestFlow = 1e-9;                 // W

struct Corner {
  Picoseconds time;
  Nanojoules energy;
};

/// True when `b` lies on or above the line from `a` to `c` (a slower than b slower than c).
bool is_above(const Corner& a, const Corner& b, const Corner& c) {
  return Wide{b.energy - a.energy} * (a.time - c.time) >=
         Wide{c.energy - a.energy} * (a.time - b.time);
}

std::vector<Corner> corners_of(const Work& work) {
  std::vector<Corner> corners;
  for (const auto& option : work.options) {
    const Corner next{to_picoseconds(option.time),
                      std::llround(option.effective_energy.in_base() / kNanojoule)};
    if (!corners.empty() && corners.back().time == next.time) {
      continue;  // below the resolution of a picosecond: the cheaper stands
    }
    while (corners.size() >= 2 && is_above(corners[corners.size() - 2], corners.back(), next)) {
      corners.pop_back();
    }
    corners.push_back(next);
  }
  return corners;
}

long double watts_between(const Corner& slow, const Corner& fast) {
  constexpr long double kWatts = 1e3L;  // of a nanojoule per picosecond
  return static_cast<long double>(fast.energy - slow.energy) /
         static_cast<long double>(slow.time - fast.time) * kWatts;
}

void check_sums(const Pipeline& pipeline) {
  double time = pipeline.tail.in_base();
  double energy = 0;
  for (const auto& operation : pipeline.operations) {
    const auto& work = pipeline.works[operation.work];
    time += work.options.front().time.in_base();
    energy += std::abs(work.options.front().effective_energy.in_base()) +
              std::abs(work.options.back().effective_energy.in_base());
  }
  for (const auto& dependency : pipeline.dependencies) {
    time += dependency.delay.in_base();
  }
  if (time > kMostSumSeconds || energy > kMostSumJoules) {
    throw_bad_input("the operations take up to " + shortest(time) + " s and " + shortest(energy) +
                        " J one after the other, more than 40 days or 4 GJ",
                    "pipeline", "give fewer microbatches, or a smaller blocking power");
  }
}

}  // namespace

Picoseconds to_picoseconds(Seconds time) {
  return std::llround(time.in_base() / kPicosecond);
}

Seconds from_picoseconds(Picoseconds time) {
  return seconds(static_cast<double>(time) * kPicosecond);
}

ScaledWorks scale(const Pipeline& pipeline) {
  check_sums(pipeline);
  std::vector<std::vector<Corner>> corners;
  corners.reserve(pipeline.works.size());
  std::vector<double> steepest;
  for (const auto& work : pipeline.works) {
    corners.push_back(corners_of(work));
    const auto& own = corners.back();
    steepest.push_back(
        own.size() < 2 ? 0.0 : static_cast<double>(watts_between(own[own.size() - 2], own.back())));
  }
  double sum = 0;
  for (const auto& operation : pipeline.operations) {
    sum += steepest[operation.work];
  }
  ScaledWorks scaled;
  scaled.watts_per_flow = std::max(kFinestFlow, sum / kMostFlow);
  for (const auto& own : corners) {
    auto& hull = scaled.hulls.emplace_back();
    hull.slowest_energy = own.front().energy;
    hull.slope.push_back(0);
    for (std::size_t i = 0; i < own.size(); ++i) {
      hull.time.push_back(own[i].time);
      if (i + 1 < own.size()) {
        const auto slope = std::llround(watts_between(own[i], own[i + 1]) / scaled.watts_per_flow);
        hull.slope.push_back(std::max<Flow>(slope, hull.slope.back() + 1));
      }
    }
    hull.slope.push_back(kInfiniteFlow);
  }
  return scaled;
}

}  // namespace perwatt::training
