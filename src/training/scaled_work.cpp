#include "scaled_work.hpp"

#include <algorithm>
#include <cmath>

#include "perwatt/base/error.hpp"

namespace perwatt::training {

namespace {

__extension__ using Wide = __int128;

constexpr double kMostSumSeconds = 40.0 * 86400.0;
constexpr double kMostSumJoules = 4e6;
constexpr double kMostFlow = 2305843009213693952.0;  // 2^61
constexpr double kFinestFlow = 1e-9;                 // W

struct Corner {
  Picoseconds time;
  Picojoules energy;
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
                      std::llround(option.effective_energy.in_base() / kPicojoule)};
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

double watts_between(const Corner& slow, const Corner& fast) {
  return static_cast<double>(fast.energy - slow.energy) /
         static_cast<double>(slow.time - fast.time);
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
  if (time > kMostSumSeconds || energy > kMostSumJoules * 2) {
    throw_bad_input("the operations together take more than 40 days or 4 MJ", "pipeline",
                    "give fewer microbatches, or scale times and energies down");
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
    steepest.push_back(own.size() < 2 ? 0.0 : watts_between(own[own.size() - 2], own.back()));
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
        const auto slope =
            std::llround(static_cast<long double>(own[i + 1].energy - own[i].energy) /
                         static_cast<long double>(own[i].time - own[i + 1].time) /
                         static_cast<long double>(scaled.watts_per_flow));
        hull.slope.push_back(std::max<Flow>(slope, hull.slope.back() + 1));
      }
    }
    hull.slope.push_back(kInfiniteFlow);
  }
  return scaled;
}

}  // namespace perwatt::training
