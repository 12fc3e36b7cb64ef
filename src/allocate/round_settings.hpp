// From watts that make the most over many devices to one setting for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "device_options.hpp"

#include "perwatt/allocate/problem.hpp"
#include "perwatt/allocate/site_limits.hpp"

namespace perwatt::allocate {

/// A device that runs at one of some settings.
struct DiscreteDevice {
  const DeviceOptions* options = nullptr;
  std::uint32_t sum = 0;                                // the least nested sum with its watts
  std::vector<std::pair<std::uint32_t, double>> cross;  // sums and what a root watt counts there
  Watts given;                                          // by the split, root watts
  std::size_t chosen = 0;                               // out: into options
};

/// Watts that nobody has, by sum; infinite where there is no limit.
struct Room {
  std::vector<double> nested;
  std::vector<double> cross;
};

/// Each device takes the best setting within what it was given; then, while there is room in every
/// sum, the raise of greatest worth per watt is made. `room`: beside what all were given; what is
/// left of it comes back. No sum is passed by more than 1e-9 of a setting that was not before.
/// False when raises were left that `most_steps` (looks at a sum or a setting) did not reach.
bool round_settings(const std::vector<NestedSum>& sums, std::vector<DiscreteDevice>& devices,
                    Room& room, std::size_t most_steps = 400'000'000);

}  // namespace perwatt::allocate
