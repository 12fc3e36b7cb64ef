// Readers of the site file's tables that say how the site is run: [deployments], [[placement]],
// [finance], [baseline], [quality].
#pragma once

#include "perwatt/base/config.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// REQUIRES: services and racks of `site` are read.
void read_operation(const ConfigTable& document, const catalog::Catalog& catalog, Site& site);

void read_quality(const ConfigTable& document, Site& site);

}  // namespace perwatt::plan
