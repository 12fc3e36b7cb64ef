// A calibration: coefficients.json, and behind a form feed relatives.csv. What is read is written
// back as the same bytes, and predicts numbers.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "fuzz_check.hpp"

#include "perwatt/inference/serving/calibration_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  namespace serving = inference::serving;
  const std::string text{reinterpret_cast<const char*>(data), size};
  const auto cut = text.find('\f');
  const auto relatives = cut == std::string::npos ? std::string{} : text.substr(cut + 1);
  fuzz::demand_answer_or_error([&] {
    const auto calibration =
        serving::parse_calibration(text.substr(0, cut), "c.json", relatives, "r.csv");
    const auto again =
        serving::parse_calibration(serving::format_coefficients(calibration), "c.json",
                                   serving::format_relatives(calibration), "r.csv");
    fuzz::demand(serving::format_coefficients(again) == serving::format_coefficients(calibration),
                 "coefficients change when written");
    fuzz::demand(serving::format_relatives(again) == serving::format_relatives(calibration),
                 "relatives change when written");
    for (const auto metric : serving::kMetrics) {
      const auto& borrowing = calibration.of(metric);
      for (const auto& relative : borrowing.relatives()) {
        fuzz::demand(std::isfinite(borrowing.shift(relative.traits)), "a shift that is no number");
      }
    }
  });
  return 0;
}
