// Idle power, and what a load cost above it. Formulas: docs/model/energy.md#baseline.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "perwatt/measure/energy.hpp"

namespace perwatt::measure {

/// What "idle" was. Right after a load the devices are warm and their clocks still up: they draw
/// more than at rest, and a baseline taken there makes the marginal energy too small.
enum class IdleKind {
  before_load,  // no load of ours ran before it
  after_load,   // a load ended shortly before
  both          // before and after the load: mean of the two
};

[[nodiscard]] std::string_view to_string(IdleKind kind);

struct IdleWindow {
  Window window;
  IdleKind kind = IdleKind::before_load;  // before_load or after_load
};

struct IdlePower {
  Boundary boundary = Boundary::gpu;
  IdleKind kind = IdleKind::before_load;
  bool valid = false;
  Watts mean;
  Watts half_width;            // 95 %: accuracy, random part, half the drift
  Watts accuracy_half_width;   // its part from the meters' accuracy
  bool settling = false;       // power still fell within a window: warm, not at rest
  std::optional<Watts> drift;  // after - before, when both are given
  bool drifted = false;        // beyond both windows' random part and 2 % of the mean
  std::vector<EnergyFinding> findings;
};

/// The mean power at `boundary` over `first`, and over `second` when given, weighted by their
/// lengths. Invalid when a window's energy is.
[[nodiscard]] IdlePower idle_power(Boundary boundary, std::span<const device::MeterTrace> traces,
                                   const IdleWindow& first, const std::optional<IdleWindow>& second,
                                   const EnergyRules& rules);

struct MarginalEnergy {
  Joules energy;
  Joules half_width;  // 95 %
};

/// What the window cost above idling: energy - mean idle power x length. Nothing when either is not
/// valid or they stand at different boundaries.
[[nodiscard]] std::optional<MarginalEnergy> marginal_energy(const BoundaryEnergy& energy,
                                                            Seconds length, const IdlePower& idle);

}  // namespace perwatt::measure
