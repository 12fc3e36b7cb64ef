// An inference service of a scenario on the GPUs of a plant: caps in force make its speeds, what it
// does makes their demand.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "perwatt/simulate/latency_record.hpp"
#include "perwatt/simulate/plant.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::simulate {

/// By device: what holds a GPU back beside its cap.
struct GpuStates {
  std::vector<char> is_off;  // failed
  std::vector<char> ignores_its_cap;
  std::vector<char> is_unused;  // switched off for good: its job is off
  std::span<const double> clock_ratios;
  std::vector<char> is_to_stop;  // by order of the policy
  std::vector<char> is_stopped;  // likewise: its job has let it go, and it is off
};

/// What GPUs that work together have in force.
struct InForce {
  bool is_up = true;       // none failed, none dark, none stopped
  Watts cap;               // the least, of those that obey theirs; else kMostDeviceWatts
  double clock_ratio = 1;  // the slowest
};

[[nodiscard]] InForce in_force(std::span<const topology::DeviceIndex> gpus, const Plant& plant,
                               const GpuStates& states);

/// Gives each GPU its demand, neighbours together.
void want(std::span<const topology::DeviceIndex> gpus, std::span<const float> demand_watts,
          Plant& plant);

[[nodiscard]] Watts draw_of(std::span<const topology::DeviceIndex> gpus, const Plant& plant);

class ServiceWork {
 public:
  /// `plan` outlives it.
  explicit ServiceWork(const ServicePlan& plan) : plan_{plan} {}

  virtual ~ServiceWork() = default;

  /// Works from where it stands until `until`, a step of the plant later, sets the demands of its
  /// GPUs, and writes into `demands`, by device, what they would be without caps.
  virtual void step(Instant until, Plant& plant, const GpuStates& gpus,
                    std::span<Watts> demands) = 0;

  /// After a step of the plant.
  void count_energy(const Plant& plant, Seconds step);

  /// Forgets what was counted so far.
  void start_counting();

  /// Arrived and not done, now.
  [[nodiscard]] virtual std::int64_t unfinished() const = 0;

  [[nodiscard]] const ServicePlan& plan() const { return plan_; }

  /// Since the counting began.
  [[nodiscard]] virtual const LatencyRecord& record() const = 0;

  [[nodiscard]] Joules energy() const { return energy_; }

  /// Mean over time and instances of the speed of what they did, 1 while they are idle.
  [[nodiscard]] double mean_speed() const { return steps_ > 0 ? speed_sum_ / steps_ : 1; }

 protected:
  void count_speed(double speed_ratio) {
    speed_sum_ += speed_ratio;
    steps_ += 1;
  }

  const ServicePlan& plan_;

 private:
  virtual void forget_record() = 0;

  Joules energy_;
  double speed_sum_ = 0;
  double steps_ = 0;
};

/// Request by request, or by mass where the plan has a sample. `span` is how long requests come.
[[nodiscard]] std::unique_ptr<ServiceWork> make_service_work(const ServicePlan& plan, Seconds span,
                                                             std::uint64_t seed);

/// What the phases of a model ask for at a clock.
[[nodiscard]] InstanceModel at_clock(InstanceModel model, const SpeedLaw& law, double clock_ratio);

}  // namespace perwatt::simulate
