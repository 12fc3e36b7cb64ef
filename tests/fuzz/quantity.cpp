// Quantities as a user writes them: one text, read as each kind.
#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"

#include "perwatt/base/parse_quantity.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto not_negative = [](double value) { fuzz::demand(value >= 0, "a negative quantity"); };
  fuzz::demand_answer_or_error([&] { not_negative(parse_watts(text, "w").in_base()); });
  fuzz::demand_answer_or_error([&] { not_negative(parse_seconds(text, "s").in_base()); });
  fuzz::demand_answer_or_error([&] { not_negative(parse_request_rate(text, "r")); });
  fuzz::demand_answer_or_error([&] { not_negative(parse_tokens_per_second(text, "t").in_base()); });
  fuzz::demand_answer_or_error([&] { static_cast<void>(parse_celsius(text, "c")); });
  return 0;
}
