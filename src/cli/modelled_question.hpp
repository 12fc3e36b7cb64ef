// What the frontier verb asks the serving model: its flags, and the question they make.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "verbs.hpp"

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/model_shape.hpp"
#include "perwatt/inference/serving/calibration.hpp"
#include "perwatt/inference/serving/open_load.hpp"
#include "perwatt/inference/serving/search.hpp"

namespace perwatt::cli {

struct ModelledFrontierOptions {
  std::string model;        // catalog id, or the path of a config.json
  std::string accelerator;  // empty: not asked for
  int gpus = 8;
  int isl_tokens = 0;
  int osl_tokens = 0;
  std::string max_ttft;
  std::string max_tpot;
  std::string precision;
  std::string engine = "vllm";
  std::string serving = "best";
  std::string kv_cache;
  std::string software_date;
  std::string calibration;
  std::vector<std::string> anchors;
  std::string gpu_cap;
  double clock_ratio = 1;
  double cached_input = 0;
  bool mtp = false;
  std::string arrival_pattern;  // empty: closed loops only
  double burstiness = 1;
  std::int64_t burst_size = 1;
  std::string request_rate;
  std::string lengths;
  std::string percentile;
  bool explain = false;
  std::string curve;
  bool json = false;
};

/// Adds its options to the frontier verb.
void add_modelled_frontier_options(CLI::App& verb, ModelledFrontierOptions& options);

/// The question with all that its answer points into.
struct ModelledQuestion {
  catalog::Catalog catalog;
  const catalog::Accelerator* accelerator = nullptr;
  inference::ModelShape shape;
  std::string precision;
  std::string software_date;
  inference::serving::Calibration calibration;
  std::size_t anchors = 0;  // rows that correct it
  inference::serving::SearchQuery query;
  std::optional<inference::serving::OpenLoad> open_load;
};

/// Throws Error(usage) for a flag that contradicts itself or the accelerator, Error(bad_input) for
/// files and entries that cannot be read. `question` is not moved afterwards: it points into
/// itself.
void set_question(const ModelledFrontierOptions& options, const DataOptions& data,
                  ModelledQuestion& question);

}  // namespace perwatt::cli
