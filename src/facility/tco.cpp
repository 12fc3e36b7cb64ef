#include "perwatt/facility/tco.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace perwatt::facility {

namespace {

constexpr std::array<std::string_view, 3> kBasisNames = {"tco_hyperscaler", "tco_neocloud",
                                                         "rental"};

const catalog::AcceleratorPrice* find_price(const catalog::PriceTable& table,
                                            std::string_view accelerator_id) {
  const auto at = table.accelerators.find(accelerator_id);
  return at == table.accelerators.end() ? nullptr : &at->second;
}

}  // namespace

std::string_view to_string(PriceBasis basis) {
  return kBasisNames[static_cast<std::size_t>(basis)];
}

std::optional<PriceBasis> parse_price_basis(std::string_view text) {
  for (std::size_t i = 0; i < kBasisNames.size(); ++i) {
    if (kBasisNames[i] == text) {
      return static_cast<PriceBasis>(i);
    }
  }
  return std::nullopt;
}

std::optional<UsdPerSecond> published_price_per_gpu(const catalog::PriceTable& table,
                                                    std::string_view accelerator_id,
                                                    PriceBasis basis) {
  const auto* price = find_price(table, accelerator_id);
  if (price == nullptr) {
    return std::nullopt;
  }
  switch (basis) {
    case PriceBasis::tco_hyperscaler:
      return price->tco_hyperscaler;
    case PriceBasis::tco_neocloud:
      return price->tco_neocloud;
    case PriceBasis::rental:
      return price->rental;
  }
  return std::nullopt;
}

std::optional<UsdPerSecond> capital_and_hosting_per_gpu(const catalog::PriceTable& table,
                                                        std::string_view accelerator_id,
                                                        PriceBasis basis) {
  const auto* price = find_price(table, accelerator_id);
  const auto all_in = published_price_per_gpu(table, accelerator_id, basis);
  if (!all_in || !price->allin_facility) {
    return std::nullopt;
  }
  const UsdPerSecond energy = *price->allin_facility * table.electricity.value;
  return std::max(UsdPerSecond{}, *all_in - energy);
}

double annuity_ratio_per_year(double rate_ratio, double years) {
  constexpr double kNoInterest = 1e-9;
  if (rate_ratio < kNoInterest) {
    return 1.0 / years;
  }
  return rate_ratio / (1.0 - std::pow(1.0 + rate_ratio, -years));
}

std::optional<BottomUpCost> bottom_up_cost_per_gpu(const catalog::System& system,
                                                   const catalog::Finance& finance,
                                                   ItPower provisioned, MeterPower mean_draw,
                                                   UsdPerJoule energy_price) {
  if (!system.capex_per_gpu) {
    return std::nullopt;
  }
  const double rate = finance.cost_of_capital_ratio.value;
  const auto* own_lifetime = system.find("lifetime_years");
  const double server_years =
      own_lifetime != nullptr ? own_lifetime->value : finance.server_lifetime_years.value;
  const auto per_year = [](Usd amount, double share) {
    return amount * share / seconds(kSecondsPerYear);
  };
  const Usd servers = system.capex_per_gpu->value;
  const Usd facility =
      usd(finance.facility_capex_usd_per_it_watt.value * in_watts(provisioned.value));
  return BottomUpCost{
      per_year(servers, annuity_ratio_per_year(rate, server_years)),
      per_year(facility, annuity_ratio_per_year(rate, finance.facility_lifetime_years.value)),
      per_year(servers, finance.opex_ratio_per_year.value), mean_draw.value * energy_price};
}

}  // namespace perwatt::facility
