// An InferenceX export: configs.csv, a line "----", benchmark_results_raw.csv.
#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"
#include "point_check.hpp"

#include "perwatt/inference/import.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  constexpr std::string_view kSeparator = "----\n";
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto end = text.find(kSeparator);
  const auto configs = text.substr(0, end);
  const auto results =
      end == std::string_view::npos ? std::string_view{} : text.substr(end + kSeparator.size());
  fuzz::demand_answer_or_error([&] {
    fuzz::demand_sound(inference::import_inferencex(
        configs, "configs.csv", results, "results.csv", fuzz::shipped_catalog(),
        [](double done) { fuzz::demand(done >= 0 && done <= 1, "progress outside 0..1"); }));
  });
  return 0;
}
