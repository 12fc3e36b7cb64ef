#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

#include "site_tables.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/inference/serving/power.hpp"

namespace perwatt::plan {

namespace {

constexpr Range kYears{0.1, 100.0};

/// A list of words, or nothing where the key is absent.
std::optional<std::vector<std::string>> read_words(const ConfigTable& table, std::string_view key) {
  if (!table.has(key)) {
    return std::nullopt;
  }
  auto words = table.texts(key);
  if (words.empty()) {
    table.fail(key, "is empty, which would rule out every deployment",
               "name what may run or remove the key");
  }
  return words;
}

/// Precisions, each for all models or as "model:precision" for one; the model becomes its catalog
/// id.
std::optional<std::vector<std::string>> read_precisions(const ConfigTable& table,
                                                        const catalog::Catalog& catalog) {
  auto words = read_words(table, "precisions");
  if (!words) {
    return words;
  }
  for (auto& word : *words) {
    const auto colon = word.rfind(':');
    const bool of_one_model = colon != std::string::npos;
    if (!catalog::is_precision(of_one_model ? word.substr(colon + 1) : word)) {
      table.fail("precisions", "names '" + printable(word) + "'",
                 "use bf16, fp8, fp4 or mxfp4, alone or as \"<model>:fp8\"");
    }
    if (of_one_model) {
      word =
          catalog.model(word.substr(0, colon), table.where("precisions")).id + word.substr(colon);
    }
  }
  return words;
}

DeploymentRules read_rules(const ConfigTable& table, const catalog::Catalog& catalog) {
  DeploymentRules rules;
  rules.precisions = read_precisions(table, catalog);
  rules.engines = read_words(table, "engines");
  rules.spec_decode = read_words(table, "spec_decode");
  rules.serving = read_words(table, "serving");
  for (const auto& mode : rules.serving.value_or(std::vector<std::string>{})) {
    if (mode != to_string(inference::Serving::aggregated) &&
        mode != to_string(inference::Serving::disaggregated)) {
      table.fail("serving", "names '" + printable(mode) + "'", "use aggregated or disaggregated");
    }
  }
  rules.not_after = table.optional_text("not_after").value_or("");
  constexpr std::size_t kWholeDate = 10;  // a year or month alone would order before its own days
  const bool is_day = rules.not_after.size() == kWholeDate && is_iso_date(rules.not_after);
  if (table.has("not_after") && !is_day) {
    table.fail("not_after", "is '" + printable(rules.not_after) + "'", "use YYYY-MM-DD");
  }
  rules.max_concurrency_per_gpu = table.optional_number("max_concurrency_per_gpu", kPositive);
  rules.min_clock_ratio =
      table.optional_number("min_clock_ratio", {inference::serving::kLowestClockRatio, 1.0})
          .value_or(1.0);
  if (const auto plans = table.optional_text("frequency_plans")) {
    const auto parsed = parse_frequency_plans(*plans);
    if (!parsed) {
      table.fail("frequency_plans", "is '" + printable(*plans) + "'", "use none, same_time or any");
    }
    rules.frequency_plans = *parsed;
  }
  table.reject_unknown_keys();
  return rules;
}

/// The id under `key` of one of the `things`, which the site file has under the same name.
template <class Thing>
std::string named_by(const ConfigTable& table, const std::string& key,
                     const std::vector<Thing>& things) {
  auto id = table.text(key);
  const bool known =
      std::any_of(things.begin(), things.end(), [&](const Thing& thing) { return thing.id == id; });
  if (!known) {
    table.fail(key, "'" + printable(id) + "' is no [[" + key + "]] here",
               key == "service" ? "name the id of a service" : "name the id of a training job");
  }
  return id;
}

Placement read_placement(const ConfigTable& table, const catalog::Catalog& catalog,
                         const Site& site) {
  Placement placement;
  placement.system = catalog.system(table.text("system"), table.where("system")).id;
  const auto hall = table.optional_text("hall");
  const auto rack = std::find_if(site.racks.begin(), site.racks.end(), [&](const RackStock& r) {
    return r.system == placement.system && (!hall || *hall == r.hall);
  });
  if (rack == site.racks.end()) {
    table.fail("system",
               "'" + placement.system + "' has no [[rack]] " +
                   (hall ? "in hall '" + printable(*hall) + "'" : "here"),
               "name a system of the site's racks");
  }
  placement.hall = rack->hall;
  if (table.has("training") && table.has("service")) {
    table.fail("training", "is given beside service", "write a [[placement]] for each");
  }
  if (table.has("training")) {
    placement.training = named_by(table, "training", site.training);
  } else {
    placement.service = named_by(table, "service", site.services);
  }
  placement.gpu_share_ratio = table.number("gpu_share_ratio", kRatio);
  table.reject_unknown_keys();
  return placement;
}

std::vector<Placement> read_placements(const ConfigTable& document, const catalog::Catalog& catalog,
                                       const Site& site) {
  constexpr double kSumRounding = 1e-9;
  std::vector<Placement> placements;
  std::map<std::pair<std::string, std::string>, double> shares;
  for (const auto& table : document.tables("placement")) {
    const auto placement = read_placement(table, catalog, site);
    const bool twice = std::any_of(placements.begin(), placements.end(), [&](const Placement& p) {
      return p.system == placement.system && p.hall == placement.hall &&
             p.service == placement.service && p.training == placement.training;
    });
    if (twice) {
      table.fail(placement.training.empty() ? "service" : "training",
                 "'" + placement.service + placement.training + "' is placed twice on '" +
                     placement.system + "'",
                 "add the shares up in one [[placement]]");
    }
    double& sum = shares[{placement.system, placement.hall}];
    sum += placement.gpu_share_ratio;
    if (sum > 1.0 + kSumRounding) {
      table.fail("gpu_share_ratio",
                 "brings the shares of '" + placement.system + "' to " + shortest(sum),
                 "shares of one rack kind add up to at most 1");
    }
    placements.push_back(placement);
  }
  return placements;
}

constexpr std::array<std::string_view, 3> kPolicies{"nameplate", "static", "managed"};

Provisioning read_provisioning(const ConfigTable& table) {
  Provisioning provisioning;
  const auto policy = table.text("policy");
  const auto at = std::find(kPolicies.begin(), kPolicies.end(), policy);
  if (at == kPolicies.end()) {
    table.fail("policy", "is '" + printable(policy) + "'", "use nameplate, static or managed");
  }
  provisioning.policy = static_cast<ProvisioningPolicy>(at - kPolicies.begin());
  const auto belongs_to = [&](std::string_view key, ProvisioningPolicy owner) {
    if (table.has(key) && provisioning.policy != owner) {
      table.fail(key, "means nothing under policy '" + policy + "'",
                 "remove it or use policy = \"" + std::string{to_string(owner)} + "\"");
    }
  };
  belongs_to("gpu_cap_ratio", ProvisioningPolicy::fixed);
  for (const auto* key : {"excursion_probability", "node_correlation", "service_correlation"}) {
    belongs_to(key, ProvisioningPolicy::managed);
  }
  if (provisioning.policy == ProvisioningPolicy::fixed) {
    provisioning.gpu_cap_ratio = table.number("gpu_cap_ratio", {0.1, 1.0});
  }
  if (provisioning.policy == ProvisioningPolicy::managed) {
    provisioning.excursion_probability = table.number("excursion_probability", {1e-9, 0.5});
    auto& correlation = provisioning.correlation;
    correlation.node_correlation = table.optional_number("node_correlation", kRatio).value_or(1);
    correlation.service_correlation =
        table.optional_number("service_correlation", kRatio).value_or(1);
    provisioning.profiles =
        std::make_shared<const PowerProfiles>(load_power_profiles(data_dir() / "power"));
  }
  table.reject_unknown_keys();
  return provisioning;
}

void read_horizon(const ConfigTable& document, const catalog::Catalog& catalog, Site& site) {
  const auto& finance = catalog.finance();
  site.horizon = {finance.server_lifetime_years.value, finance.cost_of_capital_ratio.value,
                  finance.server_lifetime_years.value};
  if (const auto table = document.optional_table("finance")) {
    auto& horizon = site.horizon;
    horizon.years = table->optional_number("horizon_years", kYears).value_or(horizon.years);
    horizon.cost_of_capital_ratio = table->optional_number("cost_of_capital_ratio", kRatio)
                                        .value_or(horizon.cost_of_capital_ratio);
    horizon.payback_years = table->optional_number("payback_years", kYears).value_or(horizon.years);
    table->reject_unknown_keys();
  }
}

void read_baseline(const ConfigTable& table, const catalog::Catalog& catalog, Site& site) {
  auto& baseline = site.baseline;
  const auto file = table.text("site");
  baseline.site =
      file == "self" ? file : (std::filesystem::path{site.file}.parent_path() / file).string();
  if (file != "self") {
    for (const auto* key : {"deployments", "placement", "availability_ratio", "provisioning"}) {
      if (table.has(key)) {
        table.fail(key, "is given beside a baseline of its own file",
                   "write it in that file, or use site = \"self\"");
      }
    }
  }
  if (const auto rules = table.optional_table("deployments")) {
    baseline.rules = read_rules(*rules, catalog);
  }
  if (const auto provisioning = table.optional_table("provisioning")) {
    baseline.provisioning = read_provisioning(*provisioning);
  }
  baseline.placements = read_placements(table, catalog, site);
  baseline.availability_ratio = table.optional_number("availability_ratio", {0.01, 1.0});
  table.reject_unknown_keys();
}

void check_alternatives(const Service& service) {
  std::set<std::string> models{service.model};
  for (const auto& model : service.alternative_models) {
    if (!models.insert(model).second) {
      throw_bad_input("service '" + printable(service.id) + "' names the model '" + model +
                          "' twice, under alternative_models",
                      service.defined_at, "name each other model once");
    }
  }
}

bool names(const std::optional<std::vector<std::string>>& words, std::string_view word) {
  return !words || std::find(words->begin(), words->end(), word) != words->end();
}

}  // namespace

std::string_view to_string(ProvisioningPolicy policy) {
  return kPolicies[static_cast<std::size_t>(policy)];
}

bool Provisioning::same_as(const Provisioning& other) const {
  return policy == other.policy && gpu_cap_ratio == other.gpu_cap_ratio &&
         excursion_probability == other.excursion_probability &&
         correlation.node_correlation == other.correlation.node_correlation &&
         correlation.service_correlation == other.correlation.service_correlation;
}

bool DeploymentRules::allow(const inference::OperatingPoint& point) const {
  const auto dated = [&](const inference::MeasuredPoint* row) {
    return row == nullptr || not_after.empty() || (!row->date.empty() && row->date <= not_after);
  };
  const auto& row = *point.point;
  return (names(precisions, row.precision) || names(precisions, row.model + ':' + row.precision)) &&
         names(engines, row.engine) && names(spec_decode, row.spec_decode) &&
         names(serving, to_string(row.serving)) && dated(point.point) && dated(point.other) &&
         (!max_concurrency_per_gpu ||
          (point.concurrency &&
           *point.concurrency <= *max_concurrency_per_gpu * row.layout.num_gpus));
}

void read_operation(const ConfigTable& document, const catalog::Catalog& catalog, Site& site) {
  std::for_each(site.services.begin(), site.services.end(), check_alternatives);
  if (const auto rules = document.optional_table("deployments")) {
    site.rules = read_rules(*rules, catalog);
  }
  if (const auto provisioning = document.optional_table("provisioning")) {
    site.provisioning = read_provisioning(*provisioning);
  }
  site.placements = read_placements(document, catalog, site);
  read_horizon(document, catalog, site);
  if (const auto baseline = document.optional_table("baseline")) {
    read_baseline(*baseline, catalog, site);
  }
  read_quality(document, site);
}

}  // namespace perwatt::plan
