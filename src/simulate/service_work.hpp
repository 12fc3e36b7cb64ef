// An inference service of a scenario on the GPUs of a plant: caps in force make its speeds, what it
// does makes their demand.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "perwatt/simulate/plant.hpp"
#include "perwatt/simulate/scenario.hpp"
#include "perwatt/simulate/service.hpp"

namespace perwatt::simulate {

/// By device: what holds a GPU back beside its cap.
struct GpuStates {
  std::vector<char> is_off;  // failed
  std::vector<char> ignores_its_cap;
  std::vector<char> is_unused;  // switched off for good: its job is off
  std::span<const double> clock_ratios;
};

class ServiceWork {
 public:
  /// `plan` outlives it. `span` is how long requests come.
  ServiceWork(const ServicePlan& plan, Seconds span, std::uint64_t seed);

  /// Works from where it stands until `until`, a step of the plant later, sets the demands of its
  /// GPUs, and writes into `demands`, by device, what they would be without caps.
  void step(Instant until, Plant& plant, const GpuStates& gpus, std::span<Watts> demands);

  /// After a step of the plant.
  void count_energy(const Plant& plant, Seconds step);

  /// Forgets what was counted so far.
  void start_counting();

  [[nodiscard]] const ServicePlan& plan() const { return plan_; }

  [[nodiscard]] const LatencyRecord& record() const { return record_; }

  [[nodiscard]] Joules energy() const { return energy_; }

  /// Mean over time and instances of the speed of what they did, 1 while they are idle.
  [[nodiscard]] double mean_speed() const { return steps_ > 0 ? speed_sum_ / steps_ : 1; }

 private:
  struct Instance {
    Pool pool = Pool::aggregated;
    std::span<const topology::DeviceIndex> gpus;
    bool is_failed = false;
    double clock_ratio = 1;  // the slowest of its GPUs
    Watts wanted;            // of a GPU, without caps: mean of the last step
  };

  void feed(Instant until);
  double slowest_clock(std::size_t index, const GpuStates& gpus) const;
  Watts cap_in_force(std::size_t index, const Plant& plant, const GpuStates& gpus);
  double set_speed(std::size_t index, Watts cap, double clock_ratio);
  [[nodiscard]] Watts wanted(const Instance& instance, const PoolUse& use, Seconds length) const;

  const ServicePlan& plan_;
  InferenceService service_;
  std::optional<ServiceFeed> feed_;
  std::optional<ClosedLoop> loop_;
  std::mt19937_64 lengths_;  // of the closed loop
  std::int64_t sent_ = 0;
  std::vector<Instance> instances_;
  LatencyRecord record_;
  Joules energy_;
  double speed_sum_ = 0;
  double steps_ = 0;
};

}  // namespace perwatt::simulate
