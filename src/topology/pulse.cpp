#include "perwatt/topology/pulse.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "trimmed_step.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/topology/root_units.hpp"

namespace perwatt::topology {

namespace {

/// Noise alone, split at its mean, has levels 2.6 of its halves' deviations apart.
constexpr double kClearLevels = 5;

/// When the pulse was on: by times told, or by the readings of the pulsed.
class PulseStates {
 public:
  explicit PulseStates(const PulseTimes& times) : told_{times} {}

  explicit PulseStates(const ReadingSeries& own) : times_{own.times} {
    std::vector<double> values;
    for (const auto power : own.powers) {
      values.push_back(in_watts(power));
    }
    const double threshold = two_level_threshold(values);
    for (std::size_t i = 0; i < values.size(); ++i) {
      // The middle of three: a lone outlier is no pulse.
      const auto above = [&](std::size_t at) { return values[at] > threshold; };
      const std::size_t before = i == 0 ? i : i - 1;
      const std::size_t after = std::min(i + 1, values.size() - 1);
      is_on_.push_back(above(before) + above(i) + above(after) >= 2);
    }
  }

  /// Nothing between two own readings that differ.
  [[nodiscard]] std::optional<bool> at(Seconds time) const {
    if (told_) {
      return time >= told_->from && time < told_->to;
    }
    const auto after = std::lower_bound(times_.begin(), times_.end(), time);
    const auto i = static_cast<std::size_t>(after - times_.begin());
    if (after != times_.end() && *after == time) {
      return is_on_[i] != 0;
    }
    if (i == 0 || i == times_.size() || is_on_[i] != is_on_[i - 1]) {
      return std::nullopt;
    }
    return is_on_[i] != 0;
  }

 private:
  std::optional<PulseTimes> told_;
  std::vector<Seconds> times_;
  std::vector<char> is_on_;
};

OnOffSamples samples_of(const ReadingSeries& series, double scale, const PulseStates& states) {
  OnOffSamples samples;
  for (std::size_t i = 0; i < series.times.size(); ++i) {
    if (const auto is_on = states.at(series.times[i])) {
      samples.values.push_back(in_watts(series.powers[i]) * scale);
      samples.is_on.push_back(*is_on);
    }
  }
  return samples;
}

std::optional<TrimmedStep> step_of(const OnOffSamples& samples) {
  const auto on = static_cast<std::size_t>(
      std::count_if(samples.is_on.begin(), samples.is_on.end(), [](char is_on) { return is_on; }));
  if (on < kLeastPulseSamples || samples.is_on.size() - on < kLeastPulseSamples) {
    return std::nullopt;
  }
  return trimmed_step(samples);
}

/// A metered node or device beside the pulsed one.
struct PulseMeter {
  PulseFinding finding;
  double factor = 0;  // declared: watts here per watt of the pulse; 0 for what is no ancestor
  std::optional<TrimmedStep> step;
};

class PulseStudy {
 public:
  PulseStudy(const PowerTree& tree, const Readings& readings, std::string_view id)
      : tree_{tree}, readings_{readings}, node_{tree.find_node(id)}, device_{tree.find_device(id)} {
    if (!node_ && !device_) {
      throw_bad_input("'" + printable(id) + "' is no node or device of the tree", "--pulse",
                      "perwatt topology show --all lists the ids");
    }
    check_.id = std::string{id};
  }

  PulseCheck run(const std::optional<PulseTimes>& times, double false_alarm_ratio) {
    const auto& own = device_ ? readings_.devices[device_->value] : readings_.nodes[node_->value];
    if (!times && own.times.size() < 2 * kLeastPulseSamples) {
      check_.problem =
          "it has " + std::to_string(own.times.size()) + " readings: too few to find the pulse in";
      return check_;
    }
    const PulseStates states = times ? PulseStates{*times} : PulseStates{own};
    const auto own_step = step_of(samples_of(own, node_ ? supply_scale(*node_) : 1, states));
    if (!times && !has_clear_levels(own_step)) {
      check_.problem = "its readings show no clear step; tell when the pulse was on";
      return check_;
    }
    collect(states);
    tail_ = false_alarm_ratio / static_cast<double>(meters_.size() + 1);
    find_size(own_step);
    if (check_.problem.empty()) {
      judge();
    }
    return std::move(check_);
  }

 private:
  [[nodiscard]] double supply_scale(NodeIndex n) const {
    const auto& node = tree_.node(n);
    return node.meter == MeterSide::load ? node.factor : 1;
  }

  [[nodiscard]] double threshold(const TrimmedStep& step) const {
    return student_quantile(1 - tail_, std::max(5.0, step.freedom)) * step.standard_error;
  }

  /// The variance of a trimmed mean of n samples is about that of one over n.
  [[nodiscard]] static bool has_clear_levels(const std::optional<TrimmedStep>& step) {
    return step &&
           std::abs(step->step) > kClearLevels * step->standard_error *
                                      std::sqrt(static_cast<double>(std::min(step->on, step->off)));
  }

