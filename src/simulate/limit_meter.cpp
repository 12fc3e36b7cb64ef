#include "limit_meter.hpp"

#include <algorithm>
#include <cmath>

#include "perwatt/base/instant.hpp"
#include "perwatt/topology/loads.hpp"

namespace perwatt::simulate {

namespace {

/// A window that is meant to be whole intervals is, though both were rounded.
constexpr double kWindowRounding = 1e-9;

Seconds interval_of(std::int64_t interval_ns) {
  return seconds(static_cast<double>(interval_ns) / kNanosecondsPerSecond);
}

double whole_intervals(Seconds window, std::int64_t interval_ns) {
  const double fit = window / interval_of(interval_ns) * (1 + kWindowRounding);
  return std::max(1.0, std::floor(fit));
}

}  // namespace

Violations& Violations::operator+=(const Violations& other) {
  count += other.count;
  time_over += other.time_over;
  energy_over += other.energy_over;
  worst_ratio = std::max(worst_ratio, other.worst_ratio);
  trips += other.trips;
  return *this;
}

double LimitMeter::window_samples(const topology::PowerTree& tree, std::int64_t interval_ns) {
  double samples = 0;
  for (const auto& node : tree.nodes()) {
    for (const auto& limit : node.limits) {
      if (limit.window > Seconds{}) {
        samples += whole_intervals(limit.window, interval_ns);
      }
    }
  }
  return samples;
}

LimitMeter::LimitMeter(const topology::PowerTree& tree, std::int64_t interval_ns,
                       Seconds breaker_recovery)
    : tree_{tree}, interval_{interval_of(interval_ns)}, breaker_recovery_{breaker_recovery} {
  std::size_t samples = 0;
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    limit_begin_.push_back(static_cast<std::uint32_t>(limits_.size()));
    const auto& limits = tree.nodes()[n].limits;
    for (std::uint32_t i = 0; i < limits.size(); ++i) {
      Judged judged{};
      judged.node = n;
      judged.limit = i;
      judged.phase = limits[i].phase ? static_cast<int>(*limits[i].phase) : -1;
      judged.has_curve = limits[i].curve.has_value();
      judged.limit_watts = in_watts(limits[i].power);
      if (limits[i].window > Seconds{}) {
        judged.window_steps =
            static_cast<std::uint32_t>(whole_intervals(limits[i].window, interval_ns));
        judged.window_begin = samples;
        samples += judged.window_steps;
      }
      limits_.push_back(judged);
    }
  }
  limit_begin_.push_back(static_cast<std::uint32_t>(limits_.size()));
  violations_.resize(limits_.size());
  windows_.resize(samples);
  tripped_.reserve(limits_.size());
}

double LimitMeter::mean_with(Judged& judged, double watts) {
  const auto window = windows_.begin() + static_cast<std::ptrdiff_t>(judged.window_begin);
  const bool full = judged.filled == judged.window_steps;
  judged.window_sum_watts += watts - (full ? window[judged.next] : 0);
  window[judged.next] = watts;
  judged.filled += full ? 0 : 1;
  if (++judged.next == judged.window_steps) {
    // Summed afresh once a window: rounding cannot gather over the days.
    judged.next = 0;
    judged.window_sum_watts = 0;
    for (std::uint32_t i = 0; i < judged.window_steps; ++i) {
      judged.window_sum_watts += window[i];
    }
  }
  return judged.window_sum_watts / judged.filled;
}

void LimitMeter::add_over(Judged& judged, Violations& violations, double watts) const {
  judged.worst_watts = std::max(judged.worst_watts, watts);
  const bool over = topology::passes(perwatt::watts(watts), perwatt::watts(judged.limit_watts));
  if (over) {
    violations.count += judged.over ? 0 : 1;
    violations.time_over += interval_;
    violations.energy_over += perwatt::watts(watts - judged.limit_watts) * interval_;
  }
  judged.over = over;
}

void LimitMeter::run_curve(Judged& judged, Violations& violations, double watts) {
  const auto limit = perwatt::watts(judged.limit_watts);
  if (!topology::passes(perwatt::watts(watts), limit)) {
    judged.curve_part = std::max(0.0, judged.curve_part - interval_ / breaker_recovery_);
    return;
  }
  const auto& curve = *tree_.nodes()[judged.node].limits[judged.limit].curve;
  const auto stands = curve.time_to_trip(watts / judged.limit_watts);
  if (!stands) {
    return;
  }
  const bool at_once = *stands <= interval_;
  judged.curve_part += at_once ? 1 : interval_ / *stands;
  if (judged.curve_part >= 1) {
    judged.curve_part = 0;
    ++violations.trips;
    tripped_.push_back(judged.node);
  }
}

void LimitMeter::judge(const NodeSums& sums) {
  tripped_.clear();
  for (std::size_t i = 0; i < limits_.size(); ++i) {
    auto& judged = limits_[i];
    const double now_watts = sums.bounded_watts(judged.node, judged.phase);
    add_over(judged, violations_[i],
             judged.window_steps > 0 ? mean_with(judged, now_watts) : now_watts);
    if (judged.has_curve) {
      run_curve(judged, violations_[i], now_watts);
    }
  }
}

void LimitMeter::cool(std::size_t node) {
  for (std::uint32_t i = limit_begin_[node]; i < limit_begin_[node + 1]; ++i) {
    limits_[i].curve_part = 0;
  }
}

Violations LimitMeter::violations(std::size_t node, std::size_t limit) const {
  const std::size_t i = limit_begin_[node] + limit;
  Violations answer = violations_[i];
  answer.worst_ratio = limits_[i].worst_watts / limits_[i].limit_watts;
  return answer;
}

Violations LimitMeter::total() const {
  Violations sum;
  for (const auto& judged : limits_) {
    sum += violations(judged.node, judged.limit);
  }
  return sum;
}

}  // namespace perwatt::simulate
