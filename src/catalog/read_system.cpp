#include <cstdint>

#include "entry_reader.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::catalog {

namespace {

constexpr std::int64_t kMostParts = 100000;

const std::vector<std::string> kSystemFigures = {"fixed_dc_watts",
                                                 "fan_nameplate_watts",
                                                 "fan_min_pwm_ratio",
                                                 "fan_max_pwm_ratio",
                                                 "fan_full_load_watts",
                                                 "psu_share_capacity_watts",
                                                 "psu_modeled_capacity_watts",
                                                 "network_watts",
                                                 "cpu_watts",
                                                 "cpu_max_watts",
                                                 "tray_aux_watts",
                                                 "board_air_heat_watts",
                                                 "tray_fan_rated_watts",
                                                 "fan_min_speed_ratio",
                                                 "fan_max_speed_ratio",
                                                 "tray_design_air_heat_watts",
                                                 "tray_converter_capacity_watts",
                                                 "switch_tray_watts",
                                                 "psu_capacity_watts",
                                                 "shelf_controller_watts",
                                                 "rack_power_limit_watts",
                                                 "capex_usd_per_gpu",
                                                 "lifetime_years"};

std::string psu_reference(const ConfigTable& table, EntryReader& reader) {
  auto id = table.text("psu_curve");
  reader.refer({"PSU curve", id, table.where("psu_curve")});
  return id;
}

void read_chassis(const ConfigTable& table, System& system, EntryReader& reader) {
  ChassisChain chain;
  chain.psu_curve = psu_reference(table, reader);
  reader.read_figures(table, system, kSystemFigures);
  chain.fixed_dc = EntryReader::require_watts(table, system, "fixed_dc_watts");
  chain.fan_nameplate = EntryReader::require_watts(table, system, "fan_nameplate_watts");
  chain.fan_min_pwm_ratio = EntryReader::require_value(table, system, "fan_min_pwm_ratio");
  chain.fan_max_pwm_ratio = EntryReader::require_value(table, system, "fan_max_pwm_ratio");
  chain.fan_full_load = EntryReader::require_watts(table, system, "fan_full_load_watts");
  chain.psu_share_capacity = EntryReader::require_watts(table, system, "psu_share_capacity_watts");
  chain.psu_modeled_capacity =
      EntryReader::require_watts(table, system, "psu_modeled_capacity_watts");
  chain.network = EntryReader::require_watts(table, system, "network_watts");
  for (const auto* key : {"fan_full_load_watts", "psu_share_capacity_watts"}) {
    if (EntryReader::require_value(table, system, key) <= 0) {
      table.fail(key, "is 0", "it divides a load, so it must be above 0");
    }
  }
  if (chain.fan_min_pwm_ratio > chain.fan_max_pwm_ratio) {
    table.fail("fan_min_pwm_ratio", "is above fan_max_pwm_ratio", "swap them");
  }
  system.chain = chain;
}

void read_rack_scale(const ConfigTable& table, System& system, EntryReader& reader) {
  RackScaleChain chain;
  const auto count = [&](std::string_view key) {
    return static_cast<int>(table.integer(key, 1, kMostParts));
  };
  chain.compute_trays = count("compute_trays");
  chain.boards_per_tray = count("boards_per_tray");
  chain.gpus_per_board = count("gpus_per_board");
  chain.tray_fans = static_cast<int>(table.integer("tray_fans", 0, kMostParts));
  chain.switch_trays = static_cast<int>(table.integer("switch_trays", 0, kMostParts));
  chain.power_shelves = count("power_shelves");
  chain.psus_per_shelf = count("psus_per_shelf");
  chain.converter_load_ratio = table.numbers("converter_load_ratio", kRatio);
  chain.converter_loss_watts = table.numbers("converter_loss_watts", kNotNegative);
  EntryReader::check_axis(table, "converter_load_ratio", chain.converter_load_ratio,
                          "converter_loss_watts", chain.converter_loss_watts.size());
  reader.use_source(table.text("converter_source"), table.where("converter_source"));
  chain.psu_curve = psu_reference(table, reader);
  reader.read_figures(table, system, kSystemFigures);
  chain.cpu = EntryReader::require_watts(table, system, "cpu_watts");
  chain.cpu_max = EntryReader::require_watts(table, system, "cpu_max_watts");
  chain.tray_aux = EntryReader::require_watts(table, system, "tray_aux_watts");
  chain.board_air_heat = EntryReader::require_watts(table, system, "board_air_heat_watts");
  chain.tray_fan_rated = EntryReader::require_watts(table, system, "tray_fan_rated_watts");
  chain.fan_min_speed_ratio = EntryReader::require_value(table, system, "fan_min_speed_ratio");
  chain.fan_max_speed_ratio = EntryReader::require_value(table, system, "fan_max_speed_ratio");
  chain.tray_design_air_heat =
      EntryReader::require_watts(table, system, "tray_design_air_heat_watts");
  chain.tray_converter_capacity =
      EntryReader::require_watts(table, system, "tray_converter_capacity_watts");
  chain.switch_tray = EntryReader::require_watts(table, system, "switch_tray_watts");
  chain.psu_capacity = EntryReader::require_watts(table, system, "psu_capacity_watts");
  chain.shelf_controller = EntryReader::require_watts(table, system, "shelf_controller_watts");
  chain.network = EntryReader::require_watts(table, system, "network_watts");
  for (const auto* key :
       {"tray_design_air_heat_watts", "tray_converter_capacity_watts", "psu_capacity_watts"}) {
    if (EntryReader::require_value(table, system, key) <= 0) {
      table.fail(key, "is 0", "it divides a load, so it must be above 0");
    }
  }
  if (chain.fan_min_speed_ratio > chain.fan_max_speed_ratio) {
    table.fail("fan_min_speed_ratio", "is above fan_max_speed_ratio", "swap them");
  }
  const auto gpus =
      static_cast<std::int64_t>(chain.compute_trays) * chain.boards_per_tray * chain.gpus_per_board;
  if (gpus != system.gpus_per_node) {
    table.fail("gpus_per_node",
               "is " + std::to_string(system.gpus_per_node) + " but trays x boards x GPUs is " +
                   std::to_string(gpus),
               "make them equal");
  }
  system.chain = chain;
}

}  // namespace

