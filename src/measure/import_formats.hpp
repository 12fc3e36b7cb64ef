// Private to the importers: one function per format, and what they share.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/json_node.hpp"
#include "perwatt/measure/import_results.hpp"
#include "perwatt/measure/load_runner.hpp"

namespace perwatt::measure {

inline constexpr const char* kImportRemedy =
    "give the result as its tool wrote it (docs/reference/measurement.md#imports)";

inline constexpr double kShortestRun = 1e-6;  // s
inline constexpr std::int64_t kMostRequestTokens = 1'000'000'000;

/// A JSON value and where it stands: "file" or "file:line".
struct PlacedJson {
  Json json;
  std::string where;
};

[[nodiscard]] bool is_aiperf_summary(const Json& json);
[[nodiscard]] bool is_aiperf_request(const Json& json);
[[nodiscard]] bool is_aiperf_telemetry(const Json& json);
[[nodiscard]] bool is_vllm_result(const Json& json);
[[nodiscard]] bool is_inferencex_result(const Json& json);

/// AIPerf's files of one run; any of them may be missing, but not summary and requests both.
struct AiperfFiles {
  std::optional<PlacedJson> summary;
  std::vector<PlacedJson> requests;
  std::vector<PlacedJson> telemetry;
};

[[nodiscard]] ImportedRun import_aiperf(const AiperfFiles& files, const ImportRules& rules);
[[nodiscard]] ImportedRun import_vllm(const PlacedJson& result, const ImportRules& rules);
[[nodiscard]] ImportedRun import_inferencex(const PlacedJson& result, const ImportRules& rules);

/// GPU meters from the lines of AIPerf's gpu_telemetry_export.jsonl.
[[nodiscard]] std::vector<device::MeterTrace> telemetry_traces(
    const std::vector<PlacedJson>& lines);

/// "unit" and value of AIPerf: in the base unit of its quantity (s, J, W, tokens, requests).
[[nodiscard]] double in_base_unit(double value, const std::string& unit, const JsonNode& node);

/// The time of one statistic of a distribution, where the file has it.
using TimeOf = std::function<std::optional<Seconds>(const char* statistic)>;

/// p75, p90, p95 and p99 by their names, mean and median by the given ones; nothing without mean,
/// median and p99, without which a distribution is not known.
[[nodiscard]] std::optional<Quantiles> quantiles_by_name(const TimeOf& at, const char* mean,
                                                         const char* median);

/// Of the keys "STATISTIC_METRIC" + `suffix` of vLLM and of InferenceX, which grew from it, times
/// `unit_seconds`. A median of 0 stands for a metric that was not taken.
[[nodiscard]] std::optional<Quantiles> stated_quantiles(const JsonNode& root,
                                                        const std::string& metric,
                                                        const char* suffix, double unit_seconds);

/// A time in nanoseconds since 1970; nothing where the key is missing or null.
[[nodiscard]] std::optional<Instant> instant_of(const JsonNode& node, const char* key);

/// Scores the requests of `run` under the rules' SLO into its measurement. `window` is set by the
/// caller. Without `intended_known` the times counted from the intended send are unknown.
void score_requests(bool intended_known, const ImportRules& rules, ImportedRun& run);

/// Figures per token from the energy of the window.
[[nodiscard]] EnergyResult energy_result(BoundaryEnergy account, const Measurement& measurement);

/// An energy that a file states.
[[nodiscard]] BoundaryEnergy stated_energy(Joules energy, EnergyMethod method, int gpus,
                                           const std::string& detail);

}  // namespace perwatt::measure
