// What perwatt does with files of measurements, for the scripts beside this file.
//   measurement_files points CATALOG TABLE ACCELERATOR GPUS MEASUREMENT...
//   measurement_files report PAGE compare|alone MEASUREMENT... [-- RESULT...]
// RESULTs are files of one run of AIPerf, which bring requests and power.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/measure/import_results.hpp"
#include "perwatt/measure/measurement_file.hpp"
#include "perwatt/measure/points.hpp"
#include "perwatt/report/measurement_report.hpp"

namespace {

using namespace perwatt;

measure::Measurement read_measurement(const std::string& file) {
  return measure::parse_measurement(read_file(file), file);
}

void append(const std::vector<std::string>& words) {
  const auto catalog = catalog::Catalog::load({words.at(1)});
  measure::DeploymentStatement deployment;
  deployment.accelerator = words.at(3);
  deployment.precision = "fp8";
  deployment.engine = "vllm";
  deployment.layout.num_gpus = std::atoi(words.at(4).c_str());
  std::vector<inference::MeasuredPoint> points;
  for (std::size_t i = 5; i < words.size(); ++i) {
    points.push_back(measure::to_point(read_measurement(words[i]), deployment, catalog));
  }
  const auto appended = measure::append_points(words.at(2), points, catalog);
  std::printf("%zu %zu\n", appended.added, appended.replaced);
}

report::MeasuredComparison comparison_of(const report::MeasurementReport& report) {
  const auto& first = report.runs.at(0).measurement.energy.front().joules_per_output_token->value;
  const auto& second = report.runs.at(1).measurement.energy.front().joules_per_output_token->value;
  const double ratio = second / first;
  report::MeasuredComparison comparison;
  comparison.first = "A";
  comparison.second = "B";
  comparison.verdict = "B differs from A.";
  comparison.figures.push_back({"J per output token, GPU boards", first, second,
                                measure::Estimate{ratio, 0.98 * ratio, 1.02 * ratio}, "shown"});
  return comparison;
}

void write_report(const std::vector<std::string>& words) {
  report::MeasurementReport made;
  made.version = "test";
  std::vector<measure::ResultFile> results;
  bool is_result = false;
  for (std::size_t i = 3; i < words.size(); ++i) {
    if (words[i] == "--") {
      is_result = true;
    } else if (is_result) {
      results.push_back({words[i], read_file(words[i])});
    } else {
      made.runs.push_back({read_measurement(words[i]), {}, {}, std::nullopt});
    }
  }
  for (auto& run : measure::import_results(results, {})) {
    made.runs.push_back({run.measurement, run.requests, run.power, run.window});
  }
  if (words.at(2) == "compare") {
    made.comparison = comparison_of(made);
  }
  write_file(words.at(1), report::measurement_html(made));
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words{argv + 1, argv + argc};
  try {
    words.at(0) == "points" ? append(words) : write_report(words);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
