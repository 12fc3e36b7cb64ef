// The site a plan is made for: envelope, racks, services, training, other loads, prices. File
// format: docs/reference/site.md.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/celsius.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/facility/part_load.hpp"
#include "perwatt/facility/tco.hpp"
#include "perwatt/inference/deployment.hpp"
#include "perwatt/plan/power_profile.hpp"
#include "perwatt/plan/scenarios.hpp"
#include "perwatt/plan/training_job.hpp"

namespace perwatt::plan {

/// Which deployments a site runs, whatever else was measured. What is absent allows all.
struct DeploymentRules {
  std::optional<std::vector<std::string>> precisions;  // "fp8", or "<model id>:fp8" for one model
  std::optional<std::vector<std::string>> engines;
  std::optional<std::vector<std::string>> spec_decode;
  std::optional<std::vector<std::string>> serving;
  std::string not_after;  // rows dated YYYY-MM-DD up to this one; undated rows never pass
  std::optional<double> max_concurrency_per_gpu;  // rows without concurrency never pass
  double min_clock_ratio = 1;  // core clocks may be locked down to this, over the highest
  FrequencyPlans frequency_plans = FrequencyPlans::any;  // of training jobs

  [[nodiscard]] bool allow(const inference::OperatingPoint& point) const;

  bool operator==(const DeploymentRules&) const = default;
};

/// A share of the GPUs of a rack kind that is kept for a service or a training job. A rack kind
/// with any placement runs only those it names, each up to its share.
struct Placement {
  std::string system;    // catalog id
  std::string hall;      // Hall::id
  std::string service;   // Service::id; empty where it is kept for training
  std::string training;  // TrainingJob::id; empty where it is kept for a service
  double gpu_share_ratio = 0;

  bool operator==(const Placement&) const = default;
};

/// Tokens somebody wants: a model under a workload, within an SLO, up to a demand, at a price.
struct Service {
  std::string id;
  std::string model;                            // catalog id
  std::vector<std::string> alternative_models;  // catalog ids that may answer in its place
  inference::Workload workload;
  inference::Slo slo;
  TokensPerSecond demand_output;                    // at most this much can be sold
  std::optional<TokensPerSecond> committed_output;  // at least this much must be served
  UsdPerToken output_price;
  UsdPerToken input_price;
  UsdPerJoule it_energy_price;  // billed by the IT energy of serving; token prices are 0 then
  std::string price_source;     // "site file" or the id of the catalog source
  std::string defined_at;
};

/// How a hall's meter power follows its load, by hour class; relative to the design IT power.
struct HallCurves {
  std::vector<facility::PartLoadCurve> mean;   // what costs energy
  std::vector<facility::PartLoadCurve> worst;  // at the warmest hour, what the meter must carry
};

/// A room with one cooling plant. A rack or load that names no hall stands in one without limits
/// that is named after its cooling plant.
struct Hall {
  std::string id;
  std::string cooling_plant;            // catalog id
  std::optional<Celsius> supply;        // in place of the plant's; nothing for a constant PUE
  std::optional<int> positions;         // of racks
  std::optional<Watts> it_capacity;     // the plant is built for this; else it grows with the racks
  std::optional<Watts> max_rack_power;  // provisioned IT power one position carries
  std::shared_ptr<const HallCurves> curves;  // null for a constant PUE
  std::string defined_at;
};

/// Positions of one hall that may be turned into positions of another.
struct Retrofit {
  std::string from;  // Hall::id
  std::string to;
  int max_positions = 0;
  UsdPerSecond capital_per_position;
};

/// A source of power beside the grid.
struct PowerSupply {
  std::string name;
  Watts power;  // at the meter
  bool is_battery = false;
  UsdPerJoule energy_price;              // generation: fuel, wear and carbon price
  double carbon_grams_per_kwh = 0;       // generation
  std::optional<double> hours_per_year;  // generation: full-load hours
  Joules energy;                         // battery: usable, one cycle a day
  double round_trip_ratio = 1;           // battery
};

/// Hours of the year that are planned alike.
struct HourClass {
  std::string name;
  double year_ratio = 1;     // share of the year
  UsdPerJoule energy_price;  // at the meter, carbon price included
  std::optional<double> carbon_grams_per_kwh;
  double demand_ratio = 1;  // of every service's demand and commitment
  std::vector<catalog::ClimateClass> weather;
};

enum class ProvisioningPolicy { nameplate, fixed, managed };

[[nodiscard]] std::string_view to_string(ProvisioningPolicy policy);

/// What is reserved behind the envelope.
struct Provisioning {
  ProvisioningPolicy policy = ProvisioningPolicy::nameplate;
  double gpu_cap_ratio = 1;                       // static: cap of every board over its TDP
  double excursion_probability = 0;               // managed
  CorrelationModel correlation;                   // managed
  std::shared_ptr<const PowerProfiles> profiles;  // managed

