// Sensors of one sort: the past that has not yet arrived, and what is wrong with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "counter_random.hpp"

#include "perwatt/simulate/plant_meters.hpp"
#include "perwatt/simulate/plant_spec.hpp"

namespace perwatt::simulate {

/// What its noise and its bias are drawn for.
struct SensorUses {
  RandomUse noise;
  RandomUse bias;
};

class SensorBank {
 public:
  SensorBank(const SensorSpec& spec, SensorUses uses, std::uint64_t seed, std::int64_t step_ns,
             std::size_t sensors);

  /// Values that a bank holds.
  [[nodiscard]] static double samples_held(const SensorSpec& spec, std::size_t sensors);

  /// Whether a sample is taken after so many steps.
  [[nodiscard]] bool is_due(std::int64_t steps_done) const {
    return steps_done % spec_.sample_steps == 0;
  }

  /// Takes one, of all sensors: `watts_of(sensor)`. REQUIRES: is_due(), steps ascending from 0.
  template <class WattsOf>
  void sample(std::int64_t steps_done, WattsOf watts_of) {
    float* slot = samples_.data() + slot_of(steps_done / spec_.sample_steps);
    for (std::size_t s = 0; s < sensors_; ++s) {
      slot[s] = static_cast<float>(watts_of(s));
    }
  }

  [[nodiscard]] Reading read(std::size_t sensor, std::int64_t steps_done) const;

  void set_fault(std::size_t sensor, const SensorFault& fault, std::int64_t steps_done);

 private:
  struct Held {  // a fault and what was told before it
    SensorFault fault;
    Reading last;
  };

  [[nodiscard]] std::size_t slot_of(std::int64_t sample) const {
    return static_cast<std::size_t>(sample % slots_) * sensors_;
  }

  [[nodiscard]] Reading healthy(std::size_t sensor, std::int64_t steps_done, double factor) const;
  [[nodiscard]] Watts distort(std::size_t sensor, std::int64_t sample, double factor) const;

  SensorSpec spec_;
  SensorUses uses_;
  std::uint64_t seed_;
  std::int64_t step_ns_;
  std::size_t sensors_;
  std::int64_t slots_;
  std::vector<float> samples_;  // ring of snapshots
  std::unordered_map<std::size_t, Held> faults_;
};

}  // namespace perwatt::simulate
