// One step of decode and the prefill of one prompt, with rates and overheads applied to the work.
// Equations and where they come from: docs/model/serving.md#step.
#pragma once

#include <array>

#include "perwatt/inference/serving/coefficients.hpp"
#include "perwatt/inference/serving/work.hpp"

namespace perwatt::inference::serving {

/// Tokens that one step prefills at most.
inline constexpr double kPrefillChunkTokens = 8192;

/// Coefficients with what does not change over batches folded in: rates of this setup, factors of
/// its engine and software date.
class StepModel {
 public:
  StepModel(const Setup& setup, const ServingWork& work, const CoefficientsOfOne& coefficients);

  struct Step {
    double seconds = 0;           // all of it
    double operator_seconds = 0;  // operations and bytes, without factors of engine and software
  };

  /// One decode step of `sequences` per instance. REQUIRES: sequences > 0.
  [[nodiscard]] Step decode(double sequences) const;

  /// Where the time of a decode step goes, in seconds; sums to Step::seconds.
  struct Breakdown {
    std::array<double, kOperatorGroups> compute{};  // if operations alone took time
    std::array<double, kOperatorGroups> memory{};   // if bytes alone took time
    std::array<double, kOperatorGroups> operators{};
    double layers = 0;
    double collectives = 0;
    double host = 0;
    double draft = 0;
  };

  [[nodiscard]] Breakdown explain_decode(double sequences) const;

  /// Seconds an instance takes for one prompt among others: `shared` is what prompts of one chunk
  /// share (weights, overheads).
  struct Prefill {
    double own = 0;
    double shared = 0;
    double pipeline_fill = 0;  // to the first token, besides what the instance is occupied for

    [[nodiscard]] double seconds() const { return own + shared; }
  };

  [[nodiscard]] const Prefill& prefill() const { return prefill_; }

  /// Tokens a sequence gains per step.
  [[nodiscard]] double accepted_tokens() const { return accepted_; }

  /// Tokens a sequence verifies per step.
  [[nodiscard]] double verified_tokens() const { return verified_; }

 private:
  struct Rates {
    double flops[3] = {1, 1, 1};  // by MathUnit
    double bytes = 1;
  };

  struct Operators {
    std::array<double, kOperatorGroups> compute{};
    std::array<double, kOperatorGroups> memory{};
    std::array<double, kOperatorGroups> seconds{};
  };

  void set_decode_clock(double clock);
  [[nodiscard]] Operators operators(double sequences) const;
  [[nodiscard]] double exchange_seconds(double tokens) const;
  [[nodiscard]] double hop_seconds(double tokens) const;
  [[nodiscard]] double in_flight(double sequences) const;

  const ServingWork* work_;
  Rates rates_;
  double core_flops_rate_ = 1;
  double core_factor_ = 1;
  double expert_bytes_rate_ = 1;
  double expert_flops_rate_ = 1;
  double projection_flops_rate_ = 1;
  double dense_flops_rate_ = 1;
  double skew_ = 1;
  double imbalance_ = 1;
  double engine_factor_ = 1;
  double attention_dp_factor_ = 1;
  double age_factor_ = 1;
  double verified_ = 1;
  double accepted_ = 1;
  double draft_ = 0;  // of the operators' time
  double layers_seconds_ = 0;
  double collectives_seconds_ = 0;
  double link_bytes_per_second_ = 1;
  double hop_latency_ = 0;  // between stages of a pipeline
  double hop_bytes_per_second_ = 1;
  double host_seconds_ = 0;
  Prefill prefill_;
};

}  // namespace perwatt::inference::serving
