// Private: the options of a work as whole numbers, and their lower convex hull.
//
// Times are whole picoseconds and effective energies whole nanojoules, so that a profile's decimals
// are kept and ties are ties. A slope of the hull (W) is a whole number of flow units; one flow
// unit is 1 nW, or more where the slopes of a pipeline together would pass 2^60 of them.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "perwatt/training/pipeline.hpp"

namespace perwatt::training {

using Picoseconds = std::int64_t;
using Nanojoules = std::int64_t;
using Flow = std::int64_t;

inline constexpr Flow kInfiniteFlow = std::numeric_limits<Flow>::max() / 4;
inline constexpr double kPicosecond = 1e-12;
/// Times this near are the same: far above the picosecond, far below a measurement.
inline constexpr double kTimeTolerance = 1e-9;

inline constexpr double kNanojoule = 1e-9;

[[nodiscard]] Picoseconds to_picoseconds(Seconds time);
[[nodiscard]] Seconds from_picoseconds(Picoseconds time);

/// The hull of one work. Going from time[i] to time[i + 1] costs slope[i + 1] flow units of power;
/// slope[0] is 0 and the one behind the last time is kInfiniteFlow.
struct Hull {
  std::vector<Picoseconds> time;  // falling
  std::vector<Flow> slope;        // rising; one more than times
  Nanojoules slowest_energy = 0;  // effective, at time[0]
};

struct ScaledWorks {
  std::vector<Hull> hulls;  // by work
  double watts_per_flow = 1e-9;
};

/// Throws Error(bad_input) when all operations one after the other take longer than 40 days, or
/// their effective energies together are beyond 4 GJ.
[[nodiscard]] ScaledWorks scale(const Pipeline& pipeline);

}  // namespace perwatt::training
