// Measured cases for tests of the serving model.
#pragma once

#include <vector>

#include "perwatt/inference/serving/measured_case.hpp"

namespace perwatt::inference::serving {

inline std::vector<const MeasuredCase*> pointers(const std::vector<MeasuredCase>& cases) {
  std::vector<const MeasuredCase*> result;
  for (const auto& one : cases) {
    result.push_back(&one);
  }
  return result;
}

}  // namespace perwatt::inference::serving
