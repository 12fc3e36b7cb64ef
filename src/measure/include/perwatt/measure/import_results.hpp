// Results that other tools measured, read so that they can be scored, compared and reported as
// perwatt's own: AIPerf, vLLM's bench serve and InferenceX. Formats, units and their sources:
// docs/reference/measurement.md#imports.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/device/power_meter.hpp"
#include "perwatt/measure/energy.hpp"
#include "perwatt/measure/measurement.hpp"
#include "perwatt/measure/points.hpp"
#include "perwatt/measure/request_record.hpp"

namespace perwatt::measure {

struct ResultFile {
  std::string name;  // in messages
  std::string text;
};

struct ImportRules {
  Slo slo;             // goodput is scored against it
  EnergyRules energy;  // for telemetry files
};

/// One run of another tool. `measurement.unknown` and `reasons` say what its files do not hold.
struct ImportedRun {
  Measurement measurement;
  std::vector<RequestRecord> requests;    // empty where the files hold a summary only
  std::vector<device::MeterTrace> power;  // from telemetry files; accounted in `measurement`
  Window window;                          // that `requests` and `power` stand in
  std::optional<DeploymentStatement> deployment;  // what the file says of it
};

/// The runs in `files`, each recognised by its content: vLLM and InferenceX results (several may
/// stand in one file) are a run each, AIPerf's summary, requests and GPU telemetry together are
/// one. Where there are requests, latencies and goodput are computed from them as for a run of
/// perwatt's own; else they are the summary's. Throws Error(bad_input) with file and key for what
/// is none of these, is broken, or has an unknown unit.
[[nodiscard]] std::vector<ImportedRun> import_results(std::span<const ResultFile> files,
                                                      const ImportRules& rules);

}  // namespace perwatt::measure
