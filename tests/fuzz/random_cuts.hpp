// Cuts an input into pieces, the same each time for the same input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace perwatt::fuzz {

/// Pieces that are the whole of `bytes` in order; about `mean_bytes` long each (1: every byte).
inline std::vector<std::string_view> random_pieces(std::string_view bytes, std::size_t mean_bytes) {
  constexpr std::uint64_t kFnvOffset = 14695981039346656037U;
  constexpr std::uint64_t kFnvPrime = 1099511628211U;
  std::uint64_t state = kFnvOffset + mean_bytes;
  for (const char c : bytes) {
    state = (state ^ static_cast<unsigned char>(c)) * kFnvPrime;
  }
  std::vector<std::string_view> pieces;
  while (!bytes.empty()) {
    state = state * kFnvPrime + 1;
    const auto size = mean_bytes == 1 ? 1 : 1 + (state >> 33) % (2 * mean_bytes);
    pieces.push_back(bytes.substr(0, size));
    bytes.remove_prefix(pieces.back().size());
  }
  return pieces;
}

}  // namespace perwatt::fuzz
