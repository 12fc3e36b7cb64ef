// What runs on the devices of a site, and what the site may take from it.
//
// A job has units: an instance of a pool, or a part that a job can be resized by. Its tier says how
// much of its work it tolerates to lose when a limit falls; without a tier nothing is taken.
// Devices are numbers of the caller's, as for device::Platform.
//
// Plain values: distinct objects may be used from distinct threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"

namespace perwatt::jobs {

/// Tolerated loss of a job's work, of its units and of its clock each: Flex 0 to 3 of the field
/// trial in Phoenix (arXiv 2507.00909), and what may be paused.
enum class Tier : std::uint8_t {
  none,  // not tagged: never touched
  tenth,
  quarter,
  half,
  paused  // it may be paused as a whole
};

/// "0%", "10%", "25%", "50%", "paused".
[[nodiscard]] std::string_view to_string(Tier tier);
[[nodiscard]] std::optional<Tier> parse_tier(std::string_view text);

/// 0, 0.1, 0.25, 0.5; 1 of what may be paused.
[[nodiscard]] double tolerated_loss_ratio(Tier tier);

/// How a job gets smaller while it runs.
enum class Shrinking : std::uint8_t {
  scaled,  // instances of a pool are taken out of service
  resized  // it goes on from a checkpoint with fewer of its parts
};

struct Job {
  std::string id;
  std::vector<std::vector<std::uint32_t>> units;  // devices of each
  Shrinking shrinking = Shrinking::scaled;
  int priority = 0;  // 0 is the lowest
  Watts guaranteed;  // of all its devices together; 0: none
  Tier tier = Tier::none;
  std::size_t least_units = 1;  // that it runs with
  Seconds stops_within;         // from the word until its devices are off: a checkpoint

  /// How many units may be taken while it runs: what the tier tolerates, least_units kept.
  [[nodiscard]] std::size_t most_units_off() const;

  [[nodiscard]] bool may_pause() const { return tier == Tier::paused; }
};

inline constexpr int kMostPriority = 1000;

/// Throws Error(bad_input) naming the job: an id that is empty or given twice, no unit, a unit
/// without devices, a device that is not below `device_count` or in two units, least_units that are
/// not from 1 to its units, a priority that is not from 0 to kMostPriority, guaranteed watts or
/// a time to stop that are negative or not finite.
void check_jobs(std::span<const Job> jobs, std::size_t device_count);

}  // namespace perwatt::jobs
