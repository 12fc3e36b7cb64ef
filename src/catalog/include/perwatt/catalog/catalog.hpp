// The catalog: accelerators, systems, cooling plants, climates, models and prices, every figure
// with its source.
//
// Read from the shipped data/catalog and any folders given on top, whose entries replace those with
// the same id whole. Immutable once loaded; safe to read from many threads.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "perwatt/base/celsius.hpp"
#include "perwatt/base/tag.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/catalog/climate.hpp"

namespace perwatt::catalog {

/// Precisions of weights. fp4 is NVFP4, and in measured points any 4-bit float (MXFP4 too).
inline constexpr std::array<std::string_view, 4> kPrecisions = {"bf16", "fp8", "fp4", "mxfp4"};

[[nodiscard]] bool is_precision(std::string_view text);

struct Source {
  std::string id;
  std::string title;
  std::string publisher;
  std::string url;      // empty when there is no public page
  std::string date;     // YYYY-MM or YYYY-MM-DD
  std::string licence;  // empty when none is stated
};

/// A figure with the place it was taken from.
template <class T>
struct Sourced {
  T value{};
  Tag tag = Tag::published;
  std::string source;  // id of a Source
  std::string note;
};

/// A figure as the file names it ("tdp_watts"): what `catalog show` prints and later models read.
struct Figure {
  std::string name;
  Sourced<double> figure;
};

/// What all kinds of entries share.
struct Entry {
  std::string id;
  std::string name;
  std::vector<std::string> aliases;
  std::string note;
  std::vector<Figure> figures;  // by name
  std::string defined_at;       // file:line

  /// The figure called `figure_name`, or nothing.
  [[nodiscard]] const Sourced<double>* find(std::string_view figure_name) const;
};

struct Accelerator : Entry {
  std::string vendor;
  std::string architecture;
  Sourced<Watts> tdp;                      // board
  std::optional<Sourced<Watts>> idle;      // board, no work
  std::optional<double> dense_bf16_flops;  // FLOP/s
  std::optional<double> dense_fp8_flops;
  std::optional<double> dense_fp4_flops;
  std::optional<double> memory_bytes_per_second;

  /// Dense peak for weights of `precision` ("bf16", "fp8", "fp4", "mxfp4"): the rate of the
  /// narrowest unit the accelerator has that is at least as wide as the weights.
  [[nodiscard]] std::optional<double> peak_flops(std::string_view precision) const;
};

/// Efficiency of a power supply as a piecewise-linear function of its load.
struct PsuCurve {
  std::string id;
  std::vector<double> load_ratio;        // rising
  std::vector<double> efficiency_ratio;  // in (0, 1]
  Tag tag = Tag::published;
  std::string source;
  std::string note;
};

/// Power chain of a chassis with its own fans and power supplies; docs/model/facility.md#chassis.
struct ChassisChain {
  Watts fixed_dc;  // host CPUs, memory, storage, NICs; DC
  Watts fan_nameplate;
  double fan_min_pwm_ratio = 0;
  double fan_max_pwm_ratio = 0;
  Watts fan_full_load;         // DC heat at which the fans reach fan_max_pwm_ratio
  Watts psu_share_capacity;    // capacity the load ratio of the PSU curve refers to
  Watts psu_modeled_capacity;  // more DC than this is an overload
  Watts network;               // share of switches and optics per node; AC
  std::string psu_curve;
};

/// Power chain of a rack-scale system with trays and power shelves;
/// docs/model/facility.md#rack-scale.
struct RackScaleChain {
  int compute_trays = 0;
  int boards_per_tray = 0;
  int gpus_per_board = 0;
  Watts cpu;      // per board, serving
  Watts cpu_max;  // per board, reserved
  Watts tray_aux;
  Watts board_air_heat;
  int tray_fans = 0;
  Watts tray_fan_rated;
  double fan_min_speed_ratio = 0;
  double fan_max_speed_ratio = 0;
  Watts tray_design_air_heat;
  Watts tray_converter_capacity;
  std::vector<double> converter_load_ratio;  // rising from 0
  std::vector<double> converter_loss_watts;
  int switch_trays = 0;
  Watts switch_tray;
  int power_shelves = 0;
  int psus_per_shelf = 0;
  Watts psu_capacity;
  Watts shelf_controller;
  Watts network;  // share of scale-out switches and optics per rack; AC
  std::string psu_curve;
};

struct System : Entry {
  std::string accelerator;
  std::string cooling_plant;  // default plant
  int gpus_per_node = 0;      // the scale-up domain
  int nodes_per_rack = 0;
  std::variant<ChassisChain, RackScaleChain> chain;
  std::optional<Sourced<Usd>> capex_per_gpu;  // servers and network, all in
  Tag chain_tag = Tag::measured;              // weakest tag among the chain's figures

