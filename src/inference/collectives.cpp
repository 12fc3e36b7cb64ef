#include "perwatt/inference/collectives.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::inference {

namespace {

constexpr std::array<std::string_view, 4> kCollectiveNames = {"all_reduce", "all_gather",
                                                              "reduce_scatter", "all_to_all"};
constexpr double kBetweenAmounts = 0.15;  // half-widths, docs/model/operators.md#collectives
constexpr double kBetweenCounts = 0.25;
constexpr double kBeyondCounts = 0.5;
constexpr double kBeyondDomain = 0.75;

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

/// Latency at `amount` along straight lines; below the first point its latency, beyond the last at
/// the rate of the last two.
CollectiveEstimate along(std::span<const TransferPoint> points, double amount) {
  const auto high =
      std::lower_bound(points.begin(), points.end(), amount,
                       [](const TransferPoint& point, double a) { return point.amount < a; });
  if (high == points.end()) {
    const auto& last = points.back();
    const auto& before = points.size() > 1 ? points[points.size() - 2] : last;
    const double step = last.amount - before.amount;
    const auto slope = step > 0 ? (last.latency - before.latency) / step : Seconds{};
    const auto least = last.latency / last.amount / 2;  // never twice the rate seen
    return {last.latency + std::max(slope, least) * (amount - last.amount), Tag::modelled,
            kBetweenAmounts};
  }
  if (high->amount == amount) {
    return {high->latency, Tag::measured, 0};
  }
  if (high == points.begin()) {
    return {high->latency, Tag::interpolated, kBetweenAmounts};
  }
  const auto& low = *std::prev(high);
  const double share = (amount - low.amount) / (high->amount - low.amount);
  return {low.latency + share * (high->latency - low.latency), Tag::interpolated, kBetweenAmounts};
}

/// Of what a GPU holds, the share that others need.
double share(int gpus) {
  return 1 - 1.0 / gpus;
}

}  // namespace

std::string_view to_string(Collective op) {
  return kCollectiveNames.at(static_cast<std::size_t>(op));
}

AlphaBeta fit_alpha_beta(std::span<const TransferPoint> points) {
  // Minimise the sum of ((alpha + beta x) / t - 1)^2 with both not negative.
  double s00 = 0;
  double s01 = 0;
  double s11 = 0;
  double r0 = 0;
  double r1 = 0;
  for (const auto& point : points) {
    const double t = in_seconds(point.latency);
    const double x = point.amount;
    s00 += 1 / (t * t);
    s01 += x / (t * t);
    s11 += x * x / (t * t);
    r0 += 1 / t;
    r1 += x / t;
  }
  const double determinant = s00 * s11 - s01 * s01;
  double alpha = r0 / s00;
  double beta = 0;
  if (determinant > 1e-12 * s00 * s11) {
    alpha = (r0 * s11 - r1 * s01) / determinant;
    beta = (s00 * r1 - s01 * r0) / determinant;
    if (alpha < 0) {
      alpha = 0;
      beta = r1 / s11;
    } else if (beta < 0) {
      beta = 0;
      alpha = r0 / s00;
    }
  }
  std::vector<double> errors;
  for (const auto& point : points) {
    errors.push_back(std::abs((alpha + beta * point.amount) / in_seconds(point.latency) - 1));
  }
  return {seconds(alpha), beta > 0 ? 1 / beta : 0, quantile(errors, 0.5), quantile(errors, 0.9)};
}

CollectiveFamily::CollectiveFamily(Collective op, int domain_gpus, double link_bytes_per_second,
                                   std::vector<Curve> curves)
    : op_{op},
      domain_gpus_{domain_gpus},
      link_bytes_per_second_{link_bytes_per_second},
      curves_{std::move(curves)} {
  std::sort(curves_.begin(), curves_.end(),
            [](const Curve& a, const Curve& b) { return a.gpus < b.gpus; });
  double mean_x = 0;
  double mean_y = 0;
  for (auto& curve : curves_) {
    curve.fit = fit_alpha_beta(curve.points);
    mean_x += std::log2(curve.gpus);
    mean_y += in_seconds(curve.points.front().latency);
  }
  const auto count = static_cast<double>(curves_.size());
  mean_x /= count;
  mean_y /= count;
  double xx = 0;
  double xy = 0;
  for (const auto& curve : curves_) {
    const double x = std::log2(curve.gpus) - mean_x;
    xx += x * x;
    xy += x * (in_seconds(curve.points.front().latency) - mean_y);
  }
  alpha_slope_ = xx > 0 ? std::max(0.0, xy / xx) : 0;
}

