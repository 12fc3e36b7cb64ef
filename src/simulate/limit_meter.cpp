#include "limit_meter.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

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
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    limit_begin_.push_back(static_cast<std::uint32_t>(limits_.size()));
    const auto count = static_cast<std::uint32_t>(tree.nodes()[n].limits.size());
    for (std::uint32_t i = 0; i < count; ++i) {
      add_limit(n, i, interval_ns);
    }
  }
  limit_begin_.push_back(static_cast<std::uint32_t>(limits_.size()));
  violations_.resize(limits_.size());
  tripped_.reserve(limits_.size());
}

void LimitMeter::add_limit(std::uint32_t node, std::uint32_t limit, std::int64_t interval_ns) {
  const auto& spec = tree_.nodes()[node].limits[limit];
  Judged judged{};
  judged.limit_watts = in_watts(spec.power);
  judged.node = node;
  judged.limit = limit;
  judged.phase = static_cast<std::int8_t>(spec.phase ? static_cast<int>(*spec.phase) : -1);
  judged.has_window = spec.window > Seconds{};
  judged.has_curve = spec.curve.has_value();
  limits_.push_back(judged);
  if (judged.has_window) {
    const auto steps = static_cast<std::uint32_t>(whole_intervals(spec.window, interval_ns));
    windows_.push_back({window_watts_.size(), steps});
    window_watts_.resize(window_watts_.size() + steps);
  }
}

double LimitMeter::mean_with(Window& window, double watts) {
  double* const values_watts = window_watts_.data() + window.begin;
  const bool full = window.filled == window.steps;
  window.sum_watts += watts - (full ? values_watts[window.next] : 0);
  values_watts[window.next] = watts;
  window.filled += full ? 0 : 1;
  if (++window.next == window.steps) {
    // Summed afresh once a window: rounding cannot gather over the days.
    window.next = 0;
    window.sum_watts = std::accumulate(values_watts, values_watts + window.steps, 0.0);
  }
  return window.sum_watts / window.filled;
}

void LimitMeter::add_over(Judged& judged, Violations& violations, double watts) const {
  if (watts > judged.worst_watts) {
    judged.worst_watts = watts;
  }
  const bool over = watts > judged.limit_watts &&
                    topology::passes(perwatt::watts(watts), perwatt::watts(judged.limit_watts));
  if (over) {
    violations.count += judged.over ? 0 : 1;
    violations.time_over += interval_;
    violations.energy_over += perwatt::watts(watts - judged.limit_watts) * interval_;
  }
  judged.over = over;
}

void LimitMeter::run_curve(Judged& judged, Violations& violations, double watts) {
  const auto limit = perwatt::watts(judged.limit_watts);
  if (watts <= judged.limit_watts || !topology::passes(perwatt::watts(watts), limit)) {
    if (judged.curve_part > 0) {
      judged.curve_part = std::max(0.0, judged.curve_part - interval_ / breaker_recovery_);
    }
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
  auto window = windows_.begin();
  for (std::size_t i = 0; i < limits_.size(); ++i) {
    auto& judged = limits_[i];
    const double now_watts = sums.bounded_watts(judged.node, judged.phase);
    const double bounded_watts = judged.has_window ? mean_with(*window++, now_watts) : now_watts;
    add_over(judged, violations_[i], bounded_watts);
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
