// Measured iterations, and the fit to them.
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"

#include "perwatt/training/iteration_fit.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    const auto iterations = training::read_iterations(text, "iterations.csv");
    training::PipelineShape shape;
    shape.stages = static_cast<int>(iterations.front().forward.size());
    shape.microbatches = 2;
    if (iterations.size() > 20 || shape.stages > 8) {
      return;  // slow, and nothing new
    }
    const auto fit = training::fit_iterations(iterations, shape);
    fuzz::demand(fit.transfer >= Seconds{} && fit.tail >= Seconds{}, "a negative time was fitted");
  });
  return 0;
}
