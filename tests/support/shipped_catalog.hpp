// The shipped catalog, loaded once per test program.
#pragma once

#include "perwatt/catalog/catalog.hpp"

namespace perwatt {

inline const catalog::Catalog& shipped_catalog() {
  static const auto kCatalog = catalog::Catalog::load({PERWATT_TEST_DATA_DIR "/catalog"});
  return kCatalog;
}

}  // namespace perwatt
