// Meters that meter the same device.
#pragma once

#include <vector>

#include "energy_meter.hpp"

namespace perwatt::measure {

/// Removes from `meters` (all of one scope) those whose device another one meters too, and says so.
/// GPUs are the same where their UUIDs are, nodes and racks where two sources name one host: which
/// of these stands for the other cannot be told, and that is fatal, as are GPUs of two sources
/// without UUID that may be the same.
void leave_out_overlaps(std::vector<MeterEnergy>& meters, std::vector<EnergyFinding>& findings);

}  // namespace perwatt::measure
