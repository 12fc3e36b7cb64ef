// Random numbers that are the same with every standard library. std::mt19937_64 is specified to the
// bit; std::shuffle and the distributions of <random> are not, so that the few transforms this
// program needs stand here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>

namespace perwatt {

/// A uniform whole number below `bound` > 0.
inline std::uint64_t uniform_below(std::mt19937_64& generator, std::uint64_t bound) {
  const std::uint64_t reject_from = std::mt19937_64::max() - std::mt19937_64::max() % bound;
  std::uint64_t draw = generator();
  while (draw >= reject_from) {
    draw = generator();
  }
  return draw % bound;
}

/// Puts `items` into a uniformly random order.
template <class T>
void shuffle(std::span<T> items, std::mt19937_64& generator) {
  for (std::size_t left = items.size(); left > 1; --left) {
    std::swap(items[left - 1], items[uniform_below(generator, left)]);
  }
}

/// Uniform in the open interval (0, 1): the middle of one of 2^52 equal cells, so that neither end
/// is ever drawn and a logarithm of it is finite.
[[nodiscard]] double uniform_unit(std::mt19937_64& generator);

/// Exponential law of mean 1, by inversion.
[[nodiscard]] double unit_exponential(std::mt19937_64& generator);

/// Standard normal law (Marsaglia and Bray's polar method, 1964; the second value of a pair is
/// dropped, so that a draw depends on the generator alone).
[[nodiscard]] double standard_normal(std::mt19937_64& generator);

/// Gamma law of the given shape and scale 1, so of mean `shape` and variance `shape` (Marsaglia and
/// Tsang, A simple method for generating gamma variables, 2000). REQUIRES: shape > 0.
[[nodiscard]] double standard_gamma(std::mt19937_64& generator, double shape);

}  // namespace perwatt
