// What holds for every table of points that a parser or importer returns.
#pragma once

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/point_table.hpp"

namespace perwatt::fuzz {

/// The catalog in data/catalog, loaded once.
[[nodiscard]] const catalog::Catalog& shipped_catalog();

/// Throws std::logic_error unless the points survive format_points and parse_points unchanged,
/// replace themselves when merged, and each rejection is told on one line.
void demand_sound(const inference::PointTable& table);

}  // namespace perwatt::fuzz
