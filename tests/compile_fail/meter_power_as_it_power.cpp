// A PUE cannot be applied twice: power at the meter is no IT power.
#include "perwatt/facility/power_chain.hpp"

perwatt::facility::MeterPower meter_twice(const perwatt::facility::CoolingPlant& plant,
                                          perwatt::facility::ItPower it) {
  const perwatt::facility::MeterPower once = plant.meter_for(it);
#ifdef PERWATT_MISUSE
  return plant.meter_for(once);
#else
  return once;
#endif
}
