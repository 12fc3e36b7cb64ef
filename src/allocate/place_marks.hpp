// A set of places that is gone through in rising order without being sorted.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace perwatt::allocate {

class PlaceMarks {
 public:
  /// Places from 0 to below `end`.
  explicit PlaceMarks(std::size_t end) : words_(end / kBits + 1, 0) {}

  /// False when the place is marked already.
  bool mark(std::uint32_t place) {
    auto& word = words_[place / kBits];
    const std::uint64_t bit = std::uint64_t{1} << (place % kBits);
    const bool is_new = (word & bit) == 0;
    word |= bit;
    return is_new;
  }

  [[nodiscard]] bool is_marked(std::uint32_t place) const {
    return (words_[place / kBits] >> (place % kBits) & 1U) != 0;
  }

  /// Calls `take` for each, the lowest first, and takes its mark away before. What `take` marks
  /// above comes in its turn. REQUIRES: `take` marks nothing below.
  template <class Take>
  void take_each(const Take& take) {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      while (words_[i] != 0) {
        const auto bit = static_cast<std::size_t>(std::countr_zero(words_[i]));
        words_[i] &= words_[i] - 1;
        take(static_cast<std::uint32_t>(i * kBits + bit));
      }
    }
  }

  void clear() { words_.assign(words_.size(), 0); }

 private:
  static constexpr std::size_t kBits = 64;

  std::vector<std::uint64_t> words_;
};

}  // namespace perwatt::allocate
