// The shipped catalog, loaded once per test program.
#pragma once

#include "perwatt/catalog/catalog.hpp"

namespace perwatt {

inline const catalog::Catalog& shipped_catalog() {
  static const auto kCatalog = catalog::Catalog::load({PERWATT_TEST_DATA_DIR "/catalog"});
  return kCatalog;
}

/// The shipped catalog with the climates.
inline const catalog::Catalog& shipped_climates() {
  static const auto kCatalog =
      catalog::Catalog::load({PERWATT_TEST_DATA_DIR "/catalog", PERWATT_TEST_DATA_DIR "/climate"});
  return kCatalog;
}

}  // namespace perwatt
