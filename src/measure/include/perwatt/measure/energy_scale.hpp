// IT and facility energy from GPU energy, where only GPU boards are metered. Formulas:
// docs/model/energy.md#wider-boundaries.
#pragma once

#include <optional>

#include "perwatt/base/tag.hpp"
#include "perwatt/facility/cooling_plant.hpp"
#include "perwatt/facility/power_chain.hpp"
#include "perwatt/measure/energy.hpp"

namespace perwatt::measure {

/// How a physical plant ran during the window.
struct PlantOperation {
  facility::Weather weather;
  double load_ratio = 1.0;  // IT power of the whole plant over its design, in (0, 1]
};

struct ModelledEnergy {
  BoundaryEnergy it;
  BoundaryEnergy facility;
  Tag tag = Tag::modelled;
};

/// `gpu` at the wider boundaries: every metered GPU stands in a node of `chain` whose GPUs all draw
/// the same, at the window's mean power. half_width takes the GPU energy's through the chain and
/// adds the chain's own. Nothing when `gpu` is not valid or not at the GPU boundary. A plant with
/// physics needs `operation`: throws Error(bad_input) without, and where the weather does not let
/// the plant carry the load.
[[nodiscard]] std::optional<ModelledEnergy> scale_to_facility(
    const BoundaryEnergy& gpu, Seconds length, const facility::PowerChain& chain,
    const facility::CoolingPlant& plant, const std::optional<PlantOperation>& operation);

}  // namespace perwatt::measure
