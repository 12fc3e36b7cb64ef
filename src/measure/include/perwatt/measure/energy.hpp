// Energy of a window of time from the traces of power meters, and how far to trust it.
//
// Two paths. Counter: the meter's own energy counter, interpolated at the window's edges. Integral:
// watts integrated over time by trapezoids, interpolated at the edges. Where a meter has both they
// are compared. Nothing is ever silently low: what cannot be known makes the result invalid and
// says why.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/device/power_meter.hpp"

namespace perwatt::measure {

/// Where power is metered (design decision 4): GPU boards, IT (nodes), facility (the utility
/// meter).
enum class Boundary { gpu, it, facility };

[[nodiscard]] std::string_view to_string(Boundary boundary);

enum class EnergyMethod { counter, power_integral };

[[nodiscard]] std::string_view to_string(EnergyMethod method);

/// Why an energy is not valid, or what a reader must know of a valid one.
enum class EnergyReason {
  no_meter,              // nothing meters this boundary
  partial_fleet,         // fewer meters than expected, or one of them gave nothing
  window_not_bracketed,  // no reading at or before the start, or at or after the end
  sampling_gap,          // longest distance of readings above the bound
  stale_readings,        // values stood still longer than the bound while the window ran
  counter_reset,         // the counter fell, and no wrap explains it
  counter_unreliable,    // counter and integral disagree beyond tolerance
  counter_too_coarse,    // the counter moved too rarely for the window
  missing_values,        // NaN or absent values among the readings
  implausible_power,     // above what the device can draw
  overlapping_meters,    // two meters of one device: one was left out
  clock_jump,            // the wall clock jumped: sources that carry its time cannot be placed
  source_failed,         // a source gave errors during the window
  accuracy_unknown,      // a meter's maker states no accuracy: half_width does not contain it
  stated_by_source  // another tool's own figure; its traces were not given, nothing was checked
};

[[nodiscard]] std::string_view to_string(EnergyReason reason);

struct EnergyFinding {
  EnergyReason reason = EnergyReason::no_meter;
  bool fatal = false;  // the energy is not valid because of it
  std::string detail;  // which meter, which time, which values
};

struct EnergyRules {
  std::optional<int> expected_gpus;       // partial_fleet when the GPU meters are fewer
  Seconds longest_gap = seconds(3);       // InferenceX: sampling_gap_exceeded
  double counter_tolerance_ratio = 0.05;  // InferenceX's cross-check
  Seconds longest_stale = seconds(3);
  /// Meter::source of the sources whose own times a jump of the wall clock made wrong.
  std::vector<std::string> clock_jumped_sources;
};

struct Window {
  Instant begin;
  Instant end;
};

/// One boundary's energy in a window.
struct BoundaryEnergy {
  Boundary boundary = Boundary::gpu;
  bool valid = false;
  std::optional<Joules> energy;  // present when valid, and as the partial sum when it is not
  Joules half_width;             // 95 %, of `energy`: accuracy and all that is random
  Joules accuracy_half_width;    // its part from the meters' accuracy: common to all windows
  EnergyMethod method = EnergyMethod::counter;  // of most of the energy
  std::optional<Joules> by_counter;             // where every meter has the path
  std::optional<Joules> by_integral;
  int meters = 0;  // in `energy`
  std::vector<EnergyFinding> findings;
};

/// The energy at `boundary` in `window`: the sum over devices of that boundary's meters, each
/// device once. gpu: meters of scope gpu. it: scope node, or rack where the nodes are not whole or
/// the racks cover more; facility: scope site. A boundary is never put together from narrower
/// scopes. A traces' gap on the counter path is a finding and no fault: the counter went on.
/// Formulas: docs/model/energy.md. Pure. REQUIRES: window.begin < window.end.
[[nodiscard]] BoundaryEnergy energy_at(Boundary boundary,
                                       std::span<const device::MeterTrace> traces,
                                       const Window& window, const EnergyRules& rules);

}  // namespace perwatt::measure
