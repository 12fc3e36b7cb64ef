#include "perwatt/facility/power_chain.hpp"

perwatt::facility::ItPower carried(const perwatt::facility::CoolingPlant& plant,
                                   const perwatt::facility::NodePower& node) {
#ifdef PERWATT_MISUSE
  return plant.it_carried_by(node.it_total());
#else
  return plant.it_carried_by(plant.meter_for(node.it_total()));
#endif
}
