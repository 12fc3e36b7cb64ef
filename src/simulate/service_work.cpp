#include "service_work.hpp"

#include <cmath>

#include "mass_work.hpp"
#include "request_work.hpp"

namespace perwatt::simulate {

void ServiceWork::count_energy(const Plant& plant, Seconds step) {
  double draw_watts = 0;
  for (const auto& pool : plan_.gpus) {
    for (const auto gpu : pool) {
      draw_watts += static_cast<double>(plant.draw_watts()[gpu.value]);
    }
  }
  energy_ += watts(draw_watts) * step;
}

void ServiceWork::start_counting() {
  record_ = {};
  energy_ = {};
  speed_sum_ = 0;
  steps_ = 0;
}

std::unique_ptr<ServiceWork> make_service_work(const ServicePlan& plan, Seconds span,
                                               std::uint64_t seed) {
  if (plan.sample_ratio) {
    return std::make_unique<MassWork>(plan, seed);
  }
  return std::make_unique<RequestWork>(plan, span, seed);
}

InstanceModel at_clock(InstanceModel model, const SpeedLaw& law, double clock_ratio) {
  auto& power = model.power;
  const double prefill = std::pow(clock_ratio, law.prefill_exponent);
  const double decode = std::pow(clock_ratio, law.decode_exponent);
  power.prefill = power.idle + (power.prefill - power.idle) * prefill;
  power.decode_base = power.idle + (power.decode_base - power.idle) * decode;
  power.decode_per_sequence = power.decode_per_sequence * decode;
  return model;
}

}  // namespace perwatt::simulate
