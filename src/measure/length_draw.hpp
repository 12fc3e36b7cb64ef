// Draws of lengths and the uniform numbers behind them: the same bits with every standard library.
#pragma once

#include <cstdint>
#include <random>

#include "perwatt/measure/workload.hpp"

namespace perwatt::measure {

/// A prompt or an answer that a file asks for.
inline constexpr std::int64_t kMostTokens = 10'000'000;

/// At least 1.
[[nodiscard]] std::int64_t draw_length(const LengthLaw& law, std::mt19937_64& random);

}  // namespace perwatt::measure
