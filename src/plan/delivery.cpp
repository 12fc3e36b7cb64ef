#include "perwatt/plan/delivery.hpp"

#include <algorithm>
#include <cmath>

#include "site_tables.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::plan {

namespace {

constexpr Range kMonths{0.0, 1200.0};

Delivery read_delivery(const ConfigTable& table, const Site& site) {
  Delivery delivery;
  delivery.after_months = table.number("after_months", kMonths);
  if (!site.deliveries.empty() && delivery.after_months <= site.deliveries.back().after_months) {
    table.fail("after_months", "is not after the delivery before it",
               "list deliveries by rising month");
  }
  delivery.envelope = table.has("envelope") ? read_power(table, "envelope") : site.envelope;
  if (delivery.envelope > site.envelope) {
    table.fail("envelope", "is above the site's envelope",
               "the site's envelope is what it ends with: raise that or lower this");
  }
  for (const auto& rack : site.racks) {
    delivery.max_buy.push_back(
        site.deliveries.empty()
            ? 0
            : site.deliveries.back().max_buy[static_cast<std::size_t>(&rack - site.racks.data())]);
  }
  return delivery;
}

void read_delivered_racks(const ConfigTable& table, const catalog::Catalog& catalog,
                          const Site& site, Delivery& delivery) {
  for (const auto& racks : table.tables("racks")) {
    const auto& system = catalog.system(racks.text("system"), racks.where("system")).id;
    const auto hall = racks.optional_text("hall");
    const auto at = std::find_if(site.racks.begin(), site.racks.end(), [&](const RackStock& r) {
      return r.system == system && (!hall || *hall == r.hall);
    });
    if (at == site.racks.end()) {
      racks.fail("system", "'" + system + "' has no [[rack]] here",
                 "name a system of the site's racks");
    }
    auto& arrived = delivery.max_buy[static_cast<std::size_t>(at - site.racks.begin())];
    arrived += static_cast<int>(racks.integer("count", 0, kMostRacks));
    if (arrived > at->max_buy) {
      racks.fail("count", "brings '" + system + "' to " + std::to_string(arrived) + " racks",
                 "deliver at most max_buy, " + std::to_string(at->max_buy));
    }
    racks.reject_unknown_keys();
  }
}

/// The site as it is between two deliveries, with what was bought before.
Site site_in_phase(const Site& site, const Delivery& delivery, const std::vector<int>& bought) {
  Site phase = site;
  phase.envelope = delivery.envelope;
  for (std::size_t k = 0; k < phase.racks.size(); ++k) {
    phase.racks[k].min_buy = bought[k];
    phase.racks[k].max_buy = std::max(bought[k], delivery.max_buy[k]);
  }
  return phase;
}

}  // namespace

void read_deliveries(const ConfigTable& document, const catalog::Catalog& catalog, Site& site) {
  for (const auto& table : document.tables("delivery")) {
    auto delivery = read_delivery(table, site);
    read_delivered_racks(table, catalog, site, delivery);
    table.reject_unknown_keys();
    site.deliveries.push_back(std::move(delivery));
  }
}

std::vector<Phase> plan_phases(const Site& site, const catalog::Catalog& catalog,
                               const OptionSet& options) {
  std::vector<Phase> phases;
  std::vector<int> bought(site.racks.size(), 0);
  for (const auto& delivery : site.deliveries) {
    const Site now = site_in_phase(site, delivery, bought);
    const auto set = build_candidates(now, catalog, options);
    auto plan = solve_plan(now, set);
    for (std::size_t k = 0; k < plan.racks.size(); ++k) {
      bought[k] = static_cast<int>(std::lround(plan.racks[k].bought));
    }
    phases.push_back({delivery.after_months, delivery.envelope, plan.status,
                      std::move(plan.infeasible_because), std::move(plan.racks), plan.totals});
  }
  return phases;
}

}  // namespace perwatt::plan
