// The site a plan is made for: envelope, racks, services, other loads, prices. File format:
// docs/reference/site.md.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/facility/tco.hpp"
#include "perwatt/inference/deployment.hpp"

namespace perwatt::plan {

/// Which deployments a site runs, whatever else was measured. What is absent allows all.
struct DeploymentRules {
  std::optional<std::vector<std::string>> precisions;  // "fp8", or "<model id>:fp8" for one model
  std::optional<std::vector<std::string>> engines;
  std::optional<std::vector<std::string>> spec_decode;
  std::optional<std::vector<std::string>> serving;
  std::string not_after;  // rows dated YYYY-MM-DD up to this one; undated rows never pass
  std::optional<double> max_concurrency_per_gpu;  // rows without concurrency never pass

  [[nodiscard]] bool allow(const inference::OperatingPoint& point) const;

  bool operator==(const DeploymentRules&) const = default;
};

/// A share of the GPUs of a rack kind that is kept for a service. A rack kind with any placement
/// serves only the services it names, each up to its share.
struct Placement {
  std::string system;         // catalog id
  std::string cooling_plant;  // catalog id
  std::string service;        // Service::id
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
  std::string price_source;  // "site file" or the id of the catalog source
  std::string defined_at;
};

/// Racks of one system: how many there are and how many more may be had.
struct RackStock {
  std::string system;         // catalog id
  std::string cooling_plant;  // catalog id
  int owned = 0;              // paid for: no capital in the plan
  int max_buy = 0;
  std::optional<UsdPerSecond> capital_per_gpu;  // of bought racks, in place of the price table
  std::string defined_at;
};

/// A load beside the GPU racks: storage, ingest, spine. Always on.
struct SiteLoad {
  std::string name;
  Watts it_power;
  std::string cooling_plant;  // catalog id
};

/// What the site runs today, where it differs from the plan's site. Purchases never belong to it.
struct Baseline {
  std::string site;  // empty: none; "self"; or a file, resolved against the site file
  std::optional<DeploymentRules> rules;
  std::vector<Placement> placements;
  std::optional<double> availability_ratio;
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
  std::vector<RackStock> racks;
  std::vector<SiteLoad> loads;
  std::string price_table;  // catalog id
  facility::PriceBasis price_basis = facility::PriceBasis::tco_hyperscaler;
  UsdPerJoule energy_price;
  DeploymentRules rules;
  std::vector<Placement> placements;
  Horizon horizon;
  /// On any benchmark, for the gain of a precision or model to count.
  double max_quality_loss_points = 2.0;
  Baseline baseline;
};

/// Parses `text`; `name` is the file's path for messages and for resolving [baseline] site. Throws
/// Error(bad_input) with file, line, key, value and remedy.
[[nodiscard]] Site parse_site(std::string_view text, const std::string& name,
                              const catalog::Catalog& catalog);

[[nodiscard]] Site load_site(const std::filesystem::path& file, const catalog::Catalog& catalog);

/// The site as it stands: without purchases, and as [baseline] says it runs.
[[nodiscard]] Site as_it_stands(Site site);

}  // namespace perwatt::plan
