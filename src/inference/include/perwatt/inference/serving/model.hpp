// Steady state of a deployment under load: rates, latencies and watts.
#pragma once

#include "perwatt/base/units.hpp"
#include "perwatt/inference/serving/power.hpp"
#include "perwatt/inference/serving/step.hpp"

namespace perwatt::inference::serving {

/// Per GPU of the deployment where it says so; before any correction by measured relatives.
struct Prediction {
  double requests_per_second = 0;  // of the deployment
  TokensPerSecond output_per_gpu;
  Seconds tpot;
  Seconds ttft;                   // median
  double sequences = 0;           // decoded at once on an instance
  double most_sequences = 0;      // that fit its KV memory
  double prefill_busy_ratio = 0;  // of the prefill pool's capacity, or of the instance's time
  Seconds step;
  Seconds operators;  // of the step
  Seconds prompt;     // prefill of one prompt
};

class ServingModel {
 public:
  /// All three must outlive the model. REQUIRES: layout_problem() is empty for both instances.
  ServingModel(const Setup& setup, const ServingWork& work, const CoefficientsOfOne& coefficients);

  /// Whether weights and one sequence fit the memory.
  [[nodiscard]] bool fits() const;

  /// Sequences that fit the KV memory of a decode instance; at least 1.
  [[nodiscard]] double most_sequences() const { return most_sequences_; }

  /// A closed-loop client that keeps `concurrency` requests in the deployment, its start and end
  /// included, as public benchmarks run it. REQUIRES: concurrency > 0.
  [[nodiscard]] Prediction closed_loop(double concurrency) const;

  /// `sequences` decoded at once on every instance, prefills taking their share; the concurrency
  /// that leads there is not asked. REQUIRES: sequences > 0.
  [[nodiscard]] Prediction at_batch(double sequences) const;

  [[nodiscard]] Prediction under(const Load& load) const;

  /// How the GPUs are used when the deployment serves `requests_per_second` as predicted.
  [[nodiscard]] DeploymentUse use(const Prediction& prediction, double requests_per_second) const;

  /// Median time to the first token when `concurrency` requests are kept in the deployment.
  [[nodiscard]] Seconds first_token(const Prediction& prediction, double concurrency) const;

  [[nodiscard]] const ServingWork& work() const { return *work_; }

  [[nodiscard]] const StepModel& steps() const { return steps_; }

 private:
  [[nodiscard]] double per_token(double step_seconds, double prompts) const;
  [[nodiscard]] double requests_per_second(double step_seconds, double sequences) const;
  [[nodiscard]] Prediction steady_state(double sequences) const;
  [[nodiscard]] Utilisation use_of_gpu(const Prediction& prediction, double steps,
                                       double prompts) const;
  void complete(Prediction& result, double concurrency) const;

  const Setup* setup_;
  const ServingWork* work_;
  const CoefficientsOfOne* coefficients_;
  StepModel steps_;
  double most_sequences_ = 0;
};

}  // namespace perwatt::inference::serving
