// An inference service as the simulation sees it: times, watts and limits of its instances.
//
// Times at full speed, as in docs/model/serving.md but linear in what varies:
//   prefill   input_tokens / prefill_rate, one request at a time
//   decode    a step of a batch of n takes step_base + n step_per_sequence and gives each sequence
//             one token (continuous batching: Orca, Yu et al., OSDI 2022)
// A speed in (0, 1] divides them. Watts are of one GPU board.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/curve/power_curve.hpp"

namespace perwatt::simulate {

/// What a GPU draws when no cap holds it.
struct PhasePower {
  Watts idle;
  Watts prefill;
  Watts decode_base;
  Watts decode_per_sequence;
  std::int64_t rising_sequences = 0;  // those beyond add no watts

  [[nodiscard]] Watts decode(double sequences) const;
};

struct InstanceModel {
  int gpus = 1;
  TokensPerSecond prefill_rate;  // of the instance
  Seconds step_base;
  Seconds step_per_sequence;
  int most_sequences = 1;  // decoded at once, with the one that is prefilled
  PhasePower power;
};

enum class Pool { aggregated, prefill, decode };

inline constexpr std::size_t kPools = 3;

struct PoolSetup {
  InstanceModel model;
  int instances = 1;
};

/// Absent: no limit.
struct LatencyLimits {
  std::optional<Seconds> max_ttft;
  std::optional<Seconds> max_tpot;  // mean of a request
};

/// Either `aggregated` alone, or `prefill` and `decode`.
struct ServiceSetup {
  std::optional<PoolSetup> aggregated;
  std::optional<PoolSetup> prefill;
  std::optional<PoolSetup> decode;
  LatencyLimits limits;

  /// Throws Error(bad_input) for other pools, no GPU, a rate or step that is not above 0, a
  /// negative number of instances, no room for a sequence, or negative watts.
  void check() const;

  /// REQUIRES: the pool is present.
  [[nodiscard]] const PoolSetup& pool(Pool which) const;

  [[nodiscard]] bool has(Pool which) const;
};

/// Relative to full speed, each in (0, 1].
struct PhaseSpeed {
  double prefill_ratio = 1.0;
  double decode_ratio = 1.0;

  bool operator==(const PhaseSpeed&) const = default;
};

/// Relative speed of one phase by the cap of a GPU: linear between points, level beyond the ends (a
/// cap below the first point cannot be set; one above the last is not reached).
class SpeedTable {
 public:
  struct Point {
    Watts cap;
    double speed_ratio = 1.0;
  };

  /// Throws Error(bad_input) unless caps rise, and speeds never fall, are above 0 and end at 1.
  explicit SpeedTable(std::vector<Point> points);

  /// The curve over its highest value. Throws Error(bad_input) if a value is not above 0.
  static SpeedTable of_curve(const curve::PowerCurve<TokensPerSecond>& curve);

  [[nodiscard]] double speed_ratio(Watts cap) const;

 private:
  std::vector<Point> points_;
};

/// How long the instances of a pool did what, in instance-nanoseconds. Holds 9.2e18: ten hours of a
/// thousand instances with 256 sequences each.
struct PoolUse {
  std::int64_t idle_nanoseconds = 0;  // on, with nothing to do or paused
  std::int64_t prefill_nanoseconds = 0;
  std::int64_t decode_nanoseconds = 0;
  std::int64_t sequence_nanoseconds =
      0;  // decode by sequences, those beyond rising_sequences left out

  void add(const PoolUse& other);

  /// What the GPUs draw in this use under a cap of each GPU, the mean decode batch standing for
  /// all; without a cap exact.
  [[nodiscard]] Joules energy(const InstanceModel& model, std::optional<Watts> gpu_cap) const;

  bool operator==(const PoolUse&) const = default;
};

}  // namespace perwatt::simulate
