// A table of measured points.
#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"
#include "point_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    fuzz::demand_sound(inference::parse_points(text, "points.csv", fuzz::shipped_catalog()));
  });
  return 0;
}
