// The pieces that are still in play while a tree is solved from the leaves up, apart by worth.
//
// A stack for each band of keys, so that a limit that has to let go of the least worth drops whole
// bands at once and selects within one. Subtrees are solved one after the other, so what a subtree
// kept lies on top of each stack, side by side.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "cut.hpp"
#include "tree_order.hpp"

namespace perwatt::allocate {

inline constexpr std::size_t kBands = 8;

template <class Key>
class PieceStacks {
 public:
  using P = Piece<Key>;
  using Tops = std::array<std::uint32_t, kBands>;
  using BandWatts = std::array<double, kBands>;

  /// Empty, with bands of about the same number of `pieces` each. What was there stays reserved.
  void begin(std::span<const P> pieces) {
    auto& sample = sample_;
    sample.clear();
    const std::size_t step = std::max<std::size_t>(pieces.size() / 4096, 1);
    for (std::size_t i = 0; i < pieces.size(); i += step) {
      sample.push_back(pieces[i].key);
    }
    lowest_ = {};
    if (!sample.empty()) {
      divide_sample(0, kBands);
    }
    clear();
  }

  void clear() {
    tops_ = {};
    heaps_ = {};
  }

  [[nodiscard]] const Tops& tops() const { return tops_; }

  /// Adds the pieces of devices [first, end) on top, `pieces_of(device)`, and their watts to
  /// `watts`, device by device. `most`: how many pieces they are together, or more.
  template <class PiecesOf>
  void push(std::uint32_t first, std::uint32_t end, const PiecesOf& pieces_of, std::size_t most,
            BandWatts& watts) {
    std::array<P*, kBands> ends;
    for (std::size_t band = 0; band < kBands; ++band) {
      ends[band] = with_room(band, most) + tops_[band];
    }
    for (auto device = first; device < end; ++device) {
      BandWatts added{};
      for (const P& piece : pieces_of(device)) {
        const std::size_t band = band_of(piece.key);
        *ends[band]++ = piece;
        added[band] += piece.watts;
      }
      for (std::size_t band = 0; band < kBands; ++band) {
        watts[band] += added[band];
      }
    }
    for (std::size_t band = 0; band < kBands; ++band) {
      tops_[band] = static_cast<std::uint32_t>(ends[band] - stacks_[band].get());
    }
  }

  /// Lets go of what lies above `begin` but for `capacity` watts of greatest worth. `watts` of the
  /// bands becomes what stays. `first_end`: where what came from the first child ends.
  /// REQUIRES: 0 < capacity < the sum of watts.
  Cut<Key> cut(const Tops& begin, const Tops& first_end, double capacity, BandWatts& watts) {
    const double rounding = kMetExactly * capacity;
    std::size_t band = kBands - 1;
    double room = capacity;  // in this band and below
    while (band > 0 && watts[band] < room - rounding) {
      room -= watts[band--];
    }
    Cut<Key> cut;
    if (room > rounding && watts[band] > room + rounding) {
      cut = cut_band(band, begin[band], first_end[band], room, watts[band], rounding);
      tops_[band] = begin[band] + static_cast<std::uint32_t>(cut.kept);
      watts[band] = room;
    } else {  // whole bands meet the limit exactly
      band += room > rounding ? 0 : 1;
      cut.threshold = KeyLimits<Key>::highest;
      for (std::size_t b = band; b < kBands && cut.threshold == KeyLimits<Key>::highest; ++b) {
        cut.threshold = least(region(b, begin));
      }
    }
    drop_below(band, begin, cut.best_rejected);
    std::fill(watts.begin(), watts.begin() + static_cast<std::ptrdiff_t>(band), 0.0);
    return cut;
  }

  /// Lets go of all that lies above `begin`; its highest key.
  Key drop(const Tops& begin) {
    Key highest = KeyLimits<Key>::lowest;
    drop_below(kBands, begin, highest);
    return highest;
  }

 private:
  struct Heap {  // the last stretch of a stack that was made one, from `begin`
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
    std::uint32_t cuts = 0;  // of this stretch to which little was added
  };

  static constexpr std::size_t kMany = 64;      // from so many pieces on a heap may pay
  static constexpr std::size_t kLightPart = 8;  // little is below one in so many
  static constexpr std::uint32_t kCutsUntilHeap = 8;

  /// Finds where bands between `first` and `end` begin; those below and above lie apart already.
  void divide_sample(std::size_t first, std::size_t end) {
    const std::size_t middle = (first + end) / 2;
    const auto at = [this](std::size_t band) {
      return sample_.begin() + static_cast<std::ptrdiff_t>(band * sample_.size() / kBands);
    };
    std::nth_element(at(first), at(middle), at(end), [](Key a, Key b) { return b > a; });
    lowest_[middle] = *at(middle);
    if (end - first > 2) {
      divide_sample(first, middle);
      divide_sample(middle, end);
    }
  }

