// An allocation problem in JSON, and its split.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "fuzz_check.hpp"

#include "perwatt/allocate/allocator.hpp"
#include "perwatt/allocate/problem_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    const auto named = allocate::read_problem(text, "problem.json");
    allocate::Allocator allocator{named.problem};
    const auto& answer = allocator.solve();
    if (answer.status == allocate::Status::infeasible) {
      return;
    }
    for (std::size_t n = 0; n < named.nodes.size(); ++n) {
      const Watts limit = named.problem.nodes()[n].limit;
      fuzz::demand(answer.nodes[n].power <= limit * (1 + 1e-6) + watts(1e-6),
                   "a node is given more than its limit");
      fuzz::demand(std::isfinite(answer.nodes[n].price_per_watt), "a price is no number");
    }
    for (std::size_t d = 0; d < named.devices.size(); ++d) {
      const auto curve = named.problem.curve(allocate::DeviceIndex{static_cast<std::uint32_t>(d)});
      const Watts given = answer.device_watts[d];
      fuzz::demand(given >= curve.front().power * (1 - 1e-9) &&
                       given <= curve.back().power * (1 + 1e-9) + watts(1e-9),
                   "a device is given watts outside its curve");
    }
  });
  return 0;
}
