// A synchronous training job of a scenario on the GPUs of a plant.
#pragma once

#include <vector>

#include "service_work.hpp"

#include "perwatt/simulate/plant.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::simulate {

/// Iterations and joules since the counting began, of the whole batch however many GPUs there are.
/// `lost` are iterations done again after a failure.
struct TrainingRecord {
  double iterations = 0;  // done, lost ones included
  double lost_iterations = 0;
  double checkpoints = 0;
  double failures = 0;
  double resizes = 0;  // pauses and returns included
  Joules energy;
  Joules lost_energy;      // of lost iterations, of restarts and while paused
  Joules overhead_energy;  // of checkpoints
};

/// A GPU that is to stop is let go after a checkpoint; without checkpoints at once, and what is not
/// saved is lost. The job then restarts with those it has left, at a speed in proportion to them,
/// or is paused without any. GPUs that come back join it likewise.
class TrainingWork {
 public:
  /// `plan` outlives it.
  explicit TrainingWork(const TrainingPlan& plan)
      : plan_{plan}, members_{plan.gpus}, stays_(plan.gpus.size(), 1) {}

  /// Works for `length`, sets the demands of its GPUs and writes them into `demands`, by device.
  void step(Seconds length, Plant& plant, const GpuStates& gpus, std::span<Watts> demands);

  void count_energy(const Plant& plant, Seconds step);
  void start_counting();

  /// Those that are to stop and are not the job's any more, into `is_stopped` by device.
  void let_go(std::span<const char> is_to_stop, std::span<char> is_stopped) const;

  [[nodiscard]] const TrainingPlan& plan() const { return plan_; }

  [[nodiscard]] const TrainingRecord& record() const { return record_; }

  /// Mean over time of its relative speed while it computes, fewer GPUs included; 1 before.
  [[nodiscard]] double mean_speed() const { return steps_ > 0 ? speed_sum_ / steps_ : 1; }

 private:
  enum class State { down, restarting, computing, communicating, checkpointing, paused };

  void fail();
  void lose_unsaved();
  void resize(const GpuStates& gpus);
  void take_members();
  void advance(Seconds length, double speed, double share);
  void end_phase();

  const TrainingPlan& plan_;
  std::vector<topology::DeviceIndex> members_;  // that it runs on
  std::vector<char> stays_;                     // by its GPUs: not to stop
  bool is_resizing_ = false;                    // once the checkpoint is written
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
