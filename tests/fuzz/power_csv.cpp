// A recording of power. The first byte chooses whether a time zone is given, or rows are sorted.
#include "perwatt/device/power_csv.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"

namespace {

using namespace perwatt;

void demand_sound(const std::vector<device::MeterTrace>& traces) {
  for (const auto& trace : traces) {
    const device::Reading* last = nullptr;
    for (const auto& reading : trace.readings) {
      fuzz::demand(last == nullptr || last->at < reading.at, "readings out of order");
      fuzz::demand(reading.counter || reading.power, "a reading without a value");
      const double watts = reading.power ? in_watts(*reading.power) : 0.0;
      const double joules = reading.counter ? reading.counter->in_base() : 0.0;
      fuzz::demand(std::isfinite(watts) && std::isfinite(joules) && watts >= 0 && joules >= 0,
                   "a value that is not finite or negative");
      last = &reading;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  device::PowerCsvOptions options;
  if (data[0] == 'z') {
    options.utc_offset = seconds(7200);
  }
  options.sorts_rows = data[0] == 's';
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  const WallClock clock;  // its offset is 0: the same bytes, the same answer
  fuzz::demand_answer_or_error([&] {
    const auto traces = device::parse_power_csv(text, "power.csv", options, clock);
    demand_sound(traces);
    // What is written has as many rows as there are readings and failures, and a header.
    std::size_t rows = 1;
    for (const auto& trace : traces) {
      rows += trace.readings.size() + trace.failures.size();
    }
    const auto written = device::format_power_csv(traces, clock);
    std::size_t lines = 0;
    for (const char c : written) {
      lines += c == '\n' ? 1 : 0;
    }
    fuzz::demand(lines >= rows, "rows are missing from what was written");
  });
  return 0;
}
