#include "perwatt/inference/deployment.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

namespace perwatt::inference {

namespace {

auto deployment_key(const MeasuredPoint& p) {
  return std::tie(p.accelerator, p.precision, p.engine, p.spec_decode, p.serving, p.layout);
}

struct ByDeployment {
  bool operator()(const MeasuredPoint* a, const MeasuredPoint* b) const {
    return deployment_key(*a) < deployment_key(*b);
  }
};

/// A total order on rows of one deployment, so that results do not depend on file order.
bool earlier_in_deployment(const MeasuredPoint* a, const MeasuredPoint* b) {
  if (a->interactivity != b->interactivity) {
    return a->interactivity > b->interactivity;
  }
  if (a->output_per_gpu != b->output_per_gpu) {
    return a->output_per_gpu > b->output_per_gpu;
  }
  return std::tie(a->concurrency, a->date, a->source, a->url) <
         std::tie(b->concurrency, b->date, b->source, b->url);
}

/// The same measurement published twice: by a run and by the median over the runs, of which it is
/// the only one.
bool is_copy(const MeasuredPoint& a, const MeasuredPoint& b) {
  constexpr double kSame = 1e-6;
  const auto same = [](const std::optional<TokensPerSecond>& x,
                       const std::optional<TokensPerSecond>& y) {
    return x && y && std::abs(*x / *y - 1.0) <= kSame;
  };
  return a.concurrency == b.concurrency && same(a.interactivity, b.interactivity) &&
         same(a.total_per_gpu, b.total_per_gpu);
}

/// Leaves out copies that tell nothing more: no output rate of their own, no watts the other lacks.
void drop_copies(std::vector<const MeasuredPoint*>& points) {
  const auto all = points;
  std::erase_if(points, [&](const MeasuredPoint* point) {
    return point->output_is_derived &&
           std::any_of(all.begin(), all.end(), [&](const MeasuredPoint* other) {
             return !other->output_is_derived && (other->gpu_power || !point->gpu_power) &&
                    is_copy(*point, *other);
           });
  });
}

double log_mix(double a, double b, double share) {
  return std::exp(std::log(a) + share * (std::log(b) - std::log(a)));
}

template <class Quantity>
std::optional<Quantity> log_mix(const std::optional<Quantity>& a, const std::optional<Quantity>& b,
                                double share) {
  if (!a || !b) {
    return std::nullopt;
  }
  return Quantity::from_base(log_mix(a->in_base(), b->in_base(), share));
}

enum class SloResult { met, unknown, missed };

SloResult judge_ttft(const std::optional<Seconds>& ttft, const Slo& slo) {
  if (!slo.max_ttft) {
    return SloResult::met;
  }
  if (!ttft) {
    return SloResult::unknown;
  }
  return *ttft <= *slo.max_ttft ? SloResult::met : SloResult::missed;
}

bool meets(const OperatingPoint& point, const Slo& slo) {
  if (point.interactivity < slo.min_interactivity) {
    return false;
  }
  const auto ttft = judge_ttft(point.ttft, slo);
  return ttft == SloResult::met || (ttft == SloResult::unknown && slo.allow_unknown_ttft);
}

/// The interactivity between two rows at which TTFT reaches the limit; nothing when it is not
/// crossed.
std::optional<TokensPerSecond> where_ttft_binds(const MeasuredPoint& high, const MeasuredPoint& low,
                                                const Slo& slo) {
  if (!slo.max_ttft || !high.ttft_median || !low.ttft_median) {
    return std::nullopt;
  }
  if (*high.ttft_median >= *slo.max_ttft || *low.ttft_median <= *slo.max_ttft) {
    return std::nullopt;
  }
  const double share =
      std::log(*slo.max_ttft / *high.ttft_median) / std::log(*low.ttft_median / *high.ttft_median);
  return *high.interactivity + (*low.interactivity - *high.interactivity) * share;
}

}  // namespace

DeploymentSet::DeploymentSet(std::span<const MeasuredPoint> points, std::string_view model_id,
                             const Workload& workload) {
  std::map<const MeasuredPoint*, Deployment, ByDeployment> groups;
  for (const auto& point : points) {
    if (point.model == model_id && point.workload == workload && point.output_per_gpu &&
        point.interactivity) {
      groups[&point].points.push_back(&point);
    }
  }
  deployments_.reserve(groups.size());
  for (auto& [key, deployment] : groups) {
    drop_copies(deployment.points);
    std::sort(deployment.points.begin(), deployment.points.end(), earlier_in_deployment);
    deployments_.push_back(std::move(deployment));
  }
}

OperatingPoint at_row(const MeasuredPoint& point) {
  OperatingPoint at;
  at.point = &point;
  at.tag = point.output_is_derived || point.interactivity_is_derived ? Tag::derived : Tag::measured;
  if (point.concurrency) {
    at.concurrency = *point.concurrency;
  }
  at.total_per_gpu = point.total_per_gpu;
  at.output_per_gpu = *point.output_per_gpu;
  at.interactivity = *point.interactivity;
  at.ttft = point.ttft_median;
  return at;
}

OperatingPoint between_rows(const MeasuredPoint& high, const MeasuredPoint& low,
                            TokensPerSecond interactivity) {
  const double share =
      (*high.interactivity - interactivity) / (*high.interactivity - *low.interactivity);
  OperatingPoint at;
  at.point = &high;
  at.other = &low;
  at.tag = Tag::interpolated;
  at.share_of_other = share;
  if (high.concurrency && low.concurrency) {
    at.concurrency = log_mix(*high.concurrency, *low.concurrency, share);
  }
  at.total_per_gpu = log_mix(high.total_per_gpu, low.total_per_gpu, share);
  at.output_per_gpu = *log_mix(high.output_per_gpu, low.output_per_gpu, share);
  at.interactivity = interactivity;
  at.ttft = log_mix(high.ttft_median, low.ttft_median, share);
  return at;
}

std::vector<const MeasuredPoint*> own_frontier(const Deployment& deployment) {
  std::vector<const MeasuredPoint*> frontier;
  for (const auto* point : deployment.points) {
    if (frontier.empty() || *point->output_per_gpu > *frontier.back()->output_per_gpu) {
      frontier.push_back(point);
    }
  }
  return frontier;
}

std::vector<OperatingPoint> DeploymentSet::meeting(const Slo& slo) const {
  std::vector<OperatingPoint> result;
  const auto take = [&](const OperatingPoint& candidate) {
    if (meets(candidate, slo)) {
      result.push_back(candidate);
    }
  };
  for (const auto& deployment : deployments_) {
    for (const auto* point : deployment.points) {
      take(at_row(*point));
    }
    const auto frontier = own_frontier(deployment);
    for (std::size_t i = 1; i < frontier.size(); ++i) {
      const auto& high = *frontier[i - 1];
      const auto& low = *frontier[i];
      // Along the load: less interactivity because more requests are in flight.
      if (!high.concurrency || !low.concurrency || *low.concurrency <= *high.concurrency) {
        continue;
      }
      if (*high.interactivity > slo.min_interactivity &&
          *low.interactivity < slo.min_interactivity) {
        take(between_rows(high, low, slo.min_interactivity));
      }
      if (const auto at = where_ttft_binds(high, low, slo)) {
        auto bound = between_rows(high, low, *at);
        bound.ttft = slo.max_ttft;  // by construction; recomputed it may round to just above
        take(bound);
      }
    }
  }
  return result;
}

TokensPerSecond ranking_rate(const OperatingPoint& point) {
  return point.total_per_gpu.value_or(point.output_per_gpu);
}

std::vector<std::size_t> non_dominated(std::span<const OperatingPoint> points) {
  std::vector<std::size_t> order(points.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (points[a].interactivity != points[b].interactivity) {
      return points[a].interactivity > points[b].interactivity;
    }
    return ranking_rate(points[a]) > ranking_rate(points[b]);
  });
  std::vector<std::size_t> kept;
  for (const auto i : order) {
    if (kept.empty() || ranking_rate(points[i]) > ranking_rate(points[kept.back()])) {
      kept.push_back(i);
    }
  }
  return kept;
}

