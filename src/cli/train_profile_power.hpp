// Power meters of traced ranks, for 'perwatt train profile'.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "perwatt/device/power_meter.hpp"
#include "perwatt/measure/energy.hpp"
#include "perwatt/training/rank_timeline.hpp"

namespace perwatt::cli {

struct PowerOptions {
  std::vector<std::string> files;   // FILE.csv[?timezone=+02:00]
  std::vector<std::string> meters;  // RANK=METER
  std::string averaging;
  std::string clock_offset;
};

/// The meter of each rank, index as JobTimeline::ranks, and how its clock stands to the traces'.
struct RankMeters {
  std::vector<device::MeterTrace> meters;
  std::optional<Seconds> averaging;  // of power readings, where it was said
  Seconds offset;                    // time of the power series less time of the traces
};

/// FILE.csv of FILE.csv?timezone=+02:00.
[[nodiscard]] std::string power_path(const std::string& file);

/// Throws Error(bad_input) for a file that is no power series, a rank without a meter, and a series
/// that does not cover the traced iterations.
[[nodiscard]] RankMeters read_rank_meters(const PowerOptions& options,
                                          const training::JobTimeline& job);

/// Of all traced ranks over the job's periods, at the GPU boards.
[[nodiscard]] measure::BoundaryEnergy energy_of(const RankMeters& meters,
                                                const training::JobTimeline& job);

}  // namespace perwatt::cli
