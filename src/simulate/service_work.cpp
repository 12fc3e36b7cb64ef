#include "service_work.hpp"

#include <algorithm>
#include <cmath>

#include "mass_work.hpp"
#include "request_work.hpp"

namespace perwatt::simulate {

InForce in_force(std::span<const topology::DeviceIndex> gpus, const Plant& plant,
                 const GpuStates& states) {
  InForce found;
  found.cap = kMostDeviceWatts;
  for (const auto gpu : gpus) {
    found.is_up = found.is_up && states.is_off[gpu.value] == 0 &&
                  states.is_stopped[gpu.value] == 0 && plant.has_power(gpu);
    found.clock_ratio = std::min(found.clock_ratio, states.clock_ratios[gpu.value]);
    if (states.ignores_its_cap[gpu.value] == 0) {
      found.cap = std::min(found.cap, plant.read_cap(gpu));
    }
  }
  return found;
}

void want(std::span<const topology::DeviceIndex> gpus, std::span<const float> demand_watts,
          Plant& plant) {
  for (std::size_t first = 0, end = 1; first < gpus.size(); ++end) {
    if (end == gpus.size() || gpus[end].value != gpus[end - 1].value + 1) {
      plant.set_demands(gpus[first], demand_watts.subspan(first, end - first));
      first = end;
    }
  }
}

Watts draw_of(std::span<const topology::DeviceIndex> gpus, const Plant& plant) {
  const auto draws = plant.draw_watts();
  double draw_watts = 0;
  for (const auto gpu : gpus) {
    draw_watts += static_cast<double>(draws[gpu.value]);
  }
  return watts(draw_watts);
}

void ServiceWork::count_energy(const Plant& plant, Seconds step) {
  Watts draw;
  for (const auto& pool : plan_.gpus) {
    draw += draw_of(pool, plant);
  }
  energy_ += draw * step;
}

void ServiceWork::start_counting() {
  forget_record();
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
