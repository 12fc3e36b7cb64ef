// Energy of one meter in a window, by both paths. Formulas: docs/model/energy.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/measure/energy.hpp"

namespace perwatt::measure {

/// An energy with the half-widths (95 %) of its random parts.
struct PathEnergy {
  Joules energy;
  Joules begin_edge;
  Joules end_edge;
  Joules integration;
};

/// Fatal findings say why there is no path; the others what a reader must know of it.
struct PathResult {
  std::optional<PathEnergy> path;
  std::vector<EnergyFinding> findings;
};

/// No path and no finding where the meter never gave a counter.
[[nodiscard]] PathResult counter_path(const device::MeterTrace& trace, const Window& window,
                                      const EnergyRules& rules);

/// No path and no finding where the meter never gave power.
[[nodiscard]] PathResult integral_path(const device::MeterTrace& trace, const Window& window,
                                       const EnergyRules& rules);

/// What the meter can draw at most: its own figure, else one that no device of the scope reaches
/// (it catches milliwatts taken for watts and counters since boot taken for a rise).
[[nodiscard]] Watts most_power(const device::Meter& meter);

struct MeterEnergy {
  const device::MeterTrace* trace = nullptr;
  bool valid = false;
  EnergyMethod method = EnergyMethod::counter;
  std::optional<PathEnergy> chosen;  // may be there although not valid
  std::optional<Joules> by_counter;
  std::optional<Joules> by_integral;
  std::vector<EnergyFinding> findings;
};

[[nodiscard]] MeterEnergy meter_energy(const device::MeterTrace& trace, const Window& window,
                                       const EnergyRules& rules);

// ---- wording and small sums --------------------------------------------------------------------

/// "dcgm:… h/gpu0: TEXT".
[[nodiscard]] EnergyFinding finding(EnergyReason reason, bool fatal, const device::Meter& meter,
                                    const std::string& text);

/// Seconds from the window's begin, for people: "12.3 s".
[[nodiscard]] std::string time_text(double seconds_into_window);

/// Why readings from `first` to `last` seconds do not bracket a window of `length`; nothing where
/// they do. `what` they are: "counter", "power".
[[nodiscard]] std::optional<std::string> not_bracketed(double first, double last, double length,
                                                       std::string_view what);

/// The middle value, the lower one of two; 0 of none.
[[nodiscard]] double median(std::vector<double> values);

}  // namespace perwatt::measure
