#include "perwatt/measure/energy_scale.hpp"

#include <algorithm>
#include <cmath>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

/// What the chain's own IT power may be off by: the largest difference from metered and published
/// figures in docs/model/facility.md (5 % on the one metered node, 4 % on published all-in power).
constexpr double kChainErrorRatio = 0.05;

facility::MeterPower meter_of(facility::ItPower it, const facility::CoolingPlant& plant,
                              const std::optional<PlantOperation>& operation) {
  if (plant.is_constant()) {
    return plant.meter_for(it);
  }
  if (!operation) {
    throw_bad_input("cooling plant '" + plant.data().id + "' draws by its weather and load", "",
                    "give the weather and the plant's load during the run, or a plant with a "
                    "constant PUE");
  }
  const double load = operation->load_ratio;
  if (!(load > 0.0 && load <= 1.0)) {
    throw_bad_input("load of the plant is " + shortest(load), "", "give a ratio in (0, 1]");
  }
  // A plant is homogeneous in load and design: this load's share of one that runs at `load`.
  const facility::ItPower design{it.value / load};
  const auto limit = plant.it_limit(design, operation->weather);
  if (limit && limit->value < it.value) {
    throw_bad_input("cooling plant '" + plant.data().id + "' cannot carry its load in this weather",
                    "", "give the weather of the run");
  }
  return plant.parts_at(it, design, operation->weather).total();
}

/// `gpu` carried to a boundary where one GPU's share at a mean board power is `power_of`.
template <class PowerOf>
BoundaryEnergy carried(const BoundaryEnergy& gpu, Seconds length, Boundary boundary,
                       const PowerOf& power_of) {
  const double gpus = gpu.meters;
  const Watts mean = *gpu.energy / length / gpus;
  const auto through = [&](Joules half_width) {
    const Watts step = half_width / length / gpus;
    const Watts low = std::max(Watts{}, mean - step);
    return 0.5 * gpus * (power_of(mean + step) - power_of(low)) * length;
  };
  BoundaryEnergy result = gpu;
  result.boundary = boundary;
  result.energy = gpus * power_of(mean) * length;
  result.by_counter.reset();
  result.by_integral.reset();
  const double metered = through(gpu.half_width).in_base();
  const double chain = kChainErrorRatio * result.energy->in_base();
  result.half_width = Joules::from_base(std::hypot(metered, chain));
  // The chain's error is common to all windows, as the meters' is.
  result.accuracy_half_width =
      Joules::from_base(std::hypot(through(gpu.accuracy_half_width).in_base(), chain));
  return result;
}

}  // namespace

std::optional<ModelledEnergy> scale_to_facility(const BoundaryEnergy& gpu, Seconds length,
                                                const facility::PowerChain& chain,
                                                const facility::CoolingPlant& plant,
                                                const std::optional<PlantOperation>& operation) {
  if (!gpu.valid || !gpu.energy || gpu.boundary != Boundary::gpu || gpu.meters <= 0) {
    return std::nullopt;
  }
  ModelledEnergy result;
  result.it = carried(gpu, length, Boundary::it,
                      [&](Watts board) { return chain.it_per_gpu(board).value; });
  result.facility = carried(gpu, length, Boundary::facility, [&](Watts board) {
    return meter_of(chain.it_per_gpu(board), plant, operation).value;
  });
  return result;
}

}  // namespace perwatt::measure
