// The shipped operator tables, loaded once per test program.
#pragma once

#include "shipped_catalog.hpp"

#include "perwatt/inference/collectives.hpp"
#include "perwatt/inference/operator_table.hpp"

namespace perwatt::inference {

inline const OperatorTable& shipped_operators() {
  static const auto kTable = OperatorTable::load(PERWATT_TEST_DATA_DIR "/ops", shipped_catalog());
  return kTable;
}

inline const CollectiveTable& shipped_collectives() {
  static const auto kTable = CollectiveTable::load(PERWATT_TEST_DATA_DIR "/ops", shipped_catalog());
  return kTable;
}

}  // namespace perwatt::inference
