// Readers of the tables of a site file. Each throws Error(bad_input) with the key's place.
#pragma once

#include <cstdint>
#include <string_view>

#include "perwatt/base/config.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// Of one kind, on a site or in a delivery.
inline constexpr std::int64_t kMostRacks = 10'000'000;

/// A power up to a terawatt; beyond it is a slip of the unit.
[[nodiscard]] Watts read_power(const ConfigTable& table, std::string_view key);

/// [[hall]].
void read_halls(const ConfigTable& document, const catalog::Catalog& catalog, Site& site);

/// The hall that a rack or load names by `hall`, or the one of its `cooling_plant` (else
/// `default_plant`), added to the site when it is not there yet.
const Hall& stand_in_hall(const ConfigTable& table, std::string_view default_plant,
                          const catalog::Catalog& catalog, Site& site);

/// [[retrofit]]. REQUIRES: the halls are read.
void read_retrofits(const ConfigTable& document, Site& site);

/// [[supply]].
void read_supplies(const ConfigTable& document, Site& site);

/// [[delivery]]. REQUIRES: the racks are read.
void read_deliveries(const ConfigTable& document, const catalog::Catalog& catalog, Site& site);

/// [year]: the hour classes and the mean energy price. REQUIRES: [prices] is read.
void read_year(const ConfigTable& document, const catalog::Catalog& catalog, Site& site);

/// [[training]], with the files it names.
void read_training(const ConfigTable& document, const catalog::Catalog& catalog, Site& site);

/// [provisioning], [deployments], [[placement]], [finance], [baseline], [quality]. REQUIRES:
/// services, training, halls and racks are read.
void read_operation(const ConfigTable& document, const catalog::Catalog& catalog, Site& site);

void read_quality(const ConfigTable& document, Site& site);

}  // namespace perwatt::plan
