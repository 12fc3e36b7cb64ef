#include "perwatt/plan/excursion.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "perwatt/base/error.hpp"

namespace perwatt::plan {

namespace {

constexpr double kRounding = 1e-9;
/// Below 3 / n even the largest of n samples is no bound with 95 % confidence: (1 - 3/n)^n < 0.05.
constexpr double kFewestExpectedExcursions = 3;

void require(bool condition, const std::string& what) {
  if (!condition) {
    throw_defect(what);
  }
}

double sum(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

std::optional<std::size_t> tail_count(double samples_effective, double probability) {
  require(probability > 0 && probability < 1, "an excursion probability outside (0, 1)");
  if (!(probability * samples_effective >= kFewestExpectedExcursions)) {
    return std::nullopt;
  }
  const double samples = std::floor(samples_effective);
  const double log_odds = std::log(probability) - std::log1p(-probability);
  // Logarithms: the first terms underflow for many samples.
  double log_term = samples * std::log1p(-probability);
  double at_most = std::exp(log_term);  // P(count <= k)
  std::size_t count = 0;
  for (double k = 0; at_most <= 1 - kExcursionConfidence && k < samples; ++k) {
    ++count;
    log_term += std::log(samples - k) - std::log(k + 1) + log_odds;
    at_most += std::exp(log_term);
  }
  return count == 0 ? std::nullopt : std::optional{count};
}

std::optional<double> tail_share(double samples_effective, double probability) {
  const auto count = tail_count(samples_effective, probability);
  return count ? std::optional{static_cast<double>(*count) / std::floor(samples_effective)}
               : std::nullopt;
}

ExcursionLimit::ExcursionLimit(ScenarioSet scenarios, double tail_share)
    : scenarios_{std::move(scenarios)}, tail_share_{tail_share} {
  require(tail_share > 0 && tail_share <= 1, "a tail share outside (0, 1]");
}

std::vector<double> ExcursionLimit::deviations(std::span<const double> swing) const {
  require(swing.size() == scenarios_.groups(), "one swing for each group is needed");
  std::vector<std::size_t> moving;  // most groups of a plan run nothing
  for (std::size_t g = 0; g < swing.size(); ++g) {
    if (swing[g] != 0) {
      moving.push_back(g);
    }
  }
  std::vector<double> result(scenarios_.scenarios(), 0.0);
  for (std::size_t w = 0; w < result.size(); ++w) {
    for (const std::size_t g : moving) {
      result[w] += (scenarios_.ratio(w, g) - 1) * swing[g];
    }
  }
  return result;
}

ExcursionLimit::Cut ExcursionLimit::cut_at(std::span<const double> swing) const {
  const auto off_mean = deviations(swing);
  const std::size_t groups = scenarios_.groups();
  const double tail = tail_share_ * static_cast<double>(off_mean.size());
  // The scenario on the edge counts by its fraction, unless that is only rounding.
  const double whole = std::floor(tail + kRounding);
  const double part = std::max(0.0, tail - whole);
  const auto members = std::min(off_mean.size(), static_cast<std::size_t>(whole) + 1);
  std::vector<std::size_t> order(off_mean.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto higher = [&](std::size_t a, std::size_t b) {
    return off_mean[a] != off_mean[b] ? off_mean[a] > off_mean[b] : a < b;
  };
  const auto end_of_tail = order.begin() + static_cast<std::ptrdiff_t>(members);
  std::nth_element(order.begin(), end_of_tail - 1, order.end(), higher);
  Cut cut{std::vector<double>(groups, 1.0), std::vector<double>(groups, 0.0)};
  const double total = whole + part;
  for (std::size_t rank = 0; rank < members; ++rank) {
    const double share = (static_cast<double>(rank) < whole ? 1.0 : part) / total;
    for (std::size_t g = 0; g < groups; ++g) {
      cut.swing_coefficients[g] += share * (scenarios_.ratio(order[rank], g) - 1);
    }
  }
  return cut;
}

double ExcursionLimit::tail_mean(std::span<const double> mean,
                                 std::span<const double> swing) const {
  require(mean.size() == scenarios_.groups(), "one mean for each group is needed");
  const auto cut = cut_at(swing);
  return sum(mean) +
         std::inner_product(swing.begin(), swing.end(), cut.swing_coefficients.begin(), 0.0);
}

double ExcursionLimit::excursion_ratio(std::span<const double> mean, std::span<const double> swing,
                                       double limit) const {
  require(mean.size() == scenarios_.groups(), "one mean for each group is needed");
  const double room = limit - sum(mean) + kRounding * std::abs(limit);
  const auto off_mean = deviations(swing);
  const auto above = std::count_if(off_mean.begin(), off_mean.end(),
                                   [&](double deviation) { return deviation > room; });
  return static_cast<double>(above) / static_cast<double>(off_mean.size());
}

double ExcursionLimit::expected_excess(std::span<const double> mean, std::span<const double> swing,
                                       double limit) const {
  require(mean.size() == scenarios_.groups(), "one mean for each group is needed");
  const double room = limit - sum(mean);
  double excess = 0;
  for (const double deviation : deviations(swing)) {
    excess += std::max(0.0, deviation - room);
  }
  return excess / static_cast<double>(scenarios_.scenarios());
}

}  // namespace perwatt::plan
