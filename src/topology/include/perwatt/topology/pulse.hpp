// The commissioning pulse: one rack (or device) is told to draw more for a while, and every meter
// is asked whether it followed. A meter that follows without being an ancestor, and an ancestor
// that does not, are faults of the wiring or of its description.
//
// Statistics. The step of a meter is the difference of its 20 % trimmed means while the pulse was
// on and off; its standard error is Yuen's (Biometrika 61, 1974) from winsorised variances, widened
// by sqrt((1 + rho) / (1 - rho)) for the lag-one correlation rho of what is left. With e the step
// that a meter shows when it follows, it is said to follow when it shows more than e / 2, and
// nothing is said (undecided) unless e / 2 is at least t standard errors: t is Student's quantile
// that keeps the chance of one wrong verdict among all meters below `false_alarm_ratio`
// (Bonferroni).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/topology/power_tree.hpp"
#include "perwatt/topology/readings.hpp"

namespace perwatt::topology {

inline constexpr double kPulseFalseAlarmRatio = 0.01;
inline constexpr std::size_t kLeastPulseSamples = 12;  // of a meter, on and off each

struct PulseTimes {
  Seconds from;
  Seconds to;  // after `from`
};

enum class PulseVerdict {
  followed,         // an ancestor that followed
  still,            // no ancestor, did not follow
  did_not_follow,   // an ancestor that should have: fault
  follows_unasked,  // no ancestor, but followed: fault
  undecided         // too noisy or too few samples
};

/// "followed", …
[[nodiscard]] std::string_view to_string(PulseVerdict verdict);

struct PulseFinding {
  std::string id;
  bool is_ancestor = false;
  std::size_t samples_on = 0;
  std::size_t samples_off = 0;
  Watts step;            // of its supply
  Watts standard_error;  // of the step
  Watts expected;        // when it follows: by losses and shares; by the least of these for others
  PulseVerdict verdict = PulseVerdict::undecided;

  [[nodiscard]] bool is_fault() const {
    return verdict == PulseVerdict::did_not_follow || verdict == PulseVerdict::follows_unasked;
  }
};

struct PulseCheck {
  std::string id;
  std::string problem;  // why there is no finding; else empty
  Watts step;           // of the pulse: the own meter's, or when that stood still the largest
  Watts standard_error;
  bool own_meter_moved = false;
  std::vector<PulseFinding> findings;  // ancestors first, then others; nothing below `id`

  [[nodiscard]] bool has_fault() const;
};

/// `id` names a node or device of the tree: throws Error(bad_input) for another. Without `times`
/// the pulse is sought in the readings of `id` itself, which must then have two clear levels.
[[nodiscard]] PulseCheck check_pulse(const PowerTree& tree, const Readings& readings,
                                     std::string_view id, const std::optional<PulseTimes>& times,
                                     double false_alarm_ratio = kPulseFalseAlarmRatio);

}  // namespace perwatt::topology
