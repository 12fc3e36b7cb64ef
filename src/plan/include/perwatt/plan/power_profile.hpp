// How the power of a node moves about its mean: quantiles derived from measured traces, with the
// number of independent samples behind them. Methods, sources, figures: docs/model/provisioning.md;
// columns of the files: docs/reference/power-profiles.md.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/tag.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/inference/measured_point.hpp"

namespace perwatt::plan {

/// The inverse of a distribution function, linear between its knots. Where the upper tail thins out
/// (convex), the chord lies above the curve: on the safe side for a limit.
class QuantileFunction {
 public:
  /// Knots by rising probability, the first at 0, the last at 1; values rise or stay. Throws
  /// Error(internal_error) else: readers check their input first.
  QuantileFunction(std::vector<double> probabilities, std::vector<double> values);

  /// The value at `probability`; outside [0, 1] that of the nearer end.
  [[nodiscard]] double at(double probability) const;

  [[nodiscard]] double mean() const;

  /// The same shape with every distance from 1 times `factor` >= 0, cut off below 0.
  [[nodiscard]] QuantileFunction spread_about_one(double factor) const;

 private:
  std::vector<double> probabilities_;
  std::vector<double> values_;
};

/// The draw of one node relative to its mean, second by second.
struct PowerProfile {
  std::string id;
  std::string accelerator;  // catalog id
  std::string source;
  Tag tag = Tag::derived;
  std::optional<inference::Serving> serving;
  QuantileFunction ratio;                 // draw / mean draw; its mean is 1 within 2 %
  double samples_effective = 0;           // independent samples behind the quantiles
  std::optional<double> gpu_correlation;  // mean over pairs of GPUs of one node
  std::optional<Watts> mean_gpu_power;    // of the measured run
};

/// A measured window of which only mean and two percentiles are known.
struct PowerWindow {
  std::string accelerator;
  std::string model;
  std::string engine;
  int concurrency = 0;
  Watts mean_gpu_power;
  double p75_ratio = 0;  // 75th percentile / mean
  double p90_ratio = 0;  // 90th percentile / mean, at least 1
  Seconds window;        // at most one sample a second is counted
  Tag tag = Tag::derived;
  std::string source;
};

/// The distribution over the units of a whole fleet and over time: jobs, idle time and all. It is
/// no profile of a node about its mean.
struct FleetDistribution {
  std::string id;
  std::string accelerator;
  std::string unit;       // "gpu" or "server"
  std::string reference;  // what reference_power is
  Watts reference_power;
  Watts mean_power;
  QuantileFunction ratio;  // draw / reference_power
  Tag tag = Tag::derived;
  std::string source;
};

struct PowerProfiles {
  std::vector<PowerProfile> profiles;
  std::vector<PowerWindow> windows;
  std::vector<FleetDistribution> fleets;

  /// The profile of this id, or nullptr.
  [[nodiscard]] const PowerProfile* find(std::string_view id) const;

  /// The profile to plan with:
  /// - the pool "<accelerator>-<serving>" where there is one (derived);
  /// - else, with windows of this accelerator, the shape of kShapeId spread about the mean so that
  ///   its 90th percentile is the largest measured one; samples_effective is the smaller of the
  ///   shape's and that window's seconds (modelled);
  /// - else the shape as it is (assumed).
  [[nodiscard]] PowerProfile for_accelerator(const std::string& accelerator,
                                             inference::Serving serving) const;

  /// The profile whose shape stands in for accelerators without a 1 Hz trace of their own.
  static constexpr std::string_view kShapeId = "gb300-aggregated";
};

/// Reads profiles.csv, windows.csv and fleets.csv of `folder`. Throws Error(bad_input) with file,
/// line, value and remedy for a value out of range, a repeated id, quantiles that fall, a mean off
/// 1 by more than 2 %, or no profile kShapeId.
[[nodiscard]] PowerProfiles load_power_profiles(const std::filesystem::path& folder);

}  // namespace perwatt::plan
