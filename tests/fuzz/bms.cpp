// Messages of a building management system, one a line, and the tree they make.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fuzz_check.hpp"

#include "perwatt/topology/read_bms.hpp"
#include "perwatt/topology/readings.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    const auto site = topology::read_bms(text, "fuzz.jsonl");
    fuzz::demand(!site.tree.nodes().empty(), "a tree without nodes");
    for (const auto& reading : site.readings) {
      fuzz::demand(std::isfinite(in_watts(reading.power)), "a reading that is none");
    }
    for (const auto& finding :
         topology::check_meters(site.tree, topology::readings_of(site), 0.02)) {
      fuzz::demand(std::isfinite(in_watts(finding.residual())), "a residual that is none");
    }
  });
  return 0;
}
