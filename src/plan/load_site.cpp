#include <algorithm>
#include <set>
#include <utility>

#include "site_tables.hpp"

#include "perwatt/base/config.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

namespace {

constexpr std::int64_t kMostTokens = 10'000'000;
constexpr double kMostTokensPerSecond = 1e15;
constexpr Range kPriceRange{0.0, 1e6};
constexpr Range kCapitalUsdPerHour{0.0, 1e12};

inference::Workload read_workload(const ConfigTable& table) {
  inference::Workload workload;
  if (const auto task = table.optional_text("task")) {
    if (table.has("isl_tokens") || table.has("osl_tokens")) {
      table.fail("task", "is given beside isl_tokens or osl_tokens",
                 "a task brings its own lengths: keep one of the two");
    }
    workload.task = *task;
    return workload;
  }
  workload.isl_tokens = static_cast<int>(table.integer("isl_tokens", 1, kMostTokens));
  workload.osl_tokens = static_cast<int>(table.integer("osl_tokens", 1, kMostTokens));
  return workload;
}

/// Billing by energy has one price and no token prices.
void read_energy_billing(const ConfigTable& table, Service& service) {
  for (const auto* key :
       {"price_usd_per_million_output_tokens", "price_usd_per_million_input_tokens"}) {
    if (table.has(key)) {
      table.fail(key, "is given beside billing = \"per_joule\"", "remove it, or bill per_token");
    }
  }
  service.it_energy_price = usd_per_kwh(table.number("price_usd_per_it_kwh", {0.0, 1e4}));
  service.price_source = "site file";
}

void read_prices(const ConfigTable& table, const catalog::Catalog& catalog, Service& service) {
  const auto billing = table.optional_text("billing").value_or("per_token");
  if (billing == "per_joule") {
    read_energy_billing(table, service);
    return;
  }
  if (billing != "per_token") {
    table.fail("billing", "is '" + printable(billing) + "'", "use per_token or per_joule");
  }
  if (table.has("price_usd_per_it_kwh")) {
    table.fail("price_usd_per_it_kwh", "is given while tokens are billed",
               "remove it, or use billing = \"per_joule\"");
  }
  const auto output = table.optional_number("price_usd_per_million_output_tokens", kPriceRange);
  const auto input = table.optional_number("price_usd_per_million_input_tokens", kPriceRange);
  const auto* listed = catalog.token_price(service.model);
  if (!output && listed == nullptr) {
    table.fail("price_usd_per_million_output_tokens", "is missing",
               "add it: the catalog has no list price for '" + service.model + "'");
  }
  service.output_price = output ? usd_per_million_tokens(*output) : listed->output;
  if (input) {
    service.input_price = usd_per_million_tokens(*input);
  } else if (!output) {
    service.input_price = listed->input;
  }
  service.price_source = output ? "site file" : listed->source;
}

Service read_service(const ConfigTable& table, const catalog::Catalog& catalog) {
  Service service;
  service.id = table.text("id");
  service.defined_at = table.where("id");
  service.model = catalog.model(table.text("model"), table.where("model")).id;
  for (const auto& model : table.texts("alternative_models")) {
    service.alternative_models.push_back(
        catalog.model(model, table.where("alternative_models")).id);
  }
  service.workload = read_workload(table);
  const auto interactivity = table.optional_rate("min_interactivity");
  if (!interactivity) {
    table.fail("min_interactivity", "is missing", "add min_interactivity = \"50tok/s\" (per user)");
  }
  service.slo.min_interactivity = *interactivity;
  service.slo.max_ttft = table.optional_duration("max_ttft");
  if (service.slo.max_ttft && *service.slo.max_ttft <= Seconds{}) {
    table.fail("max_ttft", "is 0", "give a time above 0 or remove the key");
  }
  service.demand_output =
      tokens_per_second(table.number("demand_output_tokens_per_s", {0.0, kMostTokensPerSecond}));
  if (const auto committed =
          table.optional_number("committed_output_tokens_per_s", {0.0, kMostTokensPerSecond})) {
    service.committed_output = tokens_per_second(*committed);
    if (*service.committed_output > service.demand_output) {
      table.fail("committed_output_tokens_per_s",
                 "is " + shortest(*committed) + ", above the demand of " +
                     shortest(in_tokens_per_second(service.demand_output)),
                 "commit to at most the demand");
    }
  }
  read_prices(table, catalog, service);
  table.reject_unknown_keys();
  return service;
}

RackStock read_rack(const ConfigTable& table, const catalog::Catalog& catalog, Site& site) {
  RackStock stock;
  const auto& system = catalog.system(table.text("system"), table.where("system"));
  stock.system = system.id;
  stock.defined_at = table.where("system");
  const auto& hall = stand_in_hall(table, system.cooling_plant, catalog, site);
  stock.hall = hall.id;
  stock.cooling_plant = hall.cooling_plant;
  stock.owned = static_cast<int>(table.optional_integer("owned", 0, kMostRacks).value_or(0));
  stock.max_buy = static_cast<int>(table.optional_integer("max_buy", 0, kMostRacks).value_or(0));
  if (stock.owned == 0 && stock.max_buy == 0) {
    table.fail("system", "'" + stock.system + "' has neither owned nor max_buy above 0",
               "say how many racks there are (owned) or may be bought (max_buy)");
  }
  if (const auto capital = table.optional_number("capital_usd_per_gpu_hour", kPriceRange)) {
    stock.capital_per_gpu = usd_per_hour(*capital);
  }
  table.reject_unknown_keys();
  return stock;
}

SiteLoad read_load(const ConfigTable& table, const catalog::Catalog& catalog, Site& site) {
  SiteLoad load;
  load.name = table.text("name");
  load.it_power = read_power(table, "power");
  const auto& hall = stand_in_hall(table, "air", catalog, site);
  load.hall = hall.id;
  load.cooling_plant = hall.cooling_plant;
  table.reject_unknown_keys();
  return load;
}

void read_site_table(const ConfigTable& table, Site& site) {
  site.name =
      table.optional_text("name").value_or(std::filesystem::path{site.file}.stem().string());
  site.envelope = read_power(table, "envelope");
  if (site.envelope <= Watts{}) {
    table.fail("envelope", "is 0", "give the limit at the meter, for example \"100MW\"");
  }
  if (const auto availability = table.optional_number("availability_ratio", {0.01, 1.0})) {
    site.availability_ratio = *availability;
    site.availability_is_assumed = false;
  }
  if (const auto capital = table.optional_number("max_capital_usd_per_hour", kCapitalUsdPerHour)) {
    site.max_capital = usd_per_hour(*capital);
  }
  table.reject_unknown_keys();
}

void read_price_table(const ConfigTable& table, const catalog::Catalog& catalog, Site& site) {
  site.price_table = catalog.price_table(table.text("table"), table.where("table")).id;
  if (const auto basis = table.optional_text("basis")) {
    const auto parsed = facility::parse_price_basis(*basis);
    if (!parsed) {
      table.fail("basis", "is '" + printable(*basis) + "'",
                 "use tco_hyperscaler, tco_neocloud or rental");
    }
    site.price_basis = *parsed;
  }
  if (const auto price = table.optional_number("energy_usd_per_kwh", {0.0, 100.0})) {
    site.stated_energy_price = usd_per_kwh(*price);
  }
  table.reject_unknown_keys();
}

ConfigTable require_table(const ConfigTable& document, std::string_view key,
                          const std::string& remedy) {
  const auto table = document.optional_table(key);
  if (!table) {
    document.fail(key, "the table [" + std::string{key} + "] is missing", remedy);
  }
  return *table;
}

void read_services(const ConfigTable& document, const catalog::Catalog& catalog, Site& site) {
  std::set<std::string> ids;
  for (const auto& table : document.tables("service")) {
    site.services.push_back(read_service(table, catalog));
    if (!ids.insert(site.services.back().id).second) {
      table.fail("id", "'" + printable(site.services.back().id) + "' is there twice",
                 "give each service an id of its own");
    }
  }
}

void require_work(const ConfigTable& document, const Site& site) {
  if (site.services.empty() && site.training.empty()) {
    document.fail("service", "there is neither a [[service]] nor a [[training]]",
                  "add at least one");
  }
}

void read_racks(const ConfigTable& document, const catalog::Catalog& catalog, Site& site) {
  std::set<std::pair<std::string, std::string>> kinds;
  for (const auto& table : document.tables("rack")) {
    site.racks.push_back(read_rack(table, catalog, site));
    const auto& rack = site.racks.back();
    if (!kinds.insert({rack.system, rack.hall}).second) {
      table.fail("system", "'" + rack.system + "' is there twice in the same hall",
                 "add the numbers up in one [[rack]]");
    }
  }
  if (site.racks.empty()) {
    document.fail("rack", "there is no [[rack]]", "add at least one");
  }
}

}  // namespace