  [[nodiscard]] int gpus_per_rack() const { return gpus_per_node * nodes_per_rack; }
};

/// How a plant gets rid of its heat without a compressor.
enum class Rejection {
  dry,          // coolers against the dry bulb
  evaporative,  // towers against the wet bulb
  chiller       // not at all: every watt goes through the compressor, against the dry bulb
};

/// A compressor that carries what the weather does not; docs/model/facility.md#chiller.
struct Chiller {
  double carnot_ratio = 0;  // COP / Carnot COP
  double condenser_approach_kelvin = 0;
  double evaporator_approach_kelvin = 0;
  double min_lift_kelvin = 0;            // the compressor's smallest temperature difference
  double condenser_fan_power_ratio = 0;  // fans per heat rejected
};

/// A plant as physics instead of a constant; docs/model/facility.md#plant-physics. Power ratios are
/// per watt at design load unless they say otherwise.
struct PlantPhysics {
  Celsius supply;  // coolant to the racks, or water to the hall's air handlers
  Celsius supply_min;
  Celsius supply_max;
  Rejection rejection = Rejection::dry;
  double approach_kelvin = 0;       // supply over dry or wet bulb at full heat and full air flow
  double fan_power_ratio = 0;       // heat-rejection fans at full flow per design heat
  double fan_min_flow_ratio = 0;    // the fans never turn slower
  double hall_fan_power_ratio = 0;  // air handlers at full flow per design IT; air halls only
  double hall_fan_min_flow_ratio = 0;
  double pump_power_ratio = 0;  // at full flow per design IT
  double pump_exponent = 3;     // power ~ flow^exponent
  double pump_min_flow_ratio = 0;
  std::optional<Chiller> chiller;
  double cycles_of_concentration = 0;  // evaporative only
  double ups_design_load_ratio = 0;    // load of the units at design IT
  double ups_no_load_loss_ratio = 0;   // of rated: a + b L + c L^2
  double ups_linear_loss_ratio = 0;
  double ups_square_loss_ratio = 0;
  double transformer_design_load_ratio = 0;   // design IT per rated power
  double transformer_no_load_loss_ratio = 0;  // of rated
  double transformer_load_loss_ratio = 0;     // of rated, at rated load
  double busway_loss_ratio = 0;               // of design IT, at design load
  double other_power_ratio = 0;               // lights, controls; of design IT, constant
  double gpu_leakage_ratio = 0;               // share of GPU power at the reference
  double gpu_leakage_per_kelvin = 0;
  Celsius leakage_reference;  // supply temperature
};

/// Has a constant PUE or physics, never both.
struct CoolingPlant : Entry {
  std::string medium;                       // "air" or "liquid"
  Sourced<double> pue;                      // meter / IT, distribution losses included
  Sourced<double> distribution_loss_ratio;  // lost before the IT inlet / IT; part of the PUE
  /// When set, `pue` and `distribution_loss_ratio` are 0 and carry the weakest tag of its figures.
  std::optional<PlantPhysics> physics;
};

/// Comparing scores: quality.hpp.
struct QualityScore {
  std::string benchmark;
  double score_percent = 0;
  std::optional<std::string> precision;  // of the weights; nothing: as the vendor released them
  Tag tag = Tag::published;
  std::string date;
  std::string source;
  std::string note;
};

struct Model : Entry {
  std::string vendor;
  std::string kind;                             // "dense", "moe" or "hybrid"
  std::optional<std::string> native_precision;  // of the released weights; one of kPrecisions
  std::optional<double> total_parameters;
  std::optional<double> active_parameters;
  std::vector<QualityScore> quality;
};

/// What one accelerator costs per hour in one dated table. All-in: servers, network, hosting,
/// energy.
struct AcceleratorPrice {
  std::optional<UsdPerSecond> tco_hyperscaler;
  std::optional<UsdPerSecond> tco_neocloud;
  std::optional<UsdPerSecond> rental;
  std::optional<Watts> allin_facility;  // per GPU; the table's PUE is inside
};

struct PriceTable {
  std::string id;
  std::string date;
  std::string source;
  Tag tag = Tag::published;
  Sourced<UsdPerJoule> electricity;  // taken to be inside the hourly price
  std::map<std::string, AcceleratorPrice, std::less<>> accelerators;
  std::string defined_at;
};

struct TokenPrice {
  std::string model;
  std::string date;
  std::string source;
  UsdPerToken input;
  std::optional<UsdPerToken> cached_input;
  UsdPerToken output;
};

struct EnergyPrice {
  std::string id;
  std::string region;
  UsdPerJoule price;
  std::string date;
  std::string source;
};

/// Assumptions of the bottom-up cost; docs/model/tco.md.
struct Finance {
  Sourced<double> cost_of_capital_ratio;  // per year
  Sourced<double> facility_capex_usd_per_it_watt;
  Sourced<double> facility_lifetime_years;
  Sourced<double> server_lifetime_years;
  Sourced<double> opex_ratio_per_year;  // of server capex
};

class Catalog {
 public:
  /// Loads `folders` in order; later ones extend or override. A folder holds .toml files of
  /// entries, .csv files of climates (climate.hpp), or both. Throws Error(bad_input) naming file,
  /// line and key for anything malformed, an unknown source, an alias in use twice or a dangling
  /// id.
  static Catalog load(const std::vector<std::filesystem::path>& folders);