System read_system(const ConfigTable& table, EntryReader& reader) {
  System system;
  EntryReader::read_identity(table, system);
  system.accelerator = table.text("accelerator");
  system.cooling_plant = table.text("cooling_plant");
  system.gpus_per_node = static_cast<int>(table.integer("gpus_per_node", 1, 4096));
  system.nodes_per_rack = static_cast<int>(table.integer("nodes_per_rack", 1, 256));
  reader.refer({"accelerator", system.accelerator, table.where("accelerator")});
  reader.refer({"cooling plant", system.cooling_plant, table.where("cooling_plant")});
  const auto chain = table.text("chain");
  if (chain == "chassis") {
    read_chassis(table, system, reader);
  } else if (chain == "rack-scale") {
    read_rack_scale(table, system, reader);
  } else {
    table.fail("chain", "is '" + printable(chain) + "'", "use chassis or rack-scale");
  }
  for (const auto& figure : system.figures) {
    if (figure.name != "capex_usd_per_gpu" && figure.name != "lifetime_years") {
      system.chain_tag = weaker(system.chain_tag, figure.figure.tag);
    }
  }
  if (const auto* lifetime = system.find("lifetime_years");
      lifetime != nullptr && lifetime->value <= 0) {
    table.fail("lifetime_years", "is 0", "give the years over which the system is paid off");
  }
  if (const auto* capex = system.find("capex_usd_per_gpu")) {
    system.capex_per_gpu = {usd(capex->value), capex->tag, capex->source, capex->note};
  }
  return system;
}

}  // namespace perwatt::catalog
