// A large service by mass, with percentiles from a sample by request.
//
// All GPUs of a pool that are up are alike: they ask for the pool's mean, and run at the speed of
// their mean cap. An instance is down while one of its GPUs is; what it had in hand goes on in the
// others, so that nothing is dropped or lost. Tokens are as good as those of the sample's requests
// that end; histograms count each sampled request as many times as it stands for.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "service_work.hpp"

#include "perwatt/simulate/service_twin.hpp"

namespace perwatt::simulate {

class MassWork final : public ServiceWork {
 public:
  /// REQUIRES: a sample in the plan, and steady or daily arrivals.
  MassWork(const ServicePlan& plan, std::uint64_t seed);

  void step(Instant until, Plant& plant, const GpuStates& gpus, std::span<Watts> demands) override;

  [[nodiscard]] const LatencyRecord& record() const override { return record_; }

  [[nodiscard]] std::int64_t unfinished() const override { return unfinished_; }

 private:
  void forget_record() override { record_ = {}; }

  /// What the GPUs of a pool have in force.
  struct PoolState {
    Watts mean_cap;  // of instances that are up
    int up = 0;
  };

  /// Not yet whole requests and tokens.
  struct Rests {
    double arrived = 0;
    double completed = 0;
    double input = 0;
    double output = 0;
  };

  [[nodiscard]] double rate_per_second(Instant at) const;
  [[nodiscard]] PoolState look(Pool pool, const Plant& plant, const GpuStates& gpus);
  void count(const FluidStep& step);
  void set_demands(Pool pool, const FluidStep& done, Seconds length, Plant& plant,
                   const GpuStates& gpus, std::span<Watts> demands);

  ServiceTwin twin_;
  Instant now_;
  std::array<Watts, kPools> wanted_;  // of a GPU that is up: mean of the last step

  std::vector<float> demand_watts_;  // of set_demands()

  LatencyRecord record_;
  Rests rests_;
  std::int64_t unfinished_ = 0;
  double undecided_output_ = 0;                  // no sampled request has ended since it was made
  std::array<std::vector<char>, kPools> is_up_;  // by Pool and instance
};

/// At a moment of the day that repeats.
[[nodiscard]] double rate_at(const DailyRate& rate, Seconds time);

}  // namespace perwatt::simulate
