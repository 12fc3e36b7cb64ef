// One or many measurements as a document: self-contained HTML that opens offline, or Markdown.
//
// Pure functions from results to text, same input, same bytes. A run that is not valid says so
// first, and everything it is shown in says it again.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "perwatt/device/power_meter.hpp"
#include "perwatt/measure/energy.hpp"
#include "perwatt/measure/measurement.hpp"
#include "perwatt/measure/request_record.hpp"

namespace perwatt::report {

struct MeasuredRun {
  measure::Measurement measurement;
  // What is absent leaves its charts out, or draws them from the measurement's quantiles.
  std::vector<measure::RequestRecord> requests;  // the window's
  std::vector<device::MeterTrace> power;
  std::optional<measure::Window> window;  // that `power` is shown against
};

struct ComparedFigure {
  std::string name;  // with the unit: "J per output token, GPU boards"
  std::optional<double> first;
  std::optional<double> second;
  std::optional<measure::Estimate> ratio;  // second over first
  std::string verdict;                     // "saves", "costs", "not shown"; may be empty
};

struct MeasuredComparison {
  std::string first;  // names of what is compared
  std::string second;
  std::string verdict;  // one sentence
  std::string method;   // how the intervals were made, for the note
  std::vector<ComparedFigure> figures;
};

struct MeasurementReport {
  std::vector<MeasuredRun> runs;  // at least one
  std::optional<MeasuredComparison> comparison;
  std::string version;  // of perwatt
};

[[nodiscard]] std::string measurement_html(const MeasurementReport& report);
[[nodiscard]] std::string measurement_markdown(const MeasurementReport& report);

}  // namespace perwatt::report
