// Joules per input token (prefill) and per output token (decode) from runs that differ in both, and
// shares of a window's energy by tenant. Formulas: docs/model/energy.md#prefill-and-decode.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/measure/measurement.hpp"

namespace perwatt::measure {

/// One run of the sweep; tokens and energy of the same window.
struct SplitRun {
  Joules energy;
  Joules half_width;  // 95 %, without the meters' accuracy, which is common to all runs
  Seconds length;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  int concurrency = 0;
};

/// Idle power of the same devices; without it the idle power is a third unknown.
struct SplitBaseline {
  Watts mean;
  Watts half_width;  // 95 %, without the meters' accuracy
};

enum class SplitStatus {
  ok,
  too_few_runs,
  different_concurrency,
  one_ratio,  // every run has the same ratio of input to output tokens
  collinear,  // the lengths differ too little, or time follows the tokens and idle is unknown
  unusable    // a run without tokens, time or energy
};

[[nodiscard]] std::string_view to_string(SplitStatus status);

struct TokenEnergy {
  JoulesPerToken value;
  JoulesPerToken low;  // 95 %
  JoulesPerToken high;
};

struct PhaseSplit {
  SplitStatus status = SplitStatus::unusable;
  std::string detail;   // why it is not ok, and what would mend it
  TokenEnergy prefill;  // these three only when ok
  TokenEnergy decode;
  std::optional<Watts> fitted_idle;  // without a baseline
  double condition_number = 0.0;     // of the weighted design, columns scaled to length 1
  int runs = 0;
};

/// Condition numbers above this are refused: Belsley, Kuh and Welsch, Regression Diagnostics
/// (1980), call dependencies strong from about 30.
inline constexpr double kMostConditionNumber = 30.0;

/// Weighted least squares of energy - idle x length = jp input + jd output, weights from the runs'
/// half-widths (equal ones where a run has none). `accuracy_ratio` is the meters' accuracy, which
/// scales both alike.
[[nodiscard]] PhaseSplit phase_split(std::span<const SplitRun> runs,
                                     const std::optional<SplitBaseline>& baseline,
                                     double accuracy_ratio = 0.0);

/// Sets every tenant's `energy` to its share of `energy`; the shares sum to it exactly in any
/// order. By the split where it is ok and both its values are positive, else by tokens.
TenantBasis share_by_tenant(Joules energy, const PhaseSplit* split,
                            std::vector<TenantUse>& tenants);

}  // namespace perwatt::measure