  [[nodiscard]] std::size_t band_of(Key key) const {
    std::size_t band = key > lowest_[4] ? 4 : 0;
    band += key > lowest_[band + 2] ? 2 : 0;
    return band + (key > lowest_[band + 1] ? 1 : 0);
  }

  /// A stack that takes `more` pieces.
  P* with_room(std::size_t band, std::size_t more) {
    const std::size_t needed = tops_[band] + more;
    if (needed > rooms_[band]) {
      const std::size_t room = std::max(needed, rooms_[band] + rooms_[band] / 2);
      auto larger = std::make_unique_for_overwrite<P[]>(room);
      std::copy_n(stacks_[band].get(), tops_[band], larger.get());
      stacks_[band] = std::move(larger);
      rooms_[band] = room;
    }
    return stacks_[band].get();
  }

  [[nodiscard]] std::span<P> region(std::size_t band, const Tops& begin) const {
    return {stacks_[band].get() + begin[band], tops_[band] - begin[band]};
  }

  static Key least(std::span<const P> pieces) {
    Key least = KeyLimits<Key>::highest;
    for (const P& piece : pieces) {
      least = least > piece.key ? piece.key : least;
    }
    return least;
  }

  /// Empties the bands below `end`; `highest` becomes the highest key there if there was none yet.
  void drop_below(std::size_t end, const Tops& begin, Key& highest) {
    for (std::size_t band = end; band-- > 0;) {
      if (highest == KeyLimits<Key>::lowest) {
        highest = Cutter<Key>::best_below(region(band, begin), KeyLimits<Key>::highest);
      }
      forget_heap(band, begin[band]);
      tops_[band] = begin[band];
    }
  }

  /// A stretch of a stack from `begin` on is put in another order or goes.
  void forget_heap(std::size_t band, std::uint32_t begin) {
    auto& heap = heaps_[band];
    if (begin < heap.begin + heap.size || begin <= heap.begin) {
      heap = {};
    }
  }

  /// On a long chain of limits each lets go of little of the same stretch: a heap finds it without
  /// looking at the rest.
  Cut<Key> cut_band(std::size_t band, std::uint32_t begin, std::uint32_t first_end, double room,
                    double total, double rounding) {
    const std::span<P> pieces{stacks_[band].get() + begin, tops_[band] - begin};
    const std::size_t from_first = first_end - begin;
    auto& heap = heaps_[band];
    if (pieces.size() <= kMany || (pieces.size() - from_first) * kLightPart >= from_first) {
      forget_heap(band, begin);
      return Cutter<Key>::select(pieces, room, total, rounding, spare(pieces.size()));
    }
    if (heap.begin != begin || heap.cuts == 0) {
      heap = {begin, 0, 0};
    }
    if (++heap.cuts < kCutsUntilHeap) {
      heap.size = 0;
      return Cutter<Key>::select(pieces, room, total, rounding, spare(pieces.size()));
    }
    const double loose = static_cast<double>(pieces.size() - heap.size);
    if (loose * std::log2(static_cast<double>(pieces.size())) >
        static_cast<double>(pieces.size())) {
      std::make_heap(pieces.begin(), pieces.end(), comes_first<Key>);
    } else {
      for (std::size_t end = heap.size + 1; end <= pieces.size(); ++end) {
        std::push_heap(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(end),
                       comes_first<Key>);
      }
    }
    const auto cut = Cutter<Key>::pop(pieces, room, total, rounding);
    heap.size = static_cast<std::uint32_t>(cut.kept);
    return cut;
  }

  std::array<Key, kBands> lowest_{};  // a band holds keys above its own and up to the next

  /// Room for `count` pieces.
  [[nodiscard]] std::span<P> spare(std::size_t count) {
    if (count > spare_size_) {
      spare_size_ = std::max(count, spare_size_ + spare_size_ / 2);
      spare_ = std::make_unique_for_overwrite<P[]>(spare_size_);
    }
    return {spare_.get(), spare_size_};
  }

  std::array<std::unique_ptr<P[]>, kBands> stacks_;
  std::array<std::size_t, kBands> rooms_{};  // of the stacks
  std::vector<Key> sample_;                  // of begin()
  std::unique_ptr<P[]> spare_;
  std::size_t spare_size_ = 0;
  Tops tops_{};
  std::array<Heap, kBands> heaps_{};
};

}  // namespace perwatt::allocate
