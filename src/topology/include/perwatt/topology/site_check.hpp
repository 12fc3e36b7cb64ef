// Everything that perwatt topology check answers about one tree.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "perwatt/topology/compliance.hpp"
#include "perwatt/topology/feed_loss.hpp"
#include "perwatt/topology/power_tree.hpp"
#include "perwatt/topology/pulse.hpp"
#include "perwatt/topology/readings.hpp"

namespace perwatt::topology {

/// An answer, not an error: all exit with 0.
enum class CheckStatus {
  fits,        // all devices at their maximum pass no limit
  unknown,     // none is passed, but there are leaves of which no draw is known
  downgraded,  // they do, and the draws that fit are given
  refused      // they do, or the readings do; or, strict, anything else is amiss
};

/// "fits", …
[[nodiscard]] std::string_view to_string(CheckStatus status);

/// How a lost feed ends.
enum class LossOutcome {
  carried,             // at the maximum
  unknown,             // carried, but there are leaves of which no draw is known
  carried_guaranteed,  // when devices are lowered to their guaranteed draws in time
  carried_minimum,     // at the minima alone: guarantees break
  not_carried,         // not even so
  no_other_feed        // nothing is left that could carry anything
};

[[nodiscard]] std::string_view to_string(LossOutcome outcome);

struct PulseQuestion {
  std::string id;
  std::optional<PulseTimes> times;
};

struct SiteQuestion {
  const Readings* readings = nullptr;
  double tolerance_ratio = 0.02;
  std::optional<PulseQuestion> pulse;  // REQUIRES: readings
  bool downgrade = false;
  bool strict = false;
};

/// Positions in SiteCheck::level_names and FeedLoss::levels.
inline constexpr std::size_t kAtMaximum = 0;
inline constexpr std::size_t kAtGuaranteed = 1;
inline constexpr std::size_t kAtMinimum = 2;
inline constexpr std::size_t kAtReadings = 3;  // there when every leaf has a reading

struct SiteCheck {
  CheckStatus status = CheckStatus::fits;
  std::vector<std::string> reasons;  // of a refusal, one line each
  LevelCheck maximum;
  LevelCheck guaranteed;
  LevelCheck fail_safe;
  /// Leaves without a device or a fixed draw: they count with 0 W, which nobody knows.
  std::vector<NodeIndex> empty_leaves;
  std::vector<Overload> read_overloads;  // limits that the mean readings pass, not those of a phase
  std::optional<Downgrade> downgrade;    // when asked for and needed
  std::vector<std::string> level_names;
  FeedLossStudy feeds;
  std::optional<NodeIndex> unread_leaf;  // why the readings are no level of the feed losses
  std::vector<MeterFinding> meters;
  std::optional<PulseCheck> pulse;
};

[[nodiscard]] SiteCheck check_site(const PowerTree& tree, const SiteQuestion& question);

[[nodiscard]] LossOutcome outcome_of(const SiteCheck& check, const FeedLoss& loss);

/// The least time in which devices must be lowered after a loss at the maximum; nothing when no
/// limit passed gives any time: at once.
[[nodiscard]] std::optional<Seconds> time_to_lower(const FeedLoss& loss);

}  // namespace perwatt::topology
