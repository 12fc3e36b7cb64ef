// How often and how far caps may be raised, whatever the watts are worth: for devices that wear by
// writes, and for supplies that do not like a hall to step at once. All rules are off at first.
//
// They hold raises back and nothing else: a lower is made at once, always, and what holds a raise
// back leaves every limit as well kept as before. A renewal of the same cap is no write. What is
// held back is lost to others meanwhile: docs/model/control.md#write-discipline says what it costs.
#pragma once

#include <cstdint>
#include <optional>

#include "perwatt/base/units.hpp"

namespace perwatt::control {

using WattsPerSecond = decltype(Watts{} / Seconds{});

struct WriteRules {
  /// The most that a device's cap rises, > 0. It adds up while the cap stands, to what fits in one
  /// tick (or spread), twice the dead band at least. Nothing: any.
  std::optional<WattsPerSecond> slew;

  /// A device is raised once at most in each such span, at a moment of its own (of `seed` and its
  /// index): raises that many want are made over the span. 0 s: at any tick.
  Seconds spread;

  /// Changes of a device's cap, > 0. Lowers count and are never held back; raises wait for one that
  /// is left. A tenth of it, one at least, may be made in a row. Nothing: any number.
  std::optional<double> changes_per_hour;

  std::uint64_t seed = 1;
};

}  // namespace perwatt::control