Site parse_site(std::string_view text, const std::string& name, const catalog::Catalog& catalog) {
  const auto document = ConfigTable::parse(text, name);
  Site site;
  site.file = name;
  read_site_table(require_table(document, "site", "add [site] with envelope = \"100MW\""), site);
  read_price_table(
      require_table(document, "prices",
                    "add [prices] with table = \"2026-08\" and energy_usd_per_kwh = 0.08"),
      catalog, site);
  read_halls(document, catalog, site);
  read_services(document, catalog, site);
  read_training(document, catalog, site);
  require_work(document, site);
  read_racks(document, catalog, site);
  for (const auto& table : document.tables("load")) {
    site.loads.push_back(read_load(table, catalog, site));
  }
  read_deliveries(document, catalog, site);
  read_retrofits(document, site);
  read_supplies(document, site);
  read_year(document, catalog, site);
  for (auto& hall : site.halls) {
    equip_hall(hall, site.year, catalog);
  }
  read_operation(document, catalog, site);
  (void)document.optional_table("topology");  // of perwatt topology: one file serves both
  document.reject_unknown_keys();
  return site;
}

Site load_site(const std::filesystem::path& file, const catalog::Catalog& catalog) {
  return parse_site(read_file(file), file.string(), catalog);
}

Site as_it_stands(Site site) {
  for (auto& rack : site.racks) {
    rack.max_buy = 0;
  }
  std::erase_if(site.racks, [](const RackStock& rack) { return rack.owned == 0; });
  for (auto& service : site.services) {
    service.alternative_models.clear();
  }
  const Baseline today = std::exchange(site.baseline, {});
  site.rules = today.rules.value_or(site.rules);
  site.placements = today.placements.empty() ? site.placements : today.placements;
  site.availability_ratio = today.availability_ratio.value_or(site.availability_ratio);
  site.provisioning = today.provisioning.value_or(site.provisioning);
  site.retrofits.clear();
  return site;
}

}  // namespace perwatt::plan
