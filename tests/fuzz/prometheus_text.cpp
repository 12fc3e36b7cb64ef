// A page of an exporter: an answer, or a failure on one line.
#include "prometheus_text.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  const std::string_view page{reinterpret_cast<const char*>(data), size};
  const auto samples = device::parse_prometheus_text(
      page, [](std::string_view name) { return !name.starts_with("unwanted"); });
  if (!samples) {
    fuzz::demand(!samples.reason().empty(), "a failure without a reason");
    fuzz::demand_one_line(samples.reason());
    return 0;
  }
  for (const auto& sample : samples.value()) {
    fuzz::demand(!sample.name.empty() && !sample.name.starts_with("unwanted"), "a wrong name");
    fuzz::demand(!sample.value || std::isfinite(*sample.value), "a value that is not finite");
    fuzz::demand(!sample.unix_time || std::isfinite(in_seconds(*sample.unix_time)),
                 "a time that is not finite");
    for (const auto& label : sample.labels) {
      fuzz::demand(!label.name.empty(), "a label without a name");
    }
  }
  return 0;
}
