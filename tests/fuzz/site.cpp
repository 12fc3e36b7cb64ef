// A site file against the shipped catalog.
#include "perwatt/plan/site.hpp"

#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"
#include "point_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    const auto site = plan::parse_site(text, "sites/site.toml", fuzz::shipped_catalog());
    fuzz::demand(site.envelope > Watts{}, "the envelope is not above 0");
    fuzz::demand(!site.services.empty() && !site.racks.empty(), "no service or no rack");
    for (const auto& rack : site.racks) {
      static_cast<void>(fuzz::shipped_catalog().system(rack.system, ""));
    }
  });
  return 0;
}
