// A service request by request.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "service_work.hpp"

#include "perwatt/simulate/service.hpp"

namespace perwatt::simulate {

class RequestWork final : public ServiceWork {
 public:
  RequestWork(const ServicePlan& plan, Seconds span, std::uint64_t seed);

  void step(Instant until, Plant& plant, const GpuStates& gpus, std::span<Watts> demands) override;

  [[nodiscard]] const LatencyRecord& record() const override { return service_.record(); }

  [[nodiscard]] std::int64_t unfinished() const override {
    return service_.counts().arrived - service_.counts().completed;
  }

 private:
  void forget_record() override { static_cast<void>(service_.take_record()); }

  struct Instance {
    Pool pool = Pool::aggregated;
    std::span<const topology::DeviceIndex> gpus;
    bool is_failed = false;
    double clock_ratio = 1;  // the slowest of its GPUs
    Watts wanted;            // of a GPU, without caps: mean of the last step
  };

  void feed(Instant until);
  void fail_or_resume(std::size_t index, bool is_up);
  double set_speed(std::size_t index, const InForce& in_force);
  [[nodiscard]] Watts wanted(const Instance& instance, const PoolUse& use, Seconds length) const;

  InferenceService service_;
  std::optional<ServiceFeed> feed_;
  std::optional<ClosedLoop> loop_;
  std::mt19937_64 lengths_;  // of the closed loop
  std::int64_t sent_ = 0;
  std::vector<Instance> instances_;
};

}  // namespace perwatt::simulate
