// Which of many pieces of curve stay when only so many watts are there: those of greatest worth per
// watt. Weighted selection in expected linear time (R. W. Floyd, R. L. Rivest, "Expected time
// bounds for selection", CACM 18(3), 1975, with weights); no order is made that is not needed.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

namespace perwatt::allocate {

/// The worth of a watt under Policy::priority: the class first, then value per watt.
struct PriorityKey {
  double priority;
  double slope;

  friend constexpr bool operator==(PriorityKey a, PriorityKey b) {
    return a.priority == b.priority && a.slope == b.slope;
  }

  friend constexpr bool operator>(PriorityKey a, PriorityKey b) {
    return a.priority > b.priority || (a.priority == b.priority && a.slope > b.slope);
  }
};

/// Under Policy::value a key is the value per watt itself.
constexpr double slope_of(double key) {
  return key;
}

constexpr double slope_of(PriorityKey key) {
  return key.slope;
}

template <class Key>
struct KeyLimits;

template <>
struct KeyLimits<double> {
  static constexpr double highest = std::numeric_limits<double>::infinity();
  static constexpr double lowest = -highest;
};

template <>
struct KeyLimits<PriorityKey> {
  static constexpr PriorityKey highest{KeyLimits<double>::highest, KeyLimits<double>::highest};
  static constexpr PriorityKey lowest{KeyLimits<double>::lowest, KeyLimits<double>::lowest};
};

/// A stretch of a curve along which a watt is worth the same. Not initialised: millions are made.
template <class Key>
struct Piece {
  Key key;
  double watts;
};

/// What a limit leaves: pieces above the threshold whole, of those at it a share in (0, 1].
template <class Key>
struct Cut {
  Key threshold{};
  long double share = 1;  // so that whole watts split among equals add up to whole watts
  Key best_rejected = KeyLimits<Key>::lowest;  // of the watts left out; lowest: none
  std::size_t kept = 0;
};

template <class Key>
constexpr bool comes_first(const Piece<Key>& a, const Piece<Key>& b) {
  return a.key > b.key;
}

template <class Key>
class Cutter {
 public:
  using P = Piece<Key>;

  /// Keeps pieces of `capacity` watts: on return the first `kept` are those above the threshold and
  /// one that stands for all at it.
  /// Sums that are within `rounding` of the capacity meet it exactly.
  /// REQUIRES: capacity > rounding, below the watts of all pieces, `total`; room in `spare` for as
  /// many pieces.
  static Cut<Key> select(std::span<P> pieces, double capacity, double total, double rounding,
                         std::span<P> spare) {
    std::size_t low = 0;  // [0, low) stays, [high, end) goes
    std::size_t high = pieces.size();
    double kept = 0;
    double open = total;
    Key last_kept = KeyLimits<Key>::highest;
    while (low < high) {
      std::swap(pieces[low], pieces[divider(pieces, low, high, (capacity - kept) / open)]);
      const P pivot = pieces[low];
      double above = 0;
      std::size_t below = 0;
      std::size_t front = low + 1;
      std::size_t behind = 0;
      for (std::size_t i = low + 1; i < high; ++i) {  // without a branch on the keys
        const P piece = pieces[i];
        const bool is_above = piece.key > pivot.key;
        above += watts_if(is_above, piece);
        below += pivot.key > piece.key ? 1 : 0;
        pieces[front] = piece;
        front += is_above ? 1 : 0;
        spare[behind] = piece;
        behind += is_above ? 0 : 1;
      }
      std::copy_n(spare.begin(), behind, pieces.begin() + static_cast<std::ptrdiff_t>(front));
      if (kept + above > capacity + rounding) {
        std::swap(pieces[low], pieces[front - 1]);
        high = front - 1;
        open = above;
        continue;
      }
      if (kept + above >= capacity - rounding) {  // met exactly by what is above
        std::swap(pieces[low], pieces[front - 1]);
        for (std::size_t i = low; i + 1 < front; ++i) {
          last_kept = last_kept > pieces[i].key ? pieces[i].key : last_kept;
        }
        return {last_kept, 1.0L, pivot.key, front - 1};
      }
      double equal = pivot.watts;
      const std::size_t like = behind - below;  // pieces of the pivot's key beside it
      if (like > 0) {                           // behind what is above, its like first
        const auto end_of_like =
            std::partition(pieces.begin() + static_cast<std::ptrdiff_t>(front),
                           pieces.begin() + static_cast<std::ptrdiff_t>(high),
                           [&](const P& piece) { return piece.key == pivot.key; });
        for (auto piece = pieces.begin() + static_cast<std::ptrdiff_t>(front); piece != end_of_like;
             ++piece) {
          equal += piece->watts;
        }
      }
      if (kept + above + equal >= capacity - rounding) {
        const double rest = std::min(capacity - kept - above, equal);
        const bool is_whole = rest >= equal - rounding;
        pieces[low].watts = is_whole ? equal : rest;
        return {pivot.key,
                is_whole ? 1.0L : static_cast<long double>(rest) / static_cast<long double>(equal),
                is_whole ? best_below(pieces.subspan(front), pivot.key) : pivot.key, front};
      }
      kept += above + equal;
      open -= above + equal;
      low = front + like;
      last_kept = pivot.key;
    }
    // Sums of other orders differ in their last digits: all that is kept fits.
    return {last_kept, 1.0L, best_below(pieces.subspan(low), last_kept), low};
  }

