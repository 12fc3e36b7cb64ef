// A shuffle that is the same with every standard library (std::shuffle is not).
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>

namespace perwatt::plan {

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

}  // namespace perwatt::plan
