// GPU watts are not IT watts: the boundary is named where one becomes the other.
#include "perwatt/facility/power_chain.hpp"

perwatt::facility::MeterPower meter(const perwatt::facility::CoolingPlant& plant,
                                    perwatt::Watts gpu) {
#ifdef PERWATT_MISUSE
  return plant.meter_for(gpu);
#else
  return plant.meter_for(perwatt::facility::ItPower{gpu});
#endif
}
