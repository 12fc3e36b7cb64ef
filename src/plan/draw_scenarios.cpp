#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <random>
#include <string>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/normal_law.hpp"
#include "perwatt/base/random.hpp"
#include "perwatt/plan/scenarios.hpp"

namespace perwatt::plan {

namespace {

/// Points of the quadrature over what the nodes of a group do on their own.
constexpr int kQuadraturePoints = 64;

bool is_correlation(double value) {
  return value >= 0 && value <= 1;
}

/// The normal scores of the middles of equally likely layers, rising.
std::vector<double> layer_scores(std::size_t count) {
  std::vector<double> scores(count);
  for (std::size_t k = 0; k < count; ++k) {
    scores[k] = normal_quantile((static_cast<double>(k) + 0.5) / static_cast<double>(count));
  }
  return scores;
}

/// Puts layers[rank of x] in the place of each x: the order of the draws is kept and their
/// distribution becomes that of the layers.
void stratify(std::vector<double>& draws, const std::vector<double>& layers) {
  std::vector<std::size_t> order(draws.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return draws[a] != draws[b] ? draws[a] < draws[b] : a < b;
  });
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    draws[order[rank]] = layers[rank];
  }
}

/// The mean ratio of a group whose factor is `factor`.
double group_ratio(const QuantileFunction& ratio, double node_correlation, double factor,
                   const NormalQuadrature& own) {
  if (node_correlation == 1) {
    return ratio.at(normal_cdf(factor));
  }
  const double shared = std::sqrt(node_correlation) * factor;
  const double own_scale = std::sqrt(1 - node_correlation);
  double mean = 0;
  for (std::size_t i = 0; i < own.nodes.size(); ++i) {
    mean += own.weights[i] * ratio.at(normal_cdf(shared + own_scale * own.nodes[i]));
  }
  return mean;
}

}  // namespace

ScenarioSet::ScenarioSet(std::size_t groups, std::vector<double> ratios, double samples_effective)
    : groups_{groups}, ratios_{std::move(ratios)}, samples_effective_{samples_effective} {}

ScenarioSet ScenarioSet::from_samples(std::size_t groups, std::vector<double> ratios,
                                      double samples_effective) {
  if (groups == 0 || ratios.empty() || ratios.size() % groups != 0) {
    throw_defect("the ratios do not fill rows of the groups");
  }
  const std::size_t rows = ratios.size() / groups;
  if (!(samples_effective > 0) || samples_effective > static_cast<double>(rows)) {
    throw_defect("more effective samples than rows, or none");
  }
  return {groups, std::move(ratios), samples_effective};
}

ScenarioSet draw_scenarios(std::span<const PowerProfile> profiles, const CorrelationModel& model,
                           std::size_t count, std::uint64_t seed) {
  if (profiles.empty() || count == 0 || !is_correlation(model.node_correlation) ||
      !is_correlation(model.service_correlation)) {
    throw_defect("scenarios need profiles, a count and correlations in [0, 1]");
  }
  const auto layers = layer_scores(count);
  static const auto kOwn = normal_quadrature(kQuadraturePoints);
  std::mt19937_64 generator{seed};
  auto common = layers;
  shuffle(std::span{common}, generator);
  const std::size_t groups = profiles.size();
  std::vector<double> ratios(count * groups);
  double samples_effective = static_cast<double>(count);
  for (std::size_t group = 0; group < groups; ++group) {
    auto factor = layers;
    shuffle(std::span{factor}, generator);
    for (std::size_t k = 0; k < count; ++k) {
      factor[k] = std::sqrt(model.service_correlation) * common[k] +
                  std::sqrt(1 - model.service_correlation) * factor[k];
    }
    stratify(factor, layers);
    const auto& profile = profiles[group];
    for (std::size_t k = 0; k < count; ++k) {
      ratios[k * groups + group] =
          group_ratio(profile.ratio, model.node_correlation, factor[k], kOwn);
    }
    samples_effective = std::min(samples_effective, profile.samples_effective);
  }
  return ScenarioSet::from_samples(groups, std::move(ratios), samples_effective);
}

}  // namespace perwatt::plan
