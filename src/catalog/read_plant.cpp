#include <algorithm>
#include <utility>

#include "entry_reader.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::catalog {

namespace {

const std::vector<std::string> kPlantFigures = {"pue",
                                                "distribution_loss_ratio",
                                                "supply_celsius",
                                                "supply_min_celsius",
                                                "supply_max_celsius",
                                                "approach_kelvin",
                                                "fan_power_ratio",
                                                "fan_min_flow_ratio",
                                                "hall_fan_power_ratio",
                                                "hall_fan_min_flow_ratio",
                                                "pump_power_ratio",
                                                "pump_exponent",
                                                "pump_min_flow_ratio",
                                                "chiller_carnot_ratio",
                                                "condenser_approach_kelvin",
                                                "evaporator_approach_kelvin",
                                                "chiller_min_lift_kelvin",
                                                "condenser_fan_power_ratio",
                                                "cycles_of_concentration",
                                                "ups_design_load_ratio",
                                                "ups_no_load_loss_ratio",
                                                "ups_linear_loss_ratio",
                                                "ups_square_loss_ratio",
                                                "transformer_design_load_ratio",
                                                "transformer_no_load_loss_ratio",
                                                "transformer_load_loss_ratio",
                                                "busway_loss_ratio",
                                                "other_power_ratio",
                                                "gpu_leakage_ratio",
                                                "gpu_leakage_per_kelvin",
                                                "leakage_reference_celsius"};

/// Takes the figures of one plant and knows which of them its kind cannot do without or cannot
/// have.
class PhysicsReader {
 public:
  PhysicsReader(const ConfigTable& table, const CoolingPlant& plant)
      : table_{table}, plant_{plant} {}

  PhysicsReader(const PhysicsReader&) = delete;
  PhysicsReader& operator=(const PhysicsReader&) = delete;

  PlantPhysics read(Rejection rejection, bool has_chiller) {
    PlantPhysics physics;
    physics.rejection = rejection;
    read_supply(physics);
    read_movers(physics);
    read_rejection(physics);
    if (has_chiller) {
      read_chiller(physics.chiller.emplace());
    } else {
      for (const auto* name :
           {"chiller_carnot_ratio", "condenser_approach_kelvin", "evaporator_approach_kelvin",
            "chiller_min_lift_kelvin", "condenser_fan_power_ratio"}) {
        refuse(name, "the plant has no chiller (has_chiller = false)");
      }
    }
    read_distribution(physics);
    physics.gpu_leakage_ratio = value("gpu_leakage_ratio", kRatio);
    physics.gpu_leakage_per_kelvin = value("gpu_leakage_per_kelvin", {0, 0.1});
    physics.leakage_reference = celsius(value("leakage_reference_celsius", {0, 90}));
    return physics;
  }

 private:
  void read_supply(PlantPhysics& physics) const {
    physics.supply_min = celsius(value("supply_min_celsius", {0, 90}));
    physics.supply_max = celsius(value("supply_max_celsius", {0, 90}));
    physics.supply = celsius(value("supply_celsius", {0, 90}));
    if (physics.supply < physics.supply_min || physics.supply > physics.supply_max) {
      table_.fail("supply_celsius", "is " + shortest(in_celsius(physics.supply)),
                  "it must lie between supply_min_celsius and supply_max_celsius");
    }
  }

  void read_movers(PlantPhysics& physics) const {
    physics.pump_power_ratio = value("pump_power_ratio", kRatio);
    physics.pump_exponent = value("pump_exponent", {1, 3});
    physics.pump_min_flow_ratio = value("pump_min_flow_ratio", kRatio);
    if (plant_.medium == "air") {
      physics.hall_fan_power_ratio = value("hall_fan_power_ratio", kRatio);
      physics.hall_fan_min_flow_ratio = value("hall_fan_min_flow_ratio", kRatio);
    } else {
      refuse("hall_fan_power_ratio", "the medium is liquid");
      refuse("hall_fan_min_flow_ratio", "the medium is liquid");
    }
  }

  void read_rejection(PlantPhysics& physics) const {
    if (physics.rejection == Rejection::chiller) {
      for (const auto* name : {"approach_kelvin", "fan_power_ratio", "fan_min_flow_ratio"}) {
        refuse(name, "a plant with rejection = \"chiller\" has no free cooling");
      }
    } else {
      physics.approach_kelvin = value("approach_kelvin", {0.1, 60});
      physics.fan_power_ratio = value("fan_power_ratio", kRatio);
      physics.fan_min_flow_ratio = value("fan_min_flow_ratio", kRatio);
    }
    if (physics.rejection == Rejection::evaporative) {
      physics.cycles_of_concentration = value("cycles_of_concentration", {1.1, 100});
    } else {
      refuse("cycles_of_concentration", "only an evaporative plant uses water");
    }
  }

  void read_chiller(Chiller& chiller) const {
    chiller.carnot_ratio = value("chiller_carnot_ratio", {0.05, 1});
    chiller.condenser_approach_kelvin = value("condenser_approach_kelvin", {0, 60});
    chiller.evaporator_approach_kelvin = value("evaporator_approach_kelvin", {0, 60});
    chiller.min_lift_kelvin = value("chiller_min_lift_kelvin", {1, 60});
    chiller.condenser_fan_power_ratio = value("condenser_fan_power_ratio", kRatio);
  }

