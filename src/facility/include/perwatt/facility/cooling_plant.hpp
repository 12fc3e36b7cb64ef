// The plant between the utility meter and the nodes: cooling, and the way the power takes. Formulas
// and sources: docs/model/facility.md#plant-physics.
//
// All functions are pure and safe from many threads.
#pragma once

#include <optional>

#include "perwatt/base/celsius.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/facility/power.hpp"

namespace perwatt::facility {

/// Outside air. REQUIRES: wet_bulb <= dry_bulb.
struct Weather {
  Celsius dry_bulb;
  Celsius wet_bulb;
};

/// Where the meter's power goes. it + cooling + distribution is the meter's value; cooling is fans
/// + pumps + chiller + other; distribution is ups + transformer + busway. A constant PUE knows only
/// cooling and distribution: its cooling stands under other, its distribution under busway.
struct PlantPower {
  Watts it;
  Watts cooling;
  Watts distribution;
  Watts fans;  // heat rejection, condenser and hall
  Watts pumps;
  Watts chiller;  // compressors
  Watts other;    // lights and controls
  Watts ups;
  Watts transformer;
  Watts busway;
  /// Heat of the cooled loop: IT, busway, UPS, hall fans, pumps, lights. Leaves as free + chilled.
  Watts loop_heat;
  Watts free_cooled_heat;
  Watts chilled_heat;
  double water_litres_per_second = 0;  // evaporated and blown down

  [[nodiscard]] MeterPower total() const { return {it + cooling + distribution}; }

  PlantPower& operator+=(const PlantPower& more);

  /// The same `share` of every part: for means over weather and time.
  [[nodiscard]] PlantPower operator*(double share) const;
};

/// A cooling plant of the catalog at one supply temperature.
class CoolingPlant {
 public:
  /// `plant` must outlive this. `supply` defaults to the plant's. Throws Error(bad_input) when it
  /// is outside the plant's range, or given for a plant with a constant PUE.
  explicit CoolingPlant(const catalog::CoolingPlant& plant, std::optional<Celsius> supply = {});

  // ---- constant PUE ---------------------------------------------------------------------------
  // Throw Error(bad_input) for a physical plant, whose power depends on design and weather.

  [[nodiscard]] MeterPower meter_for(ItPower it) const;

  /// The IT power this plant can carry with `meter` at the meter; inverse of meter_for.
  [[nodiscard]] ItPower it_carried_by(MeterPower meter) const;

  [[nodiscard]] PlantPower parts_at(ItPower it) const;

  // ---- any plant ------------------------------------------------------------------------------
  // `design` is the IT power the plant is built for. A constant-PUE plant ignores it and the
  // weather.

  /// Convex and rising in `it`, homogeneous of degree 1 in (it, design). REQUIRES for a physical
  /// plant: 0 <= it <= design and it <= it_limit(), both to 1e-6; throws Error(internal_error)
  /// otherwise. At it = 0 the heat of the standing losses is taken as carried.
  [[nodiscard]] PlantPower parts_at(ItPower it, ItPower design, const Weather& weather) const;

  /// The largest IT power whose heat this weather lets the plant carry; nothing when that is
  /// `design` or more. Only a plant without chiller has such a limit.
  [[nodiscard]] std::optional<ItPower> it_limit(ItPower design, const Weather& weather) const;

  /// The IT power in [0, min(design, it_limit())] with parts_at().total() equal to `meter`, to 1e-9
  /// relative; the nearer end where there is none.
  [[nodiscard]] ItPower it_carried_by(MeterPower meter, ItPower design,
                                      const Weather& weather) const;

  /// Whether free cooling alone can carry the heat of full load: the supply temperature is at least
  /// the approach above the bulb. Throws Error(bad_input) for a constant PUE.
  [[nodiscard]] bool is_chiller_free(const Weather& weather) const;

  /// GPU power at this supply temperature relative to the reference, by leakage; 1 for a constant
  /// PUE.
  [[nodiscard]] double gpu_power_ratio() const;

  [[nodiscard]] bool is_constant() const { return !plant_->physics; }

  /// The supply temperature in force; nothing for a constant PUE.
  [[nodiscard]] std::optional<Celsius> supply() const;

  [[nodiscard]] const catalog::CoolingPlant& data() const { return *plant_; }

 private:
  void require_constant() const;

  const catalog::CoolingPlant* plant_;
  Celsius supply_;
};

}  // namespace perwatt::facility
