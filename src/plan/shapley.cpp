#include "perwatt/plan/shapley.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <unordered_map>

#include "perwatt/base/error.hpp"
#include "perwatt/base/random.hpp"

namespace perwatt::plan {

namespace {

std::size_t player_count(std::span<const double> values) {
  const std::size_t size = values.size();
  if (!std::has_single_bit(size) || size > (std::size_t{1} << kMostExactPlayers)) {
    throw_defect("a table of " + std::to_string(size) +
                 " coalitions; it needs 2^n, n <= " + std::to_string(kMostExactPlayers));
  }
  return static_cast<std::size_t>(std::countr_zero(size));
}

/// weights[s] = s! (count - s - 1)! / count!: the probability that exactly a given set of s of the
/// others comes before a given one of `count` players in a random order.
std::vector<double> order_weights(std::size_t count) {
  std::vector<double> weights(count);
  double binomial = 1;  // (count - 1) over s
  for (std::size_t s = 0; s < count; ++s) {
    weights[s] = 1 / (binomial * static_cast<double>(count));
    binomial *= static_cast<double>(count - 1 - s) / static_cast<double>(s + 1);
  }
  return weights;
}

std::size_t size_of(std::size_t mask) {
  return static_cast<std::size_t>(std::popcount(mask));
}

}  // namespace

std::vector<double> shapley_values(std::span<const double> values) {
  const std::size_t players = player_count(values);
  const auto weights = order_weights(players);
  std::vector<double> shares(players, 0.0);
  for (std::size_t i = 0; i < players; ++i) {
    const std::size_t player = std::size_t{1} << i;
    for (std::size_t mask = 0; mask < values.size(); ++mask) {
      if ((mask & player) == 0) {
        shares[i] += weights[size_of(mask)] * (values[mask | player] - values[mask]);
      }
    }
  }
  return shares;
}

std::vector<double> shapley_interactions(std::span<const double> values) {
  const std::size_t players = player_count(values);
  std::vector<double> indices(players * players, 0.0);
  if (players < 2) {
    return indices;
  }
  const auto weights = order_weights(players - 1);
  for (std::size_t i = 0; i < players; ++i) {
    for (std::size_t j = i + 1; j < players; ++j) {
      const std::size_t a = std::size_t{1} << i;
      const std::size_t b = std::size_t{1} << j;
      double index = 0;
      for (std::size_t mask = 0; mask < values.size(); ++mask) {
        if ((mask & (a | b)) == 0) {
          index += weights[size_of(mask)] *
                   ((values[mask | a | b] - values[mask | a]) - (values[mask | b] - values[mask]));
        }
      }
      indices[i * players + j] = index;
      indices[j * players + i] = index;
    }
  }
  return indices;
}

std::vector<std::size_t> best_subsets(std::span<const double> values) {
  const std::size_t players = player_count(values);
  std::vector<std::size_t> best(values.size());
  std::iota(best.begin(), best.end(), std::size_t{0});
  for (std::size_t i = 0; i < players; ++i) {
    const std::size_t player = std::size_t{1} << i;
    for (std::size_t mask = 0; mask < values.size(); ++mask) {
      if ((mask & player) == 0) {
        continue;
      }
      const std::size_t without = best[mask ^ player];
      const std::size_t with = best[mask];
      if (values[without] > values[with] || (values[without] == values[with] && without < with)) {
        best[mask] = without;
      }
    }
  }
  return best;
}

SampledShapley sampled_shapley(std::size_t players,
                               const std::function<double(std::uint64_t)>& worth,
                               std::size_t permutations, std::uint64_t seed) {
  if (players == 0 || players > 64) {
    throw_defect(std::to_string(players) + " players; sampling needs 1 to 64");
  }
  std::unordered_map<std::uint64_t, double> known;
  const auto worth_of = [&](std::uint64_t mask) {
    const auto found = known.find(mask);
    return found != known.end() ? found->second : known.emplace(mask, worth(mask)).first->second;
  };
  const std::size_t pairs = std::max<std::size_t>(2, (permutations + 1) / 2);
  std::vector<std::size_t> order(players);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<double> sums(players, 0.0);
  std::vector<double> squares(players, 0.0);  // of the deviations, by Welford's recurrence
  std::vector<double> pair_mean(players);
  const auto add_order = [&] {
    std::uint64_t mask = 0;
    for (const std::size_t player : order) {
      const double before = worth_of(mask);
      mask |= std::uint64_t{1} << player;
      pair_mean[player] += (worth_of(mask) - before) / 2;
    }
  };
  std::mt19937_64 generator{seed};
  for (std::size_t pair = 0; pair < pairs; ++pair) {
    shuffle(std::span{order}, generator);
    std::fill(pair_mean.begin(), pair_mean.end(), 0.0);
    add_order();
    std::reverse(order.begin(), order.end());
    add_order();
    const auto seen = static_cast<double>(pair);
    for (std::size_t i = 0; i < players; ++i) {
      const double off = pair == 0 ? 0 : pair_mean[i] - sums[i] / seen;
      sums[i] += pair_mean[i];
      squares[i] += off * off * seen / (seen + 1);
    }
  }
  SampledShapley sampled{std::vector<double>(players), std::vector<double>(players), known.size()};
  const auto count = static_cast<double>(pairs);
  for (std::size_t i = 0; i < players; ++i) {
    sampled.values[i] = sums[i] / count;
    sampled.standard_errors[i] = std::sqrt(squares[i] / (count - 1) / count);
  }
  return sampled;
}

}  // namespace perwatt::plan