  void collect(const PulseStates& states) {
    std::vector<char> below(tree_.nodes().size(), 0);
    std::vector<double> factor(tree_.nodes().size(), 0);
    const auto start = device_ ? tree_.device(*device_).parent : *node_;
    for (const auto& above : ancestors_of(tree_, start)) {
      factor[above.node.value] = above.factor * (device_ ? tree_.node(start).factor : 1);
    }
    for (std::uint32_t n = 0; n < tree_.nodes().size(); ++n) {
      below[n] = node_ == NodeIndex{n};
      for (const auto& supply : tree_.node({n}).supplies) {
        below[n] = below[n] || below[supply.parent.value];
      }
      if (!below[n]) {
        add(tree_.node({n}).id, factor[n], readings_.nodes[n], supply_scale({n}), states);
      }
    }
    for (std::uint32_t d = 0; d < tree_.devices().size(); ++d) {
      const auto& device = tree_.device({d});
      if (!below[device.parent.value] && device_ != DeviceIndex{d}) {
        add(device.id, 0, readings_.devices[d], 1, states);
      }
    }
  }

  void add(const std::string& id, double factor, const ReadingSeries& series, double scale,
           const PulseStates& states) {
    if (series.times.empty()) {
      return;
    }
    PulseMeter meter;
    meter.finding.id = id;
    meter.finding.is_ancestor = factor > 0;
    meter.factor = factor;
    meter.step = step_of(samples_of(series, scale, states));
    meters_.push_back(std::move(meter));
  }

  /// The size of the pulse: the own step, or when that meter stood still the largest elsewhere.
  void find_size(const std::optional<TrimmedStep>& own) {
    const TrimmedStep* size = own ? &*own : nullptr;
    check_.own_meter_moved = own && std::abs(own->step) > threshold(*own);
    for (const auto& meter : meters_) {
      const bool is_candidate = !check_.own_meter_moved && !meter.finding.is_ancestor &&
                                meter.step && std::abs(meter.step->step) > threshold(*meter.step);
      if (is_candidate && (size == nullptr || size == (own ? &*own : nullptr) ||
                           std::abs(meter.step->step) > std::abs(size->step))) {
        size = &*meter.step;
      }
    }
    if (size == nullptr || std::abs(size->step) <= threshold(*size)) {
      check_.problem = "no meter shows a step while the pulse was on";
      return;
    }
    check_.step = watts(size->step);
    check_.standard_error = watts(size->standard_error);
  }

  void judge() {
    double least = 1;
    for (const auto& meter : meters_) {
      if (meter.finding.is_ancestor) {
        least = std::min(least, meter.factor);
      }
    }
    std::stable_partition(meters_.begin(), meters_.end(),
                          [](const auto& meter) { return meter.finding.is_ancestor; });
    for (auto& meter : meters_) {
      auto& finding = meter.finding;
      const double expected = in_watts(check_.step) * (finding.is_ancestor ? meter.factor : least);
      finding.expected = watts(expected);
      if (meter.step) {
        finding.samples_on = meter.step->on;
        finding.samples_off = meter.step->off;
        finding.step = watts(meter.step->step);
        finding.standard_error = watts(meter.step->standard_error);
        finding.verdict = verdict_of(*meter.step, expected, finding.is_ancestor);
      }
      check_.findings.push_back(std::move(finding));
    }
  }

  [[nodiscard]] PulseVerdict verdict_of(const TrimmedStep& step, double expected,
                                        bool is_ancestor) const {
    if (std::abs(expected) / 2 < threshold(step)) {
      return PulseVerdict::undecided;
    }
    const bool follows = step.step * (expected > 0 ? 1 : -1) > std::abs(expected) / 2;
    if (is_ancestor) {
      return follows ? PulseVerdict::followed : PulseVerdict::did_not_follow;
    }
    return follows ? PulseVerdict::follows_unasked : PulseVerdict::still;
  }

  const PowerTree& tree_;
  const Readings& readings_;
  std::optional<NodeIndex> node_;
  std::optional<DeviceIndex> device_;
  PulseCheck check_;
  std::vector<PulseMeter> meters_;
  double tail_ = 0;
};

}  // namespace

std::string_view to_string(PulseVerdict verdict) {
  switch (verdict) {
    case PulseVerdict::followed:
      return "followed";
    case PulseVerdict::still:
      return "still";
    case PulseVerdict::did_not_follow:
      return "did not follow";
    case PulseVerdict::follows_unasked:
      return "follows, but is no ancestor";
    case PulseVerdict::undecided:
      break;
  }
  return "undecided";
}

bool PulseCheck::has_fault() const {
  return (problem.empty() && !own_meter_moved) ||
         std::any_of(findings.begin(), findings.end(), [](const auto& f) { return f.is_fault(); });
}

PulseCheck check_pulse(const PowerTree& tree, const Readings& readings, std::string_view id,
                       const std::optional<PulseTimes>& times, double false_alarm_ratio) {
  return PulseStudy{tree, readings, id}.run(times, false_alarm_ratio);
}

}  // namespace perwatt::topology