  void read_distribution(PlantPhysics& physics) const {
    physics.ups_design_load_ratio = value("ups_design_load_ratio", {0.05, 1});
    physics.ups_no_load_loss_ratio = value("ups_no_load_loss_ratio", {0, 0.2});
    physics.ups_linear_loss_ratio = value("ups_linear_loss_ratio", {0, 0.2});
    physics.ups_square_loss_ratio = value("ups_square_loss_ratio", {0, 0.2});
    physics.transformer_design_load_ratio = value("transformer_design_load_ratio", {0.05, 1});
    physics.transformer_no_load_loss_ratio = value("transformer_no_load_loss_ratio", {0, 0.1});
    physics.transformer_load_loss_ratio = value("transformer_load_loss_ratio", {0, 0.1});
    physics.busway_loss_ratio = value("busway_loss_ratio", {0, 0.2});
    physics.other_power_ratio = value("other_power_ratio", kRatio);
  }

  [[nodiscard]] double value(std::string_view name, Range range) const {
    const double number = EntryReader::require_value(table_, plant_, name);
    if (number < range.low || number > range.high) {
      table_.fail(name, "is " + shortest(number),
                  "it must be between " + shortest(range.low) + " and " + shortest(range.high));
    }
    return number;
  }

  void refuse(std::string_view name, const std::string& why) const {
    if (plant_.find(name) != nullptr) {
      table_.fail(name, "means nothing here: " + why, "remove it");
    }
  }

  const ConfigTable& table_;
  const CoolingPlant& plant_;
};

Rejection read_rejection(const ConfigTable& table, const std::string& text) {
  for (const auto& [name, rejection] :
       {std::pair{"dry", Rejection::dry}, std::pair{"evaporative", Rejection::evaporative},
        std::pair{"chiller", Rejection::chiller}}) {
    if (text == name) {
      return rejection;
    }
  }
  table.fail("rejection", "is '" + printable(text) + "'", "use dry, evaporative or chiller");
}

void read_constant(const ConfigTable& table, CoolingPlant& plant) {
  for (const auto& figure : plant.figures) {
    if (figure.name != "pue" && figure.name != "distribution_loss_ratio") {
      table.fail(figure.name, "belongs to a physical plant",
                 "add rejection and remove pue, or remove this figure");
    }
  }
  plant.pue = EntryReader::require_figure(table, plant, "pue");
  plant.distribution_loss_ratio =
      EntryReader::require_figure(table, plant, "distribution_loss_ratio");
  const double loss = plant.distribution_loss_ratio.value;
  if (plant.pue.value < 1.0 || plant.pue.value > 10.0) {
    table.fail("pue", "is " + shortest(plant.pue.value),
               "it is meter / IT power, between 1 and 10");
  }
  if (loss > plant.pue.value - 1.0) {
    table.fail(
        "distribution_loss_ratio", "is " + shortest(loss),
        "pue contains this loss, so it is at most pue - 1 = " + shortest(plant.pue.value - 1.0));
  }
}

void read_physics(const ConfigTable& table, Rejection rejection, std::optional<bool> has_chiller,
                  CoolingPlant& plant) {
  for (const auto* name : {"pue", "distribution_loss_ratio"}) {
    if (plant.find(name) != nullptr) {
      table.fail(name, "stands beside rejection",
                 "give a constant PUE or a physical model, not both");
    }
  }
  if (rejection == Rejection::chiller && has_chiller == false) {
    table.fail("has_chiller", "is false with rejection = \"chiller\"", "remove the key");
  }
  if (rejection != Rejection::chiller && !has_chiller) {
    table.fail("has_chiller", "is missing", "add has_chiller = true or false");
  }
  plant.physics = PhysicsReader{table, plant}.read(rejection, has_chiller.value_or(true));
  plant.pue.tag = Tag::measured;
  for (const auto& figure : plant.figures) {
    plant.pue.tag = weaker(plant.pue.tag, figure.figure.tag);
  }
  plant.distribution_loss_ratio.tag = plant.pue.tag;
}

}  // namespace

CoolingPlant read_plant(const ConfigTable& table, EntryReader& reader) {
  CoolingPlant plant;
  EntryReader::read_identity(table, plant);
  plant.medium = table.text("medium");
  if (plant.medium != "air" && plant.medium != "liquid") {
    table.fail("medium", "is '" + printable(plant.medium) + "'", "use air or liquid");
  }
  const auto rejection = table.optional_text("rejection");
  const auto has_chiller = table.optional_flag("has_chiller");
  reader.read_figures(table, plant, kPlantFigures);
  if (rejection) {
    read_physics(table, read_rejection(table, *rejection), has_chiller, plant);
  } else {
    if (has_chiller) {
      table.fail("has_chiller", "stands without rejection",
                 "add rejection = \"dry\", \"evaporative\" or \"chiller\", or remove the key");
    }
    read_constant(table, plant);
  }
  return plant;
}

}  // namespace perwatt::catalog
