// Power curves of one device for --curve, from what the frontier and train verbs know
// (docs/reference/power-curve.md).
#pragma once

#include "modelled_question.hpp"

#include "perwatt/curve/curve_file.hpp"
#include "perwatt/inference/frontier.hpp"
#include "perwatt/training/pipeline.hpp"

namespace perwatt::cli {

/// Output tokens/s of a GPU over caps of the board, and over locked clocks, each with the lowest
/// cap that leaves its rate: the deployment found, at loads within the limits asked for.
[[nodiscard]] curve::CurveFile modelled_curve(const ModelledQuestion& question,
                                              const inference::serving::Found& found);

/// Output tokens/s of a GPU over the mean draw of the measured rows of one frontier that meet the
/// SLO. Throws Error(bad_input) when the power of none is known.
[[nodiscard]] curve::CurveFile measured_curve(const inference::FrontierRow& row,
                                              const inference::Slo& slo,
                                              const inference::GpuPowerEstimator& estimator);

/// Iterations/s over the GPUs of a pipeline, one to a stage: plans from full clocks to least
/// energy, by mean draw and by the draw of the operation that draws most, and the fastest under
/// caps of the board.
[[nodiscard]] curve::CurveFile training_curve(const training::Pipeline& pipeline);

}  // namespace perwatt::cli
