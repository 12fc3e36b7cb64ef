// The physics of a plant per watt of design IT power; docs/model/facility.md#plant-physics.
#pragma once

#include "perwatt/base/celsius.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/facility/cooling_plant.hpp"

namespace perwatt::facility {

/// What does not depend on the weather, at one load.
struct Indoors {
  double load = 0;
  double busway = 0;
  double ups = 0;
  double pumps = 0;
  double hall_fans = 0;
  double other = 0;

  [[nodiscard]] double sum() const { return load + busway + ups + pumps + hall_fans + other; }
};

/// What does not depend on the load, in one weather.
struct Outdoors {
  double free_capacity = 0;     // heat that free cooling carries at full air flow
  double free_share_limit = 0;  // heat up to which free cooling is cheaper than the chiller
  double compressor_ratio = 0;  // compressor power per chilled heat
};

struct HeatRejected {
  double free_heat = 0;
  double chilled_heat = 0;
  double fans = 0;
  double compressor = 0;
};

class PlantModel {
 public:
  /// `physics` must outlive this.
  PlantModel(const catalog::PlantPhysics& physics, Celsius supply);

  [[nodiscard]] Indoors indoors_at(double load_ratio) const;
  [[nodiscard]] Outdoors outdoors_in(const Weather& weather) const;

  /// The split of `heat` that draws least.
  [[nodiscard]] HeatRejected rejected(double heat, const Outdoors& outdoors) const;

  /// Loss when the transformer passes on `power`.
  [[nodiscard]] double transformer_loss(double power) const;

  [[nodiscard]] double meter_at(const Indoors& indoors, const Outdoors& outdoors) const;

  /// The largest load in [0, 1] whose heat is carried.
  [[nodiscard]] double largest_load(const Outdoors& outdoors) const;

  [[nodiscard]] double water_litres_per_joule(const HeatRejected& heat) const;

  [[nodiscard]] bool carries_full_load(const Outdoors& outdoors) const {
    return outdoors.free_capacity >= design_heat_;
  }

 private:
  [[nodiscard]] Celsius sink(const Weather& weather) const;

  const catalog::PlantPhysics* physics_;
  Celsius supply_;
  double design_heat_;
};

}  // namespace perwatt::facility
