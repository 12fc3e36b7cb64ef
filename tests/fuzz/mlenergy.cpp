// An ML.ENERGY file, v3 or v2.
#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"
#include "point_check.hpp"

#include "perwatt/inference/import.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    fuzz::demand_sound(inference::import_mlenergy(
        text, "llm_text_generation/chat/H100/org/model/x.json", fuzz::shipped_catalog()));
  });
  return 0;
}
