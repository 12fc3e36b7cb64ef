// Random numbers by name instead of by turn: a hash of what they are for, so that the order in
// which they are asked for changes nothing.
#pragma once

#include <cstdint>

namespace perwatt::simulate {

/// What a number is for.
enum class RandomUse : std::uint64_t {
  latency = 1,
  device_noise,
  node_noise,
  device_bias,
  node_bias
};

/// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014; constants of Stafford's Mix13).
constexpr std::uint64_t mix_bits(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// The `count`-th 64 random bits of thing `index` for `use`.
constexpr std::uint64_t random_bits(std::uint64_t seed, RandomUse use, std::uint64_t index,
                                    std::uint64_t count) {
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ULL;
  std::uint64_t bits = mix_bits(seed + kGolden * static_cast<std::uint64_t>(use));
  bits = mix_bits(bits + kGolden * (index + 1));
  return mix_bits(bits + kGolden * (count + 1));
}

/// Uniform whole number below `bound` (1 <= bound < 2^32); off even by less than bound / 2^32.
constexpr std::uint64_t random_below(std::uint64_t bits, std::uint64_t bound) {
  return ((bits >> 32) * bound) >> 32;
}

/// Uniform in [0, 1).
constexpr double random_unit(std::uint64_t bits) {
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

/// Mean 0, variance 1, within +-6: the sum of twelve uniforms (Irwin-Hall). Only sums, so the same
/// with every mathematics library; its tails are thinner than the normal law's beyond 3.
constexpr double random_normal(std::uint64_t seed, RandomUse use, std::uint64_t index,
                               std::uint64_t count) {
  double sum = -6;
  for (std::uint64_t word = 0; word < 3; ++word) {
    const std::uint64_t bits = random_bits(seed, use, index, 3 * count + word);
    for (int part = 0; part < 4; ++part) {
      const auto piece = static_cast<std::uint16_t>(bits >> (16 * part));
      sum += (static_cast<double>(piece) + 0.5) * 0x1p-16;
    }
  }
  return sum;
}

}  // namespace perwatt::simulate
