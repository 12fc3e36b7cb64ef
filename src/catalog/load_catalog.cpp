#include <algorithm>
#include <iterator>
#include <system_error>
#include <utility>

#include "perwatt/base/config.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/catalog/catalog.hpp"

namespace perwatt::catalog {

namespace fs = std::filesystem;

namespace {

/// Names a file may use. A name outside its list is an error, not a figure nobody reads.
const std::vector<std::string> kAcceleratorFigures = {"tdp_watts",
                                                      "power_min_watts",
                                                      "power_max_watts",
                                                      "idle_watts",
                                                      "memory_gb",
                                                      "memory_bandwidth_tb_per_s",
                                                      "dense_fp64_tflops",
                                                      "dense_fp64_tensor_tflops",
                                                      "dense_tf32_tflops",
                                                      "dense_bf16_tflops",
                                                      "dense_fp8_tflops",
                                                      "dense_int8_tops",
                                                      "dense_fp4_tflops",
                                                      "scale_up_size_gpus",
                                                      "scale_up_bandwidth_gb_per_s",
                                                      "scale_out_gbit_per_s"};
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
const std::vector<std::string> kPlantFigures = {"pue", "distribution_loss_ratio"};
const std::vector<std::string> kModelFigures = {"total_parameters_billions",
                                                "active_parameters_billions"};
constexpr std::int64_t kMostParts = 100000;

Tag read_tag(const ConfigTable& table) {
  const auto text = table.text("tag");
  const auto tag = parse_tag(text);
  if (!tag) {
    table.fail("tag", "is '" + printable(text) + "'",
               "use measured, derived, interpolated, modelled, published or assumed");
  }
  return *tag;
}

}  // namespace

class Loader {
 public:
  void load_folder(const fs::path& folder) {
    std::error_code status;
    if (!fs::is_directory(folder, status)) {
      throw_bad_input("is not a folder", folder.string(), "name a folder of catalog TOML files");
    }
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator{folder, status}) {
      if (entry.path().extension() == ".toml") {
        files.push_back(entry.path());
      }
    }
    if (files.empty()) {
      throw_bad_input("holds no .toml file", folder.string(), "name a folder of catalog files");
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
      load_document(ConfigTable::parse(read_file(file), file.string()));
    }
  }

  Catalog finish() {
    index(catalog_.accelerators_, catalog_.accelerator_names_);
    index(catalog_.systems_, catalog_.system_names_);
    index(catalog_.plants_, catalog_.plant_names_);
    index(catalog_.models_, catalog_.model_names_);
    check_references();
    use_ids();
    return std::move(catalog_);
  }

 private:
  // ---- one document -------------------------------------------------------------------------

  void load_document(const ConfigTable& document) {
    for (const auto& table : document.tables("source")) {
      read_source(table);
    }
    for (const auto& table : document.tables("psu_curve")) {
      read_psu_curve(table);
    }
    for (const auto& table : document.tables("accelerator")) {
      replace_or_add(catalog_.accelerators_, read_accelerator(table));
    }
    for (const auto& table : document.tables("system")) {
      replace_or_add(catalog_.systems_, read_system(table));
    }
    for (const auto& table : document.tables("cooling_plant")) {
      replace_or_add(catalog_.plants_, read_plant(table));
    }
    for (const auto& table : document.tables("model")) {
      replace_or_add(catalog_.models_, read_model(table));
    }
    for (const auto& table : document.tables("price_table")) {
      replace_or_add(catalog_.price_tables_, read_price_table(table));
    }
    for (const auto& table : document.tables("token_price")) {
      read_token_price(table);
    }
    for (const auto& table : document.tables("energy_price")) {
      read_energy_price(table);
    }
    if (const auto finance = document.optional_table("finance")) {
      read_finance(*finance);
    }
    document.reject_unknown_keys();
  }

