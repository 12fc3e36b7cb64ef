// A synchronous training job of a scenario on the GPUs of a plant.
#pragma once

#include <vector>

#include "service_work.hpp"

#include "perwatt/simulate/plant.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::simulate {

/// Iterations and joules since the counting began. `lost` are iterations done again after a
/// failure.
struct TrainingRecord {
  double iterations = 0;  // done, lost ones included
  double lost_iterations = 0;
  double checkpoints = 0;
  double failures = 0;
  Joules energy;
  Joules lost_energy;      // of lost iterations and of restarts
  Joules overhead_energy;  // of checkpoints
};

class TrainingWork {
 public:
  /// `plan` outlives it.
  explicit TrainingWork(const TrainingPlan& plan) : plan_{plan} {}

  /// Works for `length`, sets the demands of its GPUs and writes them into `demands`, by device.
  void step(Seconds length, Plant& plant, const GpuStates& gpus, std::span<Watts> demands);

  void count_energy(const Plant& plant, Seconds step);
  void start_counting();

  [[nodiscard]] const TrainingPlan& plan() const { return plan_; }

  [[nodiscard]] const TrainingRecord& record() const { return record_; }

  /// Mean over time of its relative speed while it computes, 1 before.
  [[nodiscard]] double mean_speed() const { return steps_ > 0 ? speed_sum_ / steps_ : 1; }

 private:
  enum class State { down, restarting, computing, communicating, checkpointing };

  void fail();
  void advance(Seconds length, double speed);
  void end_phase();

  const TrainingPlan& plan_;
  State state_ = State::computing;
  Seconds left_ = plan_.step * (1 - plan_.communication_ratio);  // of the phase, at full speed
  Seconds since_checkpoint_;
  double unsaved_iterations_ = 0;
  Joules unsaved_energy_;
  Seconds computed_;                 // in this step of the plant
  std::vector<float> demand_watts_;  // of step()
  TrainingRecord record_;
  double speed_sum_ = 0;
  double steps_ = 0;
};

}  // namespace perwatt::simulate
