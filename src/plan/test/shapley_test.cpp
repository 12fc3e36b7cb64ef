#include "perwatt/plan/shapley.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/error.hpp"

namespace perwatt::plan {
namespace {

using Game = std::vector<double>;

/// A game of `players` with worths between -1000 and 1000.
rc::Gen<Game> games(std::size_t players) {
  const auto worth =
      rc::gen::map(rc::gen::inRange(-1'000'000, 1'000'001), [](int w) { return w / 1000.0; });
  return rc::gen::container<Game>(std::size_t{1} << players, worth);
}

std::size_t some_players(std::size_t least) {
  return *rc::gen::inRange<std::size_t>(least, 8);
}

void expect_near(const std::vector<double>& got, const std::vector<double>& want) {
  RC_ASSERT(got.size() == want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    RC_ASSERT(std::abs(got[i] - want[i]) <= 1e-9 * (1 + std::abs(want[i])));
  }
}

double sum(const std::vector<double>& parts) {
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

/// `mask` with player i renamed to order[i].
std::size_t renamed(std::size_t mask, const std::vector<std::size_t>& order) {
  std::size_t result = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    result |= ((mask >> i) & 1U) << order[i];
  }
  return result;
}

TEST(Shapley, GloveGame) {
  // One left glove (player 0), two right gloves: a pair is worth 1. Textbook shares 2/3, 1/6, 1/6.
  const Game pairs = {0, 0, 0, 1, 0, 1, 0, 1};
  const auto shares = shapley_values(pairs);
  EXPECT_NEAR(shares[0], 2.0 / 3, 1e-15);
  EXPECT_NEAR(shares[1], 1.0 / 6, 1e-15);
  EXPECT_NEAR(shares[2], 1.0 / 6, 1e-15);
  const auto together = shapley_interactions(pairs);
  EXPECT_NEAR(together[0 * 3 + 1], 0.5, 1e-15);   // 1/2 (1) + 1/2 (1 - 1)
  EXPECT_NEAR(together[1 * 3 + 2], -0.5, 1e-15);  // substitutes once the left glove is there
}

TEST(Shapley, NoPlayersAndOnePlayer) {
  EXPECT_TRUE(shapley_values(Game{3}).empty());
  EXPECT_EQ(shapley_values(Game{3, 5}), std::vector<double>{2});
  EXPECT_EQ(shapley_interactions(Game{3, 5}), std::vector<double>{0});
}

TEST(Shapley, RefusesATableThatIsNoPowerOfTwo) {
  EXPECT_THROW((void)shapley_values(Game{1, 2, 3}), Error);
  EXPECT_THROW((void)shapley_values(Game{}), Error);
  EXPECT_THROW((void)shapley_interactions(Game(std::size_t{1} << 17)), Error);
  EXPECT_THROW((void)best_subsets(Game(6)), Error);
}

RC_GTEST_PROP(ShapleyLaw, PartsSumToTheTotal, ()) {
  const auto game = *games(some_players(1));
  RC_ASSERT(std::abs(sum(shapley_values(game)) - (game.back() - game.front())) < 1e-9);
}

RC_GTEST_PROP(ShapleyLaw, APlayerWithoutEffectGetsNothing, ()) {
  const auto players = some_players(2);
  auto game = *games(players);
  const auto dummy = *rc::gen::inRange<std::size_t>(0, players);
  for (std::size_t mask = 0; mask < game.size(); ++mask) {
    game[mask] = game[mask & ~(std::size_t{1} << dummy)];
  }
  RC_ASSERT(shapley_values(game)[dummy] == 0);
  const auto together = shapley_interactions(game);
  for (std::size_t other = 0; other < players; ++other) {
    RC_ASSERT(together[dummy * players + other] == 0);
  }
}

RC_GTEST_PROP(ShapleyLaw, EqualPlayersGetEqualParts, ()) {
  const auto players = some_players(2);
  auto game = *games(players);
  for (std::size_t mask = 0; mask < game.size(); ++mask) {
    if ((mask & 3U) == 2) {  // the second alone is worth what the first alone is
      game[mask] = game[mask ^ 3U];
    }
  }
  const auto shares = shapley_values(game);
  RC_ASSERT(std::abs(shares[0] - shares[1]) < 1e-9);
}

RC_GTEST_PROP(ShapleyLaw, IsLinear, ()) {
  const auto players = some_players(1);
  const auto a = *games(players);
  const auto b = *games(players);
  const double factor = *rc::gen::inRange(-50, 51) / 10.0;
  const auto mixed = [&](const std::vector<double>& x, const std::vector<double>& y) {
    std::vector<double> result(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      result[i] = x[i] + factor * y[i];
    }
    return result;
  };
  expect_near(shapley_values(mixed(a, b)), mixed(shapley_values(a), shapley_values(b)));
  expect_near(shapley_interactions(mixed(a, b)),
              mixed(shapley_interactions(a), shapley_interactions(b)));
}

RC_GTEST_PROP(ShapleyLaw, NamesDoNotMatter, ()) {
  const auto players = some_players(2);
  const auto game = *games(players);
  std::vector<std::size_t> order(players);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = players; i > 1; --i) {
    std::swap(order[i - 1], order[*rc::gen::inRange<std::size_t>(0, i)]);
  }
  Game relabelled(game.size());
  for (std::size_t mask = 0; mask < game.size(); ++mask) {
    relabelled[renamed(mask, order)] = game[mask];
  }
  const auto shares = shapley_values(game);
  const auto moved = shapley_values(relabelled);
  const auto together = shapley_interactions(game);
  const auto together_moved = shapley_interactions(relabelled);
  for (std::size_t i = 0; i < players; ++i) {
    RC_ASSERT(std::abs(moved[order[i]] - shares[i]) < 1e-9);
    for (std::size_t j = 0; j < players; ++j) {
      RC_ASSERT(std::abs(together_moved[order[i] * players + order[j]] -
                         together[i * players + j]) < 1e-9);
    }
  }
}

RC_GTEST_PROP(ShapleyLaw, InteractionIsSymmetricAndZeroForAdditiveGames, ()) {
  const auto players = some_players(2);
  const auto worths = *rc::gen::container<std::vector<int>>(players, rc::gen::inRange(-99, 100));
  const auto game = *games(players);
  Game additive(std::size_t{1} << players, 0.0);
  for (std::size_t mask = 0; mask < additive.size(); ++mask) {
    for (std::size_t i = 0; i < players; ++i) {
      additive[mask] += ((mask >> i) & 1U) != 0 ? worths[i] : 0;
    }
  }
  const auto none = shapley_interactions(additive);
  const auto together = shapley_interactions(game);
  for (std::size_t i = 0; i < players; ++i) {
    RC_ASSERT(together[i * players + i] == 0);
    for (std::size_t j = 0; j < players; ++j) {
      RC_ASSERT(none[i * players + j] == 0);
      RC_ASSERT(together[i * players + j] == together[j * players + i]);
    }
  }
}

RC_GTEST_PROP(BestSubsets, EqualTheSearchOverEverySubset, ()) {
  const auto players = some_players(0);
  // Few different worths, so that ties are frequent.
  const auto worths =
      *rc::gen::container<std::vector<int>>(std::size_t{1} << players, rc::gen::inRange(0, 4));
  const Game game(worths.begin(), worths.end());
  const auto best = best_subsets(game);
  for (std::size_t mask = 0; mask < game.size(); ++mask) {
    std::size_t want = 0;
    for (std::size_t subset = 0; subset <= mask; ++subset) {
      if ((subset & mask) == subset && game[subset] > game[want]) {
        want = subset;
      }
    }
    RC_ASSERT(best[mask] == want);
  }
}

TEST(SampledShapley, IsWithinFourStandardErrorsOfTheExactValues) {
  std::mt19937 generator{5};
  for (std::size_t players = 2; players <= 8; ++players) {
    for (int repetition = 0; repetition < 6; ++repetition) {
      Game game(std::size_t{1} << players);
      for (auto& worth : game) {
        worth = static_cast<double>(generator() % 2'000'001) / 1000 - 1000;
      }
      const auto exact = shapley_values(game);
      std::vector<int> asked(game.size(), 0);
      const auto worth = [&](std::uint64_t mask) {
        ++asked[mask];
        return game[mask];
      };
      const auto sampled = sampled_shapley(players, worth, 400, generator());
      EXPECT_NEAR(sum(sampled.values), game.back() - game.front(), 1e-9);
      EXPECT_EQ(*std::max_element(asked.begin(), asked.end()), 1);
      EXPECT_EQ(std::accumulate(asked.begin(), asked.end(), std::size_t{0}), sampled.coalitions);
      for (std::size_t i = 0; i < players; ++i) {
        EXPECT_NEAR(sampled.values[i], exact[i], 4 * sampled.standard_errors[i] + 1e-9);
        EXPECT_TRUE(players == 2 || sampled.standard_errors[i] > 0);
      }
    }
  }
}

TEST(SampledShapley, StandardErrorIsTheSpreadOverSeeds) {
  Game game(64);
  for (std::size_t mask = 0; mask < game.size(); ++mask) {
    game[mask] = std::sin(static_cast<double>(mask * mask + 1)) * 10;
  }
  const auto exact = shapley_values(game);
  constexpr int kSeeds = 300;
  double square_error = 0;
  double told_square_error = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    const auto sampled = sampled_shapley(
        6, [&](std::uint64_t mask) { return game[mask]; }, 60, static_cast<std::uint64_t>(seed));
    square_error += std::pow(sampled.values[0] - exact[0], 2);
    told_square_error += std::pow(sampled.standard_errors[0], 2);
  }
  EXPECT_NEAR(square_error / told_square_error, 1, 0.25);
}

TEST(SampledShapley, SixtyFourPlayersAndTheSameSeed) {
  const auto worth = [](std::uint64_t mask) { return mask >> 63U != 0 ? 2.0 : 0.5; };
  const auto first = sampled_shapley(64, worth, 1, 7);
  EXPECT_EQ(first.values[63], 1.5);
  EXPECT_EQ(first.values[0], 0);
  EXPECT_EQ(first.standard_errors[63], 0);
  const auto again = sampled_shapley(64, worth, 1, 7);
  EXPECT_EQ(first.coalitions, again.coalitions);
  EXPECT_THROW((void)sampled_shapley(65, worth, 4, 7), Error);
  EXPECT_THROW((void)sampled_shapley(0, worth, 4, 7), Error);
}

}  // namespace
}  // namespace perwatt::plan
