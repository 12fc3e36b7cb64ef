// Whether a plant can be built from what is asked.
#pragma once

#include "perwatt/simulate/plant_meters.hpp"
#include "perwatt/simulate/plant_spec.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::simulate {

/// Throws Error(bad_input) with the value, the kind or device, and a remedy: plant_spec.hpp.
void check_plant(const topology::PowerTree& tree, const PlantSpec& spec);

void check_faults(const DeviceFaults& faults);
void check_fault(const SensorFault& fault);

}  // namespace perwatt::simulate
