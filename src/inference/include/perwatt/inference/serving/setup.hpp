// A deployment as the serving model sees it, and what is asked of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "perwatt/inference/checkpoint_format.hpp"
#include "perwatt/inference/model_shape.hpp"
#include "perwatt/inference/serving/hardware.hpp"
#include "perwatt/inference/serving/layout.hpp"

namespace perwatt::inference::serving {

/// Engines that have coefficients of their own.
enum class EngineFamily {
  tensorrt_llm,
  sglang,
  vllm,
  vllm_v0,  // vLLM before its V1 engine (2025-01)
  atom,
  other  // as vLLM
};

/// What stands between clients and engines of a disaggregated deployment.
enum class Router { none, dynamo, mori };

struct Engine {
  EngineFamily family = EngineFamily::vllm;
  Router router = Router::none;

  bool operator==(const Engine&) const = default;
};

/// "trtllm", "dynamo-sglang", "vllm", …; `date` is of the software, YYYY-MM-DD or empty.
[[nodiscard]] Engine engine_of(std::string_view engine, std::string_view date);

[[nodiscard]] std::string_view to_string(EngineFamily family);

/// Whether latencies are those of a benchmark that reports the median gap between tokens
/// (ML.ENERGY), in which only part of what prefills take from decoding shows.
enum class TpotKind { mean_per_request, median_gap };

/// Core clocks over those at which the coefficients were measured. Aggregated serving has one.
struct CoreClocks {
  double prefill = 1;
  double decode = 1;
};

struct Setup {
  Hardware hardware;
  const ModelShape* model = nullptr;  // outlives the setup
  CheckpointFormat format;            // of the weights as served
  double kv_element_bytes = 2;
  Engine engine;
  bool has_mtp = false;  // or another draft of a few tokens
  ServingLayout layout;
  double input_tokens = 0;           // mean of a request, > 0
  double output_tokens = 0;          // mean of a request, >= 1
  double cached_input_ratio = 0;     // share of the input found in a prefix cache
  double software_age_quarters = 0;  // before kSoftwareEpoch; negative after it
  TpotKind tpot_kind = TpotKind::mean_per_request;
  CoreClocks clocks;
};

/// Ages of software count from here: the newest rows of the shipped calibration.
inline constexpr std::string_view kSoftwareEpoch = "2026-07-01";

/// Mean length over the nominal one: benchmark clients draw lengths uniformly between 0.8 and 1.0
/// of it (InferenceX).
inline constexpr double kMeanOfNominal = 0.9;

/// `date` is YYYY-MM-DD.
[[nodiscard]] double software_age_quarters(std::string_view date);

/// How much work waits. A closed loop keeps `concurrency` requests in the deployment; with a
/// `batch`, that many sequences are decoded at once on every decode instance.
struct ClosedLoop {
  double concurrency = 1;
};

struct FixedBatch {
  double sequences = 1;  // per instance
};

using Load = std::variant<ClosedLoop, FixedBatch>;

}  // namespace perwatt::inference::serving
