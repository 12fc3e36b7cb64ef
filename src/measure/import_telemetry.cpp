// AIPerf's gpu_telemetry_export.jsonl: one line per GPU and scrape
// (ai-dynamo/aiperf src/aiperf/common/models/telemetry_models.py, TelemetryRecord).
#include <algorithm>
#include <map>

#include "import_formats.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

constexpr double kJoulesPerMegajoule = 1e6;

/// Before schema 1.5 the names bore no vendor.
std::optional<double> first_of(const JsonNode& data, std::initializer_list<const char*> names) {
  for (const auto* name : names) {
    if (const auto value = data.optional_not_negative(name)) {
      return value;
    }
  }
  return std::nullopt;
}

device::Reading reading_of(const JsonNode& line) {
  const auto data = line.node("telemetry_data");
  device::Reading reading;
  const auto at = instant_of(line, "timestamp_ns");
  if (!at) {
    line.fail("timestamp_ns", "a time in nanoseconds");
  }
  reading.at = *at;
  if (const auto power = first_of(data, {"nvidia_power_usage", "gpu_power_usage", "amd_power"})) {
    reading.power = watts(*power);
  }
  if (const auto energy = first_of(
          data, {"nvidia_energy_consumption", "energy_consumption", "amd_energy_consumption"})) {
    reading.counter = Joules::from_base(*energy * kJoulesPerMegajoule);
  }
  return reading;
}

device::Meter meter_of(const JsonNode& line) {
  device::Meter meter;
  const auto url = printable(line.text("dcgm_url"), 200);
  const auto uuid = printable(line.text("gpu_uuid"));
  meter.source = "AIPerf " + url;
  meter.id = meter.source + " " + uuid;
  meter.host = printable(line.optional_text("hostname"));
  meter.device = "gpu " + std::to_string(line.count("gpu_index")) + ", " + uuid + ", " +
                 printable(line.optional_text("gpu_model_name"));
  return meter;
}

void put_in_order(std::vector<device::Reading>& readings) {
  std::stable_sort(readings.begin(), readings.end(),
                   [](const auto& a, const auto& b) { return a.at < b.at; });
  const auto same_time = [](const auto& a, const auto& b) { return a.at == b.at; };
  readings.erase(std::unique(readings.begin(), readings.end(), same_time), readings.end());
}

}  // namespace

bool is_aiperf_telemetry(const Json& json) {
  return json.is_object() && json.contains("telemetry_data") && json.contains("gpu_uuid") &&
         json.contains("timestamp_ns");
}

std::vector<device::MeterTrace> telemetry_traces(const std::vector<PlacedJson>& lines) {
  std::vector<device::MeterTrace> traces;
  std::map<std::string, std::size_t> places;  // id -> trace
  for (const auto& value : lines) {
    const JsonNode line{value.json, value.where, kImportRemedy};
    auto meter = meter_of(line);
    const auto [at, is_new] = places.emplace(meter.id, traces.size());
    if (is_new) {
      traces.push_back({std::move(meter), {}, {}});
    }
    traces[at->second].readings.push_back(reading_of(line));
  }
  for (auto& trace : traces) {
    put_in_order(trace.readings);
  }
  return traces;
}

}  // namespace perwatt::measure
