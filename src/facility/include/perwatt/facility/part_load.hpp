// A plant's meter power as convex piecewise-linear curves of its load, for a linear program. Model:
// docs/model/facility.md#part-load-curves.
#pragma once

#include <span>
#include <vector>

#include "perwatt/catalog/climate.hpp"
#include "perwatt/facility/cooling_plant.hpp"

namespace perwatt::facility {

/// The curves lie on or above the truth by at most this share of it, unless told otherwise. The
/// number of points grows with the inverse root of the tolerance: 60 to 100 at 1e-5.
inline constexpr double kPartLoadTolerance = 1e-5;

/// Both relative to design IT power; convex and rising. load_ratio starts at 0 and ends at 1, or
/// where the weather stops a plant without chiller (possibly at 0, with one point).
struct PartLoadCurve {
  std::vector<double> load_ratio;
  std::vector<double> meter_ratio;
};

/// The curve at `load_ratio`, within its ends.
[[nodiscard]] double meter_ratio_at(const PartLoadCurve& curve, double load_ratio);

/// Mean over the classes, weighted by their hours, at the classes' mean weather: what costs energy.
/// REQUIRES: at least one class, tolerance of 1e-9 or more.
[[nodiscard]] PartLoadCurve mean_part_load(const CoolingPlant& plant,
                                           std::span<const catalog::ClimateClass> classes,
                                           double tolerance = kPartLoadTolerance);

/// Largest over the classes at the warmest hour of each: what must fit the meter's limit. REQUIRES:
/// as above.
[[nodiscard]] PartLoadCurve worst_part_load(const CoolingPlant& plant,
                                            std::span<const catalog::ClimateClass> classes,
                                            double tolerance = kPartLoadTolerance);

/// Litres of water per second and design IT watt, mean over the classes, at `load_ratio` of design.
/// REQUIRES: at least one class, and that the plant carries the load in each.
[[nodiscard]] double mean_water_litres_per_joule(const CoolingPlant& plant,
                                                 std::span<const catalog::ClimateClass> classes,
                                                 double load_ratio);

}  // namespace perwatt::facility
