// What can be predicted without a model: the yardsticks that a model has to beat.
// Definitions: docs/model/serving.md#baselines.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "perwatt/inference/serving/validation.hpp"

namespace perwatt::inference::serving {

enum class Baseline {
  nearest_neighbour,  // the values of the most alike row that states them
  tdp_share,          // watts: the mean share of TDP on the accelerator
  logistic,           // watts: a logistic curve in log2 concurrency per accelerator
};

inline constexpr std::array<Baseline, 3> kBaselines = {Baseline::nearest_neighbour,
                                                       Baseline::tdp_share, Baseline::logistic};

[[nodiscard]] std::string_view to_string(Baseline baseline);

/// Whether a baseline says anything of a quantity.
[[nodiscard]] bool predicts(Baseline baseline, Quantity quantity);

/// Each of `asked` predicted from those of `rows` that are not left out with it. Rows that a
/// baseline can say nothing of are left out. Intervals are empty.
[[nodiscard]] std::vector<Scored> predict_by(Baseline baseline,
                                             std::span<const MeasuredCase* const> asked,
                                             std::span<const MeasuredCase* const> rows,
                                             HoldOut hold_out);

}  // namespace perwatt::inference::serving
