// Points that several tests of this module use.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "measured_points.hpp"

#include "perwatt/inference/deployment.hpp"

namespace perwatt::inference {

inline Workload lengths(int isl, int osl) {
  return {isl, osl, ""};
}

/// A point of deployment "a" on 8/8 tokens.
inline MeasuredPoint point_at(int concurrency, double interactivity, double output) {
  MeasuredPoint point;
  point.source = "test";
  point.model = "m";
  point.engine = "a";
  point.layout.num_gpus = 8;
  point.workload = lengths(8, 8);
  point.concurrency = concurrency;
  point.interactivity = tokens_per_second(interactivity);
  point.output_per_gpu = tokens_per_second(output);
  point.total_per_gpu = tokens_per_second(2 * output);
  return point;
}

inline std::vector<std::pair<std::string, Workload>> shipped_uses() {
  std::map<std::pair<std::string, std::string>, std::pair<std::string, Workload>> uses;
  for (const auto& point : shipped_points()) {
    uses.try_emplace({point.model, to_string(point.workload)}, point.model, point.workload);
  }
  std::vector<std::pair<std::string, Workload>> result;
  for (const auto& [name, use] : uses) {
    result.push_back(use);
  }
  return result;
}

}  // namespace perwatt::inference
