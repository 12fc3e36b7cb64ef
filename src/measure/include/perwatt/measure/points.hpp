// Measurements as rows of a table of measured points, which plan, frontier and validate read.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/measured_point.hpp"
#include "perwatt/measure/measurement.hpp"

namespace perwatt::measure {

/// What a measurement cannot know and its user states.
struct DeploymentStatement {
  std::string source = "perwatt-measure";
  std::string accelerator;  // id or alias of the catalog
  std::string model;        // id or alias; empty: the measurement's
  std::string precision;    // of the weights: bf16, fp8, fp4, mxfp4
  std::string engine;
  std::string spec_decode = "none";
  inference::Serving serving = inference::Serving::aggregated;
  inference::Layout layout;  // num_gpus is needed
  std::string task;          // instead of nominal lengths
  std::string date;          // YYYY-MM-DD; empty: the measurement's
  std::string url;           // where the result is published; may be empty
  bool take_invalid = false;
};

/// The point of a measurement. Rates are over all GPUs of the layout; interactivity is 1 / median
/// TPOT. Power and J/token come from a valid energy metered at the GPU boards, and from nothing
/// else: without one they stay empty. Throws Error(bad_input) for an accelerator, model or
/// precision the catalog does not know, for a missing number of GPUs or engine, when the GPU meters
/// are not those of the deployment's GPUs, for figures that contradict each other (the checks of
/// inference::parse_points), and, unless `take_invalid`, when the run or its GPU power is not
/// valid. An invalid power is never taken.
[[nodiscard]] inference::MeasuredPoint to_point(const Measurement& measurement,
                                                const DeploymentStatement& deployment,
                                                const catalog::Catalog& catalog);

struct AppendedPoints {
  std::size_t added = 0;
  std::size_t replaced = 0;  // of the same identity
};

/// `points` in the table `file`, which is made when it does not exist and replaced in one step.
/// Throws Error(bad_input) when the file holds a row that is not in order, peer_failed when it
/// cannot be written.
AppendedPoints append_points(const std::filesystem::path& file,
                             const std::vector<inference::MeasuredPoint>& points,
                             const catalog::Catalog& catalog);

}  // namespace perwatt::measure
