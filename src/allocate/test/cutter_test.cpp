#include <algorithm>
#include <random>
#include <vector>

#include "cut.hpp"
#include <gtest/gtest.h>

namespace perwatt::allocate {
namespace {

using Pieces = std::vector<Piece<double>>;

double watts_of(const Pieces& pieces) {
  double sum = 0;
  for (const auto& piece : pieces) {
    sum += piece.watts;
  }
  return sum;
}

/// By sorting: threshold, share, best rejected.
Cut<double> cut_by_sorting(Pieces pieces, double capacity) {
  std::sort(pieces.begin(), pieces.end(), comes_first<double>);
  double kept = 0;
  for (std::size_t i = 0; i < pieces.size();) {
    double equal = 0;
    std::size_t end = i;
    for (; end < pieces.size() && pieces[end].key == pieces[i].key; ++end) {
      equal += pieces[end].watts;
    }
    if (kept + equal >= capacity) {
      Cut<double> cut;
      cut.threshold = pieces[i].key;
      cut.share = static_cast<long double>(capacity - kept) / static_cast<long double>(equal);
      cut.best_rejected = kept + equal > capacity ? cut.threshold
                          : end < pieces.size()   ? pieces[end].key
                                                  : KeyLimits<double>::lowest;
      return cut;
    }
    kept += equal;
    i = end;
  }
  return {};
}

Pieces random_pieces(std::mt19937_64& random, std::size_t count, int most_key) {
  Pieces pieces(count);
  for (auto& piece : pieces) {
    piece.key = std::uniform_int_distribution<int>{1, most_key}(random);
    piece.watts = std::uniform_int_distribution<int>{1, 9}(random);
  }
  return pieces;
}

void expect_cut(const Cut<double>& cut, const Cut<double>& expected, const Pieces& pieces,
                double capacity) {
  EXPECT_EQ(cut.threshold, expected.threshold);
  EXPECT_EQ(cut.share, expected.share);
  EXPECT_EQ(cut.best_rejected, expected.best_rejected);
  const Pieces kept(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(cut.kept));
  EXPECT_EQ(watts_of(kept), capacity);
  EXPECT_TRUE(std::all_of(kept.begin(), kept.end(),
                          [&](const auto& piece) { return piece.key >= cut.threshold; }));
}

TEST(Cutter, SelectsAndPopsWhatSortingKeeps) {
  std::mt19937_64 random{7};
  for (int round = 0; round < 3000; ++round) {
    const auto count =
        std::uniform_int_distribution<std::size_t>{1, round % 10 == 0 ? 3000U : 80U}(random);
    const auto pieces = random_pieces(random, count, round % 3 == 0 ? 4 : 1000);
    const double total = watts_of(pieces);
    if (total < 2) {
      continue;
    }
    const double capacity =
        std::uniform_int_distribution<int>{1, static_cast<int>(total) - 1}(random);
    const auto expected = cut_by_sorting(pieces, capacity);
    Pieces selected = pieces;
    Pieces spare(count);
    expect_cut(Cutter<double>::select(selected, capacity, total, 0, spare), expected, selected,
               capacity);
    Pieces heap = pieces;
    std::make_heap(heap.begin(), heap.end(), comes_first<double>);
    const auto popped = Cutter<double>::pop(heap, capacity, total, 0);
    expect_cut(popped, expected, heap, capacity);
    EXPECT_TRUE(std::is_heap(heap.begin(), heap.begin() + static_cast<std::ptrdiff_t>(popped.kept),
                             comes_first<double>));
    ASSERT_FALSE(HasFailure()) << round;
  }
}

TEST(Cutter, ClassesComeBeforeSlopes) {
  using P = Piece<PriorityKey>;
  std::vector<P> pieces{{{0, 9}, 5}, {{1, 1}, 5}, {{1, 2}, 5}};
  std::vector<P> spare(3);
  const auto cut = Cutter<PriorityKey>::select(pieces, 7, 15, 0, spare);
  EXPECT_EQ(cut.threshold, (PriorityKey{1, 1}));
  EXPECT_EQ(cut.kept, 2U);
  EXPECT_EQ(pieces[0].watts + pieces[1].watts, 7);
  EXPECT_EQ(cut.share, 2.0L / 5);
}

}  // namespace
}  // namespace perwatt::allocate