  /// Alike but for where the profiles are kept.
  [[nodiscard]] bool same_as(const Provisioning& other) const;
};

/// Racks of one system: how many there are and how many more may be had.
struct RackStock {
  std::string system;         // catalog id
  std::string hall;           // Hall::id
  std::string cooling_plant;  // catalog id, the hall's
  int owned = 0;              // paid for: no capital in the plan
  int max_buy = 0;
  int min_buy = 0;  // bought in an earlier phase of the delivery schedule
  std::optional<UsdPerSecond> capital_per_gpu;  // of bought racks, in place of the price table
  std::string defined_at;
};

/// A load beside the GPU racks: storage, ingest, spine. Always on.
struct SiteLoad {
  std::string name;
  Watts it_power;
  std::string hall;           // Hall::id
  std::string cooling_plant;  // catalog id, the hall's
};

/// What the site runs today, where it differs from the plan's site. Purchases never belong to it.
struct Baseline {
  std::string site;  // empty: none; "self"; or a file, resolved against the site file
  std::optional<DeploymentRules> rules;
  std::vector<Placement> placements;
  std::optional<double> availability_ratio;
  std::optional<Provisioning> provisioning;
};

/// What the site may use from a month on: megawatts and racks arrive in steps.
struct Delivery {
  double after_months = 0;
  Watts envelope;
  std::vector<int> max_buy;  // by rack kind, all deliveries so far
};

/// What money costs and how long it is looked at. Before taxes.
struct Horizon {
  double years = 0;
  double cost_of_capital_ratio = 0;  // per year
  double payback_years = 0;          // an outlay must be earned back within
};

struct Site {
  std::string name;
  std::string file;
  Watts envelope;                 // limit at the meter
  double availability_ratio = 1;  // share of time a GPU serves; idle otherwise
  bool availability_is_assumed = true;
  std::optional<UsdPerSecond> max_capital;
  std::vector<Service> services;
  std::vector<TrainingJob> training;  // with the services at least one
  std::vector<RackStock> racks;
  std::vector<SiteLoad> loads;
  std::string price_table;  // catalog id
  facility::PriceBasis price_basis = facility::PriceBasis::tco_hyperscaler;
  std::optional<UsdPerJoule> stated_energy_price;  // nothing: the hours have their own
  UsdPerJoule energy_price;                        // mean over the year, carbon price included
  std::vector<Hall> halls;                         // every rack and load stands in one of them
  std::vector<Retrofit> retrofits;
  std::vector<PowerSupply> supplies;
  std::string climate;          // catalog id or file; empty: no weather
  std::vector<HourClass> year;  // at least one; year_ratio sums to 1
  Provisioning provisioning;
  DeploymentRules rules;
  std::vector<Placement> placements;
  std::vector<Delivery> deliveries;  // by rising month; before the first: nothing to plan
  Horizon horizon;
  /// On any benchmark, for the gain of a precision or model to count.
  double max_quality_loss_points = 2.0;
  Baseline baseline;
};

/// What the supplies add to the envelope at the peak: a battery what it gives for four hours, a
/// generator that may run at all its power.
[[nodiscard]] Watts firm_supply(const Site& site);

/// Computes the curves of a hall anew; none where its plant has a constant PUE. Throws
/// Error(bad_input) at a hall without weather, whose supply temperature is outside its plant's
/// range, or whose plant carries nothing in the warmest hour.
void equip_hall(Hall& hall, const std::vector<HourClass>& year, const catalog::Catalog& catalog);

/// Parses `text`; `name` is the file's path for messages and for resolving [baseline] site. Throws
/// Error(bad_input) with file, line, key, value and remedy.
[[nodiscard]] Site parse_site(std::string_view text, const std::string& name,
                              const catalog::Catalog& catalog);

[[nodiscard]] Site load_site(const std::filesystem::path& file, const catalog::Catalog& catalog);

/// The site as it stands: without purchases, and as [baseline] says it runs.
[[nodiscard]] Site as_it_stands(Site site);

}  // namespace perwatt::plan
