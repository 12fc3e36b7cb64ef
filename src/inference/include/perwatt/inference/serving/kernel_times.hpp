// The kernels of one decode step as the operator tables measured them, beside the calibrated step:
// evidence, part of no prediction. Mapping from layers to kernels: docs/model/serving.md#kernels.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/inference/collectives.hpp"
#include "perwatt/inference/operator_table.hpp"
#include "perwatt/inference/serving/work.hpp"

namespace perwatt::inference::serving {

/// Kernels that share a limit. Single kernels in a loop: no gaps between them, no fusion.
struct KernelTimes {
  double kernels = 0;              // of a step that have an estimate
  Seconds total;                   // of them
  double relative_half_width = 0;  // 90 %, mean over the time; errors of kernels taken as alike
  OperatorRelation weakest = OperatorRelation::measured;
  std::vector<std::string> misses;  // kernels without an estimate, each once with its reason
};

struct StepKernels {
  std::array<KernelTimes, kOperatorGroups> groups;  // by OperatorGroup
  KernelTimes collectives;
};

/// One step of `sequences` per instance that verify `tokens_per_sequence` each.
/// REQUIRES: layout_problem() is empty.
[[nodiscard]] StepKernels kernels_of_step(const Setup& setup, double sequences,
                                          double tokens_per_sequence,
                                          const OperatorTable& operators,
                                          const CollectiveTable& collectives);

}  // namespace perwatt::inference::serving
