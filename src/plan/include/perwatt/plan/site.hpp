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

/// Tokens somebody wants: a model under a workload, within an SLO, up to a demand, at a price.
struct Service {
  std::string id;
  std::string model;  // catalog id
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
  std::string baseline_file;  // [baseline] site, resolved against the site file; may be empty
};

/// Parses `text`; `name` is the file's path for messages and for resolving [baseline] site. Throws
/// Error(bad_input) with file, line, key, value and remedy.
[[nodiscard]] Site parse_site(std::string_view text, const std::string& name,
                              const catalog::Catalog& catalog);

[[nodiscard]] Site load_site(const std::filesystem::path& file, const catalog::Catalog& catalog);

/// The site as it stands: the same without purchases.
[[nodiscard]] Site without_purchases(Site site);

}  // namespace perwatt::plan
