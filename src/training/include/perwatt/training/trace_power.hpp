// What each instruction draws, from a power series that is slower than instructions.
//
// The time of a rank is cut into phases: each instruction, `waiting` (nothing runs, or a transfer
// between stages alone) and `other` (work outside of instructions). A reading is the mean of the
// phases' powers over the time it looks at, weighted by their lengths there; least squares over all
// readings gives the powers. Formulas and limits: docs/model/training.md#traces.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/device/power_meter.hpp"
#include "perwatt/training/rank_timeline.hpp"

namespace perwatt::training {

/// A rank's time in the traced iterations, without gap or overlap.
struct RankPhases {
  struct Piece {
    TimeSpan span;
    std::size_t phase = 0;                 // index into names
    std::optional<std::size_t> operation;  // of an instruction: index into the rank's operations
  };

  std::vector<std::string> names;  // instructions in alphabetical order, then "other", "waiting"
  std::vector<Piece> pieces;       // by time

  [[nodiscard]] std::size_t other() const { return names.size() - 2; }

  [[nodiscard]] std::size_t waiting() const { return names.size() - 1; }
};

/// Throws Error(bad_input) for more than six instructions.
[[nodiscard]] RankPhases phases_of(const RankTimeline& rank, const TimeSpan& window);

/// The mean power over some time.
struct PowerReading {
  TimeSpan span;  // of no length for an instantaneous value
  Watts power;
};

/// Whether a meter's trace has an energy counter, which goes before its power readings.
[[nodiscard]] bool has_counter(const device::MeterTrace& meter);

/// What a meter's trace says about power, `offset` taken off its times: between changes of its
/// energy counter where it has one, else its power readings, each the mean over `averaging` before
/// it (0: instantaneous). A value that repeats the one before it has not been renewed yet and is
/// left out. Where most do, an instantaneous value is one of the time since the reading before.
[[nodiscard]] std::vector<PowerReading> power_readings(const device::MeterTrace& meter,
                                                       Seconds averaging, Seconds offset);

struct PhasePower {
  Watts mean;
  Watts half_width;  // 95 %, from the scatter of the readings, which are taken as independent
};

/// The mean over ranks, weighted by the inverse of the variance; its half-width is widened by how
/// much more they scatter than their own half-widths say. Nothing of an empty list.
[[nodiscard]] std::optional<PhasePower> mean_over_ranks(std::span<const PhasePower> powers);

/// By phase; nothing for `other` and `waiting` where the readings do not see them. `other` that
/// fills less than 1 % of what the readings see counts as waiting. Throws Error(bad_input) with
/// `where` when readings are too few, do not tell the instructions apart, or give one a power below
/// 0; `other` and `waiting` may come out below 0 within their half-widths.
[[nodiscard]] std::vector<std::optional<PhasePower>> attribute_power(
    const RankPhases& phases, std::span<const PowerReading> readings, const std::string& where);

}  // namespace perwatt::training