OperatingPoint at_clock(OperatingPoint point, const ClockedRatios& ratios) {
  point.clock_ratio = ratios.clock_ratio;
  point.tag = weaker(point.tag, Tag::modelled);
  point.output_per_gpu = point.output_per_gpu * ratios.rate;
  point.interactivity = point.interactivity * ratios.interactivity;
  if (point.total_per_gpu) {
    point.total_per_gpu = *point.total_per_gpu * ratios.rate;
  }
  if (point.ttft) {
    point.ttft = *point.ttft * ratios.ttft;
  }
  return point;
}

RateInterval rate_interval(const OperatingPoint& point) {
  // 90 % of |ln(rate / median over all runs)|, docs/model/frontier.md#uncertainty.
  constexpr double kRepeatsAggregated = 0.40;
  constexpr double kRepeatsDisaggregated = 0.16;
  // 90 % of |ln(interpolated / measured)| per unit of |ln(rate ratio)| of the bracketing rows.
  constexpr double kInterpolation = 0.31;
  // Of the rate that a lower clock takes away, a fifth is not known (assumed: how far memory-bound
  // steps follow the clock was measured on no accelerator of the catalog).
  constexpr double kClock = 0.2;
  const double clock = kClock * (1 - point.clock_ratio);
  if (point.modelled_interval) {
    return {point.modelled_interval->low_factor * std::exp(-clock),
            point.modelled_interval->high_factor * std::exp(clock)};
  }
  double spread =
      point.point->serving == Serving::aggregated ? kRepeatsAggregated : kRepeatsDisaggregated;
  if (point.other != nullptr) {
    const double bracket =
        std::abs(std::log(*point.other->output_per_gpu / *point.point->output_per_gpu));
    spread = std::hypot(spread, kInterpolation * bracket);
  }
  spread = std::hypot(spread, clock);
  return {std::exp(-spread), std::exp(spread)};
}

}  // namespace perwatt::inference