  template <class T>
  static void replace_or_add(std::vector<T>& entries, T entry) {
    for (auto& existing : entries) {
      if (existing.id == entry.id) {
        existing = std::move(entry);
        return;
      }
    }
    entries.push_back(std::move(entry));
  }

  // ---- figures ------------------------------------------------------------------------------

  /// A source id that is checked once everything is loaded.
  std::string source_ref(const ConfigTable& table) {
    auto id = table.text("source");
    source_uses_.emplace_back(id, table.where("source"));
    return id;
  }

  Sourced<double> read_figure(const ConfigTable& parent, std::string_view key, Range range) {
    const auto table = parent.optional_table(key);
    if (!table) {
      parent.fail(key, "is missing",
                  "add " + std::string{key} + " = { value = …, source = \"…\", tag = \"…\" }");
    }
    Sourced<double> figure;
    figure.value = table->number("value", range);
    figure.tag = read_tag(*table);
    figure.source = source_ref(*table);
    figure.note = table->optional_text("note").value_or("");
    table->reject_unknown_keys();
    return figure;
  }

  /// All keys of the entry that were not read yet are figures; only `known` names are taken.
  void read_figures(const ConfigTable& table, Entry& entry,
                    const std::vector<std::string>& known) {
    for (const auto& key : table.unread_keys()) {
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        table.fail(key, "is not a key that is known here", suggestion(key, known));
      }
      const bool is_ratio = key.ends_with("_ratio");
      entry.figures.push_back({key, read_figure(table, key, is_ratio ? kRatio : kNotNegative)});
    }
  }

  static Watts require_watts(const ConfigTable& table, const Entry& entry, std::string_view name) {
    return watts(require_value(table, entry, name));
  }

  static double require_value(const ConfigTable& table, const Entry& entry,
                              std::string_view name) {
    return require_figure(table, entry, name).value;
  }

  static const Sourced<double>& require_figure(const ConfigTable& table, const Entry& entry,
                                               std::string_view name) {
    const auto* figure = entry.find(name);
    if (figure == nullptr) {
      table.fail(name, "is missing",
                 "add " + std::string{name} + " = { value = …, source = \"…\", tag = \"…\" }");
    }
    return *figure;
  }

  static Sourced<Watts> sourced_watts(const Sourced<double>& figure) {
    return {watts(figure.value), figure.tag, figure.source, figure.note};
  }

  static std::optional<double> scaled(const Entry& entry, std::string_view name, double factor) {
    const auto* figure = entry.find(name);
    return figure == nullptr ? std::nullopt : std::optional{figure->value * factor};
  }

  static void read_identity(const ConfigTable& table, Entry& entry) {
    entry.id = table.text("id");
    if (entry.id != lower_case(entry.id) || entry.id.find(' ') != std::string::npos) {
      table.fail("id", "is '" + printable(entry.id) + "'", "write it in lower case without blanks");
    }
    entry.name = table.optional_text("name").value_or(entry.id);
    entry.aliases = table.texts("aliases");
    entry.note = table.optional_text("note").value_or("");
    entry.defined_at = table.where("id");
  }

  // ---- entries ------------------------------------------------------------------------------

  void read_source(const ConfigTable& table) {
    Source source;
    source.id = table.text("id");
    source.title = table.text("title");
    source.publisher = table.text("publisher");
    source.url = table.optional_text("url").value_or("");
    source.date = table.text("date");
    source.licence = table.optional_text("licence").value_or("");
    table.reject_unknown_keys();
    catalog_.sources_[source.id] = source;
  }

  void read_psu_curve(const ConfigTable& table) {
    PsuCurve curve;
    curve.id = table.text("id");
    curve.load_ratio = table.numbers("load_ratio", kRatio);
    curve.efficiency_ratio = table.numbers("efficiency_ratio", {0.01, 1.0});
    curve.tag = read_tag(table);
    curve.source = source_ref(table);
    curve.note = table.optional_text("note").value_or("");
    check_axis(table, "load_ratio", curve.load_ratio, "efficiency_ratio",
               curve.efficiency_ratio.size());
    table.reject_unknown_keys();
    catalog_.psu_curves_[curve.id] = curve;
  }

  static void check_axis(const ConfigTable& table, std::string_view key,
                         const std::vector<double>& axis, std::string_view other_key,
                         std::size_t other_size) {
    if (axis.size() < 2 || std::adjacent_find(axis.begin(), axis.end(), std::greater_equal<>{}) !=
                               axis.end()) {
      table.fail(key, "needs at least two numbers, each above the one before", "sort them");
    }
    if (other_size != axis.size()) {
      table.fail(other_key, "has " + std::to_string(other_size) + " numbers",
                 "give one for each of the " + std::to_string(axis.size()) + " in " +
                     std::string{key});
    }
  }

  Accelerator read_accelerator(const ConfigTable& table) {
    Accelerator accelerator;
    read_identity(table, accelerator);
    accelerator.vendor = table.text("vendor");
    accelerator.architecture = table.text("architecture");
    read_figures(table, accelerator, kAcceleratorFigures);
    accelerator.tdp = sourced_watts(require_figure(table, accelerator, "tdp_watts"));
    if (accelerator.tdp.value <= Watts{}) {
      table.fail("tdp_watts", "is 0", "give the board power limit the accelerator ships with");
    }
    if (const auto* idle = accelerator.find("idle_watts")) {
      accelerator.idle = sourced_watts(*idle);
    }
    accelerator.dense_bf16_flops = scaled(accelerator, "dense_bf16_tflops", 1e12);
    accelerator.dense_fp8_flops = scaled(accelerator, "dense_fp8_tflops", 1e12);
    accelerator.dense_fp4_flops = scaled(accelerator, "dense_fp4_tflops", 1e12);
    accelerator.memory_bytes_per_second = scaled(accelerator, "memory_bandwidth_tb_per_s", 1e12);
    return accelerator;
  }

  System read_system(const ConfigTable& table) {
    System system;
    read_identity(table, system);
    system.accelerator = table.text("accelerator");
    system.cooling_plant = table.text("cooling_plant");
    system.gpus_per_node = static_cast<int>(table.integer("gpus_per_node", 1, 4096));
    system.nodes_per_rack = static_cast<int>(table.integer("nodes_per_rack", 1, 256));
    references_.push_back({"accelerator", system.accelerator, table.where("accelerator")});
    references_.push_back({"cooling plant", system.cooling_plant, table.where("cooling_plant")});
    const auto chain = table.text("chain");
    if (chain == "chassis") {
      read_chassis(table, system);
    } else if (chain == "rack-scale") {
      read_rack_scale(table, system);
    } else {
      table.fail("chain", "is '" + printable(chain) + "'", "use chassis or rack-scale");
    }
    for (const auto& figure : system.figures) {
      if (figure.name != "capex_usd_per_gpu" && figure.name != "lifetime_years") {
        system.chain_tag = weaker(system.chain_tag, figure.figure.tag);
      }
    }
    if (const auto* capex = system.find("capex_usd_per_gpu")) {
      system.capex_per_gpu = {usd(capex->value), capex->tag, capex->source, capex->note};
    }
    return system;
  }

  std::string psu_reference(const ConfigTable& table) {
    auto id = table.text("psu_curve");
    references_.push_back({"PSU curve", id, table.where("psu_curve")});
    return id;
  }

  void read_chassis(const ConfigTable& table, System& system) {
    ChassisChain chain;
    chain.psu_curve = psu_reference(table);
    read_figures(table, system, kSystemFigures);
    chain.fixed_dc = require_watts(table, system, "fixed_dc_watts");
    chain.fan_nameplate = require_watts(table, system, "fan_nameplate_watts");
    chain.fan_min_pwm_ratio = require_value(table, system, "fan_min_pwm_ratio");
    chain.fan_max_pwm_ratio = require_value(table, system, "fan_max_pwm_ratio");
    chain.fan_full_load = require_watts(table, system, "fan_full_load_watts");
    chain.psu_share_capacity = require_watts(table, system, "psu_share_capacity_watts");
    chain.psu_modeled_capacity = require_watts(table, system, "psu_modeled_capacity_watts");
    chain.network = require_watts(table, system, "network_watts");
    for (const auto* key : {"fan_full_load_watts", "psu_share_capacity_watts"}) {
      if (require_value(table, system, key) <= 0) {
        table.fail(key, "is 0", "it divides a load, so it must be above 0");
      }
    }
    if (chain.fan_min_pwm_ratio > chain.fan_max_pwm_ratio) {
      table.fail("fan_min_pwm_ratio", "is above fan_max_pwm_ratio", "swap them");
    }
    system.chain = chain;
  }

  void read_rack_scale(const ConfigTable& table, System& system) {
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
    check_axis(table, "converter_load_ratio", chain.converter_load_ratio, "converter_loss_watts",
               chain.converter_loss_watts.size());
    source_uses_.emplace_back(table.text("converter_source"), table.where("converter_source"));
    chain.psu_curve = psu_reference(table);
    read_figures(table, system, kSystemFigures);
    chain.cpu = require_watts(table, system, "cpu_watts");
    chain.cpu_max = require_watts(table, system, "cpu_max_watts");
    chain.tray_aux = require_watts(table, system, "tray_aux_watts");
    chain.board_air_heat = require_watts(table, system, "board_air_heat_watts");
    chain.tray_fan_rated = require_watts(table, system, "tray_fan_rated_watts");
    chain.fan_min_speed_ratio = require_value(table, system, "fan_min_speed_ratio");
    chain.fan_max_speed_ratio = require_value(table, system, "fan_max_speed_ratio");
    chain.tray_design_air_heat = require_watts(table, system, "tray_design_air_heat_watts");
    chain.tray_converter_capacity = require_watts(table, system, "tray_converter_capacity_watts");
    chain.switch_tray = require_watts(table, system, "switch_tray_watts");
    chain.psu_capacity = require_watts(table, system, "psu_capacity_watts");
    chain.shelf_controller = require_watts(table, system, "shelf_controller_watts");
    chain.network = require_watts(table, system, "network_watts");
    for (const auto* key :
         {"tray_design_air_heat_watts", "tray_converter_capacity_watts", "psu_capacity_watts"}) {
      if (require_value(table, system, key) <= 0) {
        table.fail(key, "is 0", "it divides a load, so it must be above 0");
      }
    }
    if (chain.fan_min_speed_ratio > chain.fan_max_speed_ratio) {
      table.fail("fan_min_speed_ratio", "is above fan_max_speed_ratio", "swap them");
    }
    const int gpus = chain.compute_trays * chain.boards_per_tray * chain.gpus_per_board;
    if (gpus != system.gpus_per_node) {
      table.fail("gpus_per_node",
                 "is " + std::to_string(system.gpus_per_node) + " but trays x boards x GPUs is " +
                     std::to_string(gpus),
                 "make them equal");
    }
    system.chain = chain;
  }

  CoolingPlant read_plant(const ConfigTable& table) {
    CoolingPlant plant;
    read_identity(table, plant);
    plant.medium = table.text("medium");
    if (plant.medium != "air" && plant.medium != "liquid") {
      table.fail("medium", "is '" + printable(plant.medium) + "'", "use air or liquid");
    }
    read_figures(table, plant, kPlantFigures);
    plant.pue = require_figure(table, plant, "pue");
    plant.distribution_loss_ratio = require_figure(table, plant, "distribution_loss_ratio");
    const double loss = plant.distribution_loss_ratio.value;
    if (plant.pue.value < 1.0 || plant.pue.value > 10.0) {
      table.fail("pue", "is " + shortest(plant.pue.value),
                 "it is meter / IT power, between 1 and 10");
    }
    if (loss > plant.pue.value - 1.0) {
      table.fail("distribution_loss_ratio", "is " + shortest(loss),
                 "pue contains this loss, so it is at most pue - 1 = " +
                     shortest(plant.pue.value - 1.0));
    }
    return plant;
  }

  Model read_model(const ConfigTable& table) {
    Model model;
    read_identity(table, model);
    model.vendor = table.text("vendor");
    model.kind = table.text("kind");
    if (model.kind != "dense" && model.kind != "moe" && model.kind != "hybrid") {
      table.fail("kind", "is '" + printable(model.kind) + "'", "use dense, moe or hybrid");
    }
    static_cast<void>(table.optional_text("licence"));
    for (const auto& score : table.tables("quality")) {
      model.quality.push_back({score.text("benchmark"), score.number("score", {0, 100}),
                               score.text("date"), source_ref(score),
                               score.optional_text("note").value_or("")});
      score.reject_unknown_keys();
    }
    read_figures(table, model, kModelFigures);
    model.total_parameters = scaled(model, "total_parameters_billions", 1e9);
    model.active_parameters = scaled(model, "active_parameters_billions", 1e9);
    return model;
  }

  PriceTable read_price_table(const ConfigTable& table) {
    PriceTable prices;
    prices.id = table.text("id");
    prices.date = table.text("date");
    prices.source = source_ref(table);
    prices.tag = read_tag(table);
    prices.defined_at = table.where("id");
    const auto electricity = read_figure(table, "electricity_usd_per_kwh", kNotNegative);
    prices.electricity = {usd_per_kwh(electricity.value), electricity.tag, electricity.source,
                          electricity.note};
    const auto hourly = [](const ConfigTable& row, std::string_view key) {
      const auto value = row.optional_number(key, kNotNegative);
      return value ? std::optional{usd_per_hour(*value)} : std::nullopt;
    };
    for (const auto& row : table.tables("accelerator")) {
      AcceleratorPrice price;
      const auto accelerator = row.text("accelerator");
      references_.push_back({"accelerator", accelerator, row.where("accelerator")});
      price.tco_hyperscaler = hourly(row, "tco_hyperscaler_usd_per_gpu_hour");
      price.tco_neocloud = hourly(row, "tco_neocloud_usd_per_gpu_hour");
      price.rental = hourly(row, "rental_usd_per_gpu_hour");
      if (const auto kw = row.optional_number("allin_facility_kw_per_gpu", kNotNegative)) {
        price.allin_facility = kilowatts(*kw);
      }
      static_cast<void>(row.optional_text("note"));
      row.reject_unknown_keys();
      prices.accelerators[accelerator] = price;
    }
    static_cast<void>(table.optional_text("note"));
    table.reject_unknown_keys();
    return prices;
  }

  void read_token_price(const ConfigTable& table) {
    TokenPrice price;
    price.model = table.text("model");
    references_.push_back({"model", price.model, table.where("model")});
    price.date = table.text("date");
    price.source = source_ref(table);
    price.input = usd_per_million_tokens(table.number("input_usd_per_million", kNotNegative));
    if (const auto cached = table.optional_number("cached_input_usd_per_million", kNotNegative)) {
      price.cached_input = usd_per_million_tokens(*cached);
    }
    price.output = usd_per_million_tokens(table.number("output_usd_per_million", kNotNegative));
    static_cast<void>(table.optional_text("note"));
    table.reject_unknown_keys();
    catalog_.token_prices_.push_back(price);
  }

  void read_energy_price(const ConfigTable& table) {
    EnergyPrice price;
    price.id = table.text("id");
    price.region = table.text("region");
    price.price = usd_per_kwh(table.number("usd_per_kwh", kNotNegative));
    price.date = table.text("date");
    price.source = source_ref(table);
    static_cast<void>(table.optional_text("note"));
    table.reject_unknown_keys();
    replace_or_add(catalog_.energy_prices_, price);
  }

  void read_finance(const ConfigTable& table) {
    Finance& finance = catalog_.finance_;
    finance.cost_of_capital_ratio = read_figure(table, "cost_of_capital_ratio", kRatio);
    finance.facility_capex_usd_per_it_watt =
        read_figure(table, "facility_capex_usd_per_it_watt", kNotNegative);
    finance.facility_lifetime_years = read_figure(table, "facility_lifetime_years", kPositive);
    finance.server_lifetime_years = read_figure(table, "server_lifetime_years", kPositive);
    finance.opex_ratio_per_year = read_figure(table, "opex_ratio_per_year", kRatio);
    table.reject_unknown_keys();
  }

  // ---- the whole ----------------------------------------------------------------------------

  template <class T>
  static void index(const std::vector<T>& entries,
                    std::map<std::string, std::size_t, std::less<>>& names) {
    const auto add = [&](const std::string& name, std::size_t i) {
      const auto [at, added] = names.emplace(lower_case(name), i);
      if (!added && at->second != i) {
        throw_bad_input("the name '" + printable(name) + "' already stands for '" +
                            entries[at->second].id + "'",
                        entries[i].defined_at, "use each id and alias once");
      }
    };
    for (std::size_t i = 0; i < entries.size(); ++i) {
      add(entries[i].id, i);
      for (const auto& alias : entries[i].aliases) {
        add(alias, i);
      }
    }
  }

  void check_references() const {
    for (const auto& [id, where] : source_uses_) {
      if (!catalog_.sources_.contains(id)) {
        std::vector<std::string> known;
        for (const auto& [known_id, source] : catalog_.sources_) {
          known.push_back(known_id);
        }
        throw_bad_input("the source '" + printable(id) + "' is not declared", where,
                        "add a [[source]] with this id; " + suggestion(id, known));
      }
    }
    for (const auto& reference : references_) {
      if (reference.kind == "accelerator") {
        static_cast<void>(catalog_.accelerator(reference.id, reference.where));
      } else if (reference.kind == "model") {
        static_cast<void>(catalog_.model(reference.id, reference.where));
      } else if (reference.kind == "cooling plant") {
        static_cast<void>(catalog_.cooling_plant(reference.id, reference.where));
      } else if (!catalog_.psu_curves_.contains(reference.id)) {
        throw_bad_input("the PSU curve '" + printable(reference.id) + "' is not declared",
                        reference.where, "add a [[psu_curve]] with this id");
      }
    }
  }

  /// Turns names that refer to entries by an alias into their ids.
  void use_ids() {
    for (auto& system : catalog_.systems_) {
      system.accelerator = catalog_.find_accelerator(system.accelerator)->id;
      system.cooling_plant = catalog_.cooling_plant(system.cooling_plant, system.defined_at).id;
    }
    for (auto& table : catalog_.price_tables_) {
      std::map<std::string, AcceleratorPrice, std::less<>> by_id;
      for (const auto& [name, price] : table.accelerators) {
        by_id[catalog_.find_accelerator(name)->id] = price;
      }
      table.accelerators = std::move(by_id);
    }
    for (auto& price : catalog_.token_prices_) {
      price.model = catalog_.find_model(price.model)->id;
    }
  }

  struct Reference {
    std::string kind;
    std::string id;
    std::string where;
  };

  Catalog catalog_;
  std::vector<std::pair<std::string, std::string>> source_uses_;  // id, where
  std::vector<Reference> references_;
};

Catalog Catalog::load(const std::vector<fs::path>& folders) {
  Loader loader;
  for (const auto& folder : folders) {
    loader.load_folder(folder);
  }
  return loader.finish();
}

}  // namespace perwatt::catalog
