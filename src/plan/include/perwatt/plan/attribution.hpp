// Which lever earned what: Shapley values over plan optima (docs/model/attribution.md).
//
// The worth of a set of levers is the optimum of the site in which those levers may stand as in the
// baseline or as in the plan and all others stand as in the baseline. Every such site is solved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/plan/lever.hpp"
#include "perwatt/plan/option.hpp"
#include "perwatt/plan/plan.hpp"
#include "perwatt/plan/quality_guard.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// What one site earns, time averages.
struct Worth {
  UsdPerSecond profit;
  UsdPerSecond capital;
  TokensPerSecond output;
  Watts meter;
  JoulesPerToken joules_per_output_token;  // at the meter; 0 where nothing is served
};

struct LeverPart {
  Lever lever = Lever::placement;
  bool differs = false;  // false: baseline and plan have it alike, so every part is 0
  Worth part;            // its share of the change of each quantity; the shares sum to the change
  Worth low;             // 90 % interval of each quantity over resampled rates and GPU power
  Worth high;
  UsdPerSecond standard_error;  // of a sampled value; 0 where it is exact
  Usd outlay;                   // purchase price of the capital in its part
  Usd net_present_value;        // over the horizon, before taxes
  double payback_probability = 0;
  /// Of the levers precision and model: what answers otherwise than in the baseline, with scores.
  std::vector<QualityChange> quality;
  std::string not_counted_because;  // not empty: the quality of its gain is unknown or too low
};

struct Interaction {
  Lever a = Lever::placement;
  Lever b = Lever::placement;
  UsdPerSecond profit;  // what the two earn together beyond what each earns, on average
};

struct Attribution {
  std::string unavailable_because;  // not empty: nothing below is filled in
  std::optional<LeverClass> only;
  Worth baseline;
  Worth plan;      // the optimum with all levers of `only` (or of any class)
  Worth gain_low;  // 90 % interval of plan - baseline, as of the parts
  Worth gain_high;
  /// The gain with the levers left alone whose quality does not count. Nothing: see
  /// counted_unknown_because.
  std::optional<UsdPerSecond> counted_profit;
  std::string counted_unknown_because;
  /// Every lever of the class, in the order of the enum; without training_frequency_plan where
  /// nothing trains.
  std::vector<LeverPart> parts;
  std::vector<Interaction> interactions;  // of the levers that differ
  std::size_t plans_solved = 0;
  std::size_t resamples = 0;
  bool is_exact = true;       // false: sampled permutations, see standard_error
  double solver_seconds = 0;  // for bench, never printed
};

struct AttributionQuery {
  std::optional<LeverClass> only;
  std::uint64_t seed = 1;
  /// Called with the share done, 0..1; may be empty.
  std::function<void(double)> progress;
};

/// `options` were found for the plan's services and the accelerators of both sites; `catalog` must
/// outlive the result.
[[nodiscard]] Attribution attribute(const Site& baseline, const Site& plan,
                                    const catalog::Catalog& catalog, const OptionSet& options,
                                    const AttributionQuery& query);

}  // namespace perwatt::plan
