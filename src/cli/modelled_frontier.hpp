// The part of the frontier verb that asks the serving model instead of measured rows.
#pragma once

#include <string>
#include <vector>

#include "verbs.hpp"

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
  bool explain = false;
  bool json = false;
};

/// Adds its options to the frontier verb.
void add_modelled_frontier_options(CLI::App& verb, ModelledFrontierOptions& options);

/// Prints the answer. REQUIRES: an accelerator.
void run_modelled_frontier(const ModelledFrontierOptions& options, const DataOptions& data);

}  // namespace perwatt::cli
