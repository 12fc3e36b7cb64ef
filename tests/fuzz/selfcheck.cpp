// Throws what no parser may throw, to show that a replay fails on it.
#include <cstddef>
#include <cstdint>
#include <stdexcept>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* /*data*/, std::size_t size) {
  if (size > 0) {
    throw std::out_of_range{"not a perwatt::Error"};
  }
  return 0;
}