  /// The same on a heap of pieces whose least is on top, in time for what goes; what stays is a
  /// heap again.
  static Cut<Key> pop(std::span<P> heap, double capacity, double total, double rounding) {
    auto end = heap.end();
    double left = total;
    P group{KeyLimits<Key>::lowest, 0};  // the pieces of the last key that went
    const auto take = [&] {
      const P top = heap.front();
      std::pop_heap(heap.begin(), end--, comes_first<Key>);
      group = {top.key, (top.key == group.key ? group.watts : 0.0) + top.watts};
      left -= top.watts;
    };
    while (heap.begin() != end && left > capacity + rounding) {
      take();
    }
    while (heap.begin() != end && heap.front().key == group.key) {  // its like go with it
      take();
    }
    const double rest = capacity - left;
    if (rest <= rounding && heap.begin() != end) {
      return {heap.front().key, 1.0L, group.key, count_to(heap, end)};
    }
    *end++ = {group.key, rest};
    std::push_heap(heap.begin(), end, comes_first<Key>);
    return {group.key, static_cast<long double>(rest) / static_cast<long double>(group.watts),
            group.key, count_to(heap, end)};
  }

  /// The highest key among `pieces` that is below `key`.
  static Key best_below(std::span<const P> pieces, Key key) {
    Key best = KeyLimits<Key>::lowest;
    for (const P& piece : pieces) {
      if (key > piece.key && piece.key > best) {
        best = piece.key;
      }
    }
    return best;
  }

  /// The watts of a piece or none, without a branch.
  static double watts_if(bool condition, const P& piece) {
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(piece.watts) &
                                 (0 - static_cast<std::uint64_t>(condition)));
  }

 private:
  static constexpr std::size_t kFew = 48;      // so few are cut by the median of three
  static constexpr std::size_t kSample = 128;  // of many the quantile is guessed from so many

  static std::size_t count_to(std::span<P> pieces, typename std::span<P>::iterator end) {
    return static_cast<std::size_t>(end - pieces.begin());
  }

  /// The piece of [low, high) to divide at, when a share `goal` of the watts there stays. A guess
  /// to one side of the goal, so that what is left open is the smaller part.
  static std::size_t divider(std::span<const P> pieces, std::size_t low, std::size_t high,
                             double goal) {
    const std::size_t count = high - low;
    if (count <= kFew) {
      const std::size_t middle = low + count / 2;
      const bool a = pieces[low].key > pieces[middle].key;
      const bool b = pieces[middle].key > pieces[high - 1].key;
      const bool c = pieces[low].key > pieces[high - 1].key;
      return a == b ? middle : (a == c ? high - 1 : low);
    }
    std::array<std::pair<Key, std::size_t>, kSample> sample;
    const std::size_t size = std::min(kSample, count / 8);
    std::uint64_t state = count;
    for (std::size_t i = 0; i < size; ++i) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      const std::size_t at = low + static_cast<std::size_t>((state >> 33U) % count);
      sample[i] = {pieces[at].key, at};
    }
    const double margin = 1.5 / std::sqrt(static_cast<double>(size));
    const double aim = goal < 0.5 ? goal + margin * 0.7 : goal - margin * 0.7;
    const auto rank =
        static_cast<std::size_t>(std::clamp(aim, 0.0, 1.0) * static_cast<double>(size - 1));
    std::nth_element(sample.begin(), sample.begin() + static_cast<std::ptrdiff_t>(rank),
                     sample.begin() + static_cast<std::ptrdiff_t>(size),
                     [](const auto& x, const auto& y) { return x.first > y.first; });
    return sample[rank].second;
  }
};

}  // namespace perwatt::allocate
