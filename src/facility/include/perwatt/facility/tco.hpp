// What a GPU costs per hour, bottom up from purchase prices and top down from published tables.
// Formulas: docs/model/tco.md.
#pragma once

#include <optional>
#include <string_view>

#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/facility/power_chain.hpp"

namespace perwatt::facility {

/// Which column of a price table is meant.
enum class PriceBasis { tco_hyperscaler, tco_neocloud, rental };

[[nodiscard]] std::string_view to_string(PriceBasis basis);
[[nodiscard]] std::optional<PriceBasis> parse_price_basis(std::string_view text);

/// The published all-in price of one GPU, energy included; nothing where the table has none.
[[nodiscard]] std::optional<UsdPerSecond> published_price_per_gpu(const catalog::PriceTable& table,
                                                                  std::string_view accelerator_id,
                                                                  PriceBasis basis);

/// The published price without the energy inside it: price - all-in facility kW x the table's
/// electricity price, never below 0. Nothing where the table lacks either.
[[nodiscard]] std::optional<UsdPerSecond> capital_and_hosting_per_gpu(
    const catalog::PriceTable& table, std::string_view accelerator_id, PriceBasis basis);

/// Cost of one GPU per second, by part.
struct BottomUpCost {
  UsdPerSecond servers;      // annuity of servers and network
  UsdPerSecond facility;     // annuity of the building, per provisioned IT watt
  UsdPerSecond maintenance;  // share of server capex per year
  UsdPerSecond energy;       // at the mean draw

  [[nodiscard]] UsdPerSecond total() const { return servers + facility + maintenance + energy; }
};

/// Nothing where the system has no purchase price. `provisioned` is the IT power reserved per GPU
/// and `mean_draw` the mean power at the meter per GPU.
[[nodiscard]] std::optional<BottomUpCost> bottom_up_cost_per_gpu(const catalog::System& system,
                                                                 const catalog::Finance& finance,
                                                                 ItPower provisioned,
                                                                 MeterPower mean_draw,
                                                                 UsdPerJoule energy_price);

/// Constant yearly payment per unit of capital over `years` at `rate_ratio` per year.
/// REQUIRES: years > 0, rate_ratio >= 0.
[[nodiscard]] double annuity_ratio_per_year(double rate_ratio, double years);

}  // namespace perwatt::facility