  /// By id or alias, any case. Throws Error(bad_input) at `where` with a suggestion.
  [[nodiscard]] const Accelerator& accelerator(std::string_view name, std::string_view where) const;
  [[nodiscard]] const System& system(std::string_view name, std::string_view where) const;
  [[nodiscard]] const Model& model(std::string_view name, std::string_view where) const;
  [[nodiscard]] const CoolingPlant& cooling_plant(std::string_view name,
                                                  std::string_view where) const;
  [[nodiscard]] const PriceTable& price_table(std::string_view name, std::string_view where) const;
  [[nodiscard]] const Climate& climate(std::string_view name, std::string_view where) const;

  /// By id or alias, any case, or null.
  [[nodiscard]] const Accelerator* find_accelerator(std::string_view name) const;
  [[nodiscard]] const Model* find_model(std::string_view name) const;

  [[nodiscard]] const PsuCurve& psu_curve(std::string_view id) const;
  [[nodiscard]] const Source& source(std::string_view id) const;

  [[nodiscard]] const Finance& finance() const { return finance_; }

  /// The newest list price of a model's tokens, or null.
  [[nodiscard]] const TokenPrice* token_price(std::string_view model_id) const;

  [[nodiscard]] const std::vector<Accelerator>& accelerators() const { return accelerators_; }

  [[nodiscard]] const std::vector<System>& systems() const { return systems_; }

  [[nodiscard]] const std::vector<CoolingPlant>& cooling_plants() const { return plants_; }

  /// In alphabetical order of their files.
  [[nodiscard]] const std::vector<Climate>& climates() const { return climates_; }

  [[nodiscard]] const std::vector<Model>& models() const { return models_; }

  [[nodiscard]] const std::vector<PriceTable>& price_tables() const { return price_tables_; }

  [[nodiscard]] const std::vector<TokenPrice>& token_prices() const { return token_prices_; }

  [[nodiscard]] const std::vector<EnergyPrice>& energy_prices() const { return energy_prices_; }

 private:
  friend class Loader;

  std::map<std::string, Source, std::less<>> sources_;
  std::map<std::string, PsuCurve, std::less<>> psu_curves_;
  std::vector<Accelerator> accelerators_;
  std::vector<System> systems_;
  std::vector<CoolingPlant> plants_;
  std::vector<Climate> climates_;
  std::vector<Model> models_;
  std::vector<PriceTable> price_tables_;
  std::vector<TokenPrice> token_prices_;
  std::vector<EnergyPrice> energy_prices_;
  Finance finance_;
  // lower-cased id or alias -> index
  std::map<std::string, std::size_t, std::less<>> accelerator_names_;
  std::map<std::string, std::size_t, std::less<>> system_names_;
  std::map<std::string, std::size_t, std::less<>> plant_names_;
  std::map<std::string, std::size_t, std::less<>> model_names_;
};

/// Id of the newest price table that names the most accelerators: the default where none is asked
/// for. REQUIRES: a catalog with a price table (the shipped one has).
[[nodiscard]] std::string newest_hourly_table(const Catalog& catalog);

}  // namespace perwatt::catalog
