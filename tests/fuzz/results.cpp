// Results of other tools, and measurements: whatever is taken must survive its own file.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "fuzz_check.hpp"

#include "perwatt/measure/import_results.hpp"
#include "perwatt/measure/measurement_file.hpp"

namespace {

using namespace perwatt;

void demand_same_after_reading(const measure::Measurement& measurement) {
  const auto text = measure::format_measurement(measurement);
  const auto again = measure::format_measurement(measure::parse_measurement(text, "written.json"));
  fuzz::demand(text == again, "a measurement reads back as another one");
}

void demand_sound(const measure::Measurement& m) {
  fuzz::demand(m.requests.ok + m.requests.failed + m.requests.cancelled == m.requests.sent ||
                   m.unknown.requests,
               "requests do not add up");
  fuzz::demand(m.tokens.good <= m.tokens.output + 1, "more good tokens than tokens");
  fuzz::demand(m.window >= Seconds{}, "a window of negative length");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error(
      [&] { demand_same_after_reading(measure::parse_measurement(text, "measurement.json")); });
  fuzz::demand_answer_or_error(
      [&] { static_cast<void>(measure::parse_answers(text, "requests.jsonl")); });
  // Files of one run, cut at form feeds.
  std::vector<measure::ResultFile> files;
  for (const auto& part : split(text, '\f')) {
    files.push_back({"result-" + std::to_string(files.size()), part});
  }
  measure::ImportRules rules;
  rules.slo = {seconds(0.35), seconds(0.2), seconds(0.9), seconds(3)};
  fuzz::demand_answer_or_error([&] {
    for (const auto& run : measure::import_results(files, rules)) {
      demand_sound(run.measurement);
      demand_same_after_reading(run.measurement);
    }
  });
  return 0;
}
