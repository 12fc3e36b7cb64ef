// Private to the report of measurements: its sentences, tables and charts.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "charts.hpp"
#include "table.hpp"

#include "perwatt/report/measurement_report.hpp"

namespace perwatt::report {

/// Label, else model, else number; all different; "(not valid)" behind one that is not.
[[nodiscard]] std::vector<std::string> run_names(const MeasurementReport& report);

/// "GPU boards", "IT nodes", "facility meter".
[[nodiscard]] std::string boundary_name(measure::Boundary boundary);

/// "GPU boards (metered)" or "facility meter (modelled)".
[[nodiscard]] std::string boundary_text(const measure::EnergyResult& energy);

/// Output tokens/s per watt, which are tokens per joule.
[[nodiscard]] std::optional<double> tokens_per_joule(const measure::EnergyResult& energy);

/// "2.4 (2.376 to 2.424)".
[[nodiscard]] std::string estimate_text(const std::optional<measure::Estimate>& estimate);

/// Why the runs of the report are not valid, each a sentence; empty when all are.
[[nodiscard]] std::vector<std::string> verdicts(const MeasurementReport& report);

struct Headline {
  std::string run;
  std::string text;
};

[[nodiscard]] std::vector<Headline> headlines(const MeasurementReport& report);

[[nodiscard]] std::vector<Table> measurement_tables(const MeasurementReport& report);

[[nodiscard]] std::vector<Chart> measurement_charts(const MeasurementReport& report);

}  // namespace perwatt::report