CollectiveEstimate CollectiveFamily::in_domain(int gpus, double bytes) const {
  const auto high = std::lower_bound(curves_.begin(), curves_.end(), gpus,
                                     [](const Curve& curve, int n) { return curve.gpus < n; });
  if (high != curves_.end() && (high->gpus == gpus || high == curves_.begin())) {
    auto result = along(high->points, bytes);
    if (high->gpus != gpus) {
      result.tag = weaker(result.tag, Tag::modelled);
      result.relative_half_width = kBeyondCounts;
    }
    return result;
  }
  if (high != curves_.end()) {
    const auto& low = *std::prev(high);
    const double at =
        (std::log2(gpus) - std::log2(low.gpus)) / (std::log2(high->gpus) - std::log2(low.gpus));
    const auto a = along(low.points, bytes);
    const auto b = along(high->points, bytes);
    return {a.latency + at * (b.latency - a.latency),
            weaker(Tag::interpolated, weaker(a.tag, b.tag)), kBetweenCounts};
  }
  // More GPUs than were measured: equal bus rate, latency of the floor along its line.
  const auto& most = curves_.back();
  const double floor = in_seconds(most.points.front().latency);
  const double moving = std::max(0.0, in_seconds(along(most.points, bytes).latency) - floor);
  const double extra = alpha_slope_ * std::log2(static_cast<double>(gpus) / most.gpus);
  return {seconds(floor + extra + moving * share(gpus) / share(most.gpus)), Tag::modelled,
          kBeyondCounts};
}

Result<CollectiveEstimate> CollectiveFamily::estimate(int gpus, double bytes,
                                                      std::optional<ScaleOut> scale_out) const {
  if (gpus < 1 || !(bytes >= 0) || !std::isfinite(bytes)) {
    throw_bad_input(
        "a collective of " + std::to_string(gpus) + " GPUs and " + shortest(bytes) + " bytes", "",
        "give at least one GPU and no negative size");
  }
  if (gpus == 1 || bytes == 0) {
    return CollectiveEstimate{};
  }
  if (gpus <= domain_gpus_) {
    return in_domain(gpus, bytes);
  }
  if (!scale_out || !(scale_out->bytes_per_second > 0)) {
    return Failure{std::string{to_string(op_)} + " of " + std::to_string(gpus) +
                   " GPUs leaves the scale-up domain of " + std::to_string(domain_gpus_) +
                   ": the rate of the network is not given"};
  }
  // The time beyond the floor grows by the ratio of the rates and by (n - 1) / n.
  const double floor = in_seconds(in_domain(domain_gpus_, 1).latency);
  const double moving = std::max(0.0, in_seconds(in_domain(domain_gpus_, bytes).latency) - floor);
  const double slower = std::max(1.0, link_bytes_per_second_ / scale_out->bytes_per_second);
  const double extra = alpha_slope_ * std::log2(static_cast<double>(gpus) / domain_gpus_);
  return CollectiveEstimate{
      seconds(floor + extra + moving * slower * share(gpus) / share(domain_gpus_)), Tag::assumed,
      kBeyondDomain};
}

ExpertExchangeFamily::ExpertExchangeFamily(bool sends_per_expert, std::vector<Curve> curves)
    : sends_per_expert_{sends_per_expert}, curves_{std::move(curves)} {
  std::vector<int> counts;
  for (const auto& curve : curves_) {
    counts.push_back(curve.shape.gpus);
  }
  std::sort(counts.begin(), counts.end());
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  for (const int gpus : counts) {
    std::vector<TransferPoint> points;
    for (const auto& curve : curves_) {
      auto shape = curve.shape;
      for (const auto& point : curve.points) {
        shape.tokens = point.amount;
        if (shape.gpus == gpus) {
          points.push_back({payload(shape), point.latency});
        }
      }
    }
    fits_.push_back({gpus, fit_alpha_beta(points)});
  }
}

double ExpertExchangeFamily::payload(const ExpertExchange& shape) const {
  const double distinct = shape.gpus * (1 - std::pow(1 - 1.0 / shape.gpus, shape.topk));
  return shape.tokens * shape.hidden * (sends_per_expert_ ? shape.topk : distinct);
}

const AlphaBeta* ExpertExchangeFamily::fit(int gpus) const {
  const auto found =
      std::find_if(fits_.begin(), fits_.end(), [&](const Fit& fit) { return fit.gpus == gpus; });
  return found == fits_.end() ? nullptr : &found->line;
}

Result<CollectiveEstimate> ExpertExchangeFamily::estimate(const ExpertExchange& shape) const {
  if (shape.gpus < 1 || !(shape.tokens > 0) || !(shape.hidden > 0) || !(shape.topk > 0) ||
      !(shape.experts > 0)) {
    throw_bad_input("an expert exchange with a size that is not positive", "",
                    "give GPUs, tokens, hidden size, top-k and experts");
  }
  for (const auto& curve : curves_) {
    if (curve.shape.gpus == shape.gpus && curve.shape.hidden == shape.hidden &&
        curve.shape.topk == shape.topk && curve.shape.experts == shape.experts) {
      return along(curve.points, shape.tokens);
    }
  }
  const auto* line = fit(shape.gpus);
  if (line == nullptr) {
    std::string counts;
    for (const auto& known : fits_) {
      counts += (counts.empty() ? "" : ", ") + std::to_string(known.gpus);
    }
    return Failure{"the exchange between experts was not measured on " +
                   std::to_string(shape.gpus) + " GPUs, but on " + counts};
  }
  const double moving = line->rate_per_second > 0 ? payload(shape) / line->rate_per_second : 0;
  return CollectiveEstimate{line->alpha + seconds(moving), Tag::modelled, line->p90_error};
}

}  // namespace perwatt::inference
