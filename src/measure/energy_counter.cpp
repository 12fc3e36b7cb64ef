// The counter path: the meter's own energy counter, interpolated at the window's edges.
#include <algorithm>
#include <cmath>

#include "energy_meter.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

/// A stepped counter must move this often inside a window; each edge may be off by one step.
constexpr std::size_t kLeastMovesStepped = 4;
constexpr std::size_t kLeastMoves = 2;
/// Fewer moves than this share of the looks: the counter stands still between its updates.
constexpr double kSteppedShare = 0.7;
/// A counter that has not moved for longer than this many periods no longer follows the device.
constexpr double kLatePeriods = 1.5;
/// Readings may be late by a twentieth of their distance.
constexpr double kRateMargin = 1.05;

/// A look at the counter; seconds from the window's begin and joules.
struct CounterLook {
  double time = 0.0;
  double counter = 0.0;
};

/// The energy since the first look, at the time the counter took that value as far as known.
struct CounterKnot {
  double time = 0.0;
  double energy = 0.0;
};

class CounterPath {
 public:
  CounterPath(const device::MeterTrace& trace, const Window& window, const EnergyRules& rules)
      : trace_{trace},
        window_{window},
        rules_{rules},
        length_{in_seconds(window.end - window.begin)} {
    for (const auto& reading : trace.readings) {
      if (reading.counter) {
        looks_.push_back({in_seconds(reading.at - window.begin), reading.counter->in_base()});
      }
      if (reading.power) {
        highest_power_ = std::max(highest_power_, in_watts(*reading.power));
      }
    }
  }

  PathResult compute() {
    if (looks_.empty()) {
      return {};
    }
    if (const auto why =
            not_bracketed(looks_.front().time, looks_.back().time, length_, "counter")) {
      refuse(EnergyReason::window_not_bracketed, *why);
      return {std::nullopt, findings_};
    }
    find_period();
    follow();
    close_ends();
    check_moves();
    if (refused_) {
      return {std::nullopt, findings_};
    }
    return {energy(), findings_};
  }

 private:
  void refuse(EnergyReason reason, const std::string& text) {
    findings_.push_back(finding(reason, true, trace_.meter, text));
    refused_ = true;
  }

  void note(EnergyReason reason, const std::string& text) {
    findings_.push_back(finding(reason, false, trace_.meter, text));
  }

  [[nodiscard]] bool matters(double from, double to) const { return to > 0.0 && from < length_; }

  /// How often the counter is updated, as far as the looks show it.
  void find_period() {
    std::vector<double> between_looks;
    std::vector<double> between_moves;
    std::optional<double> moved;
    for (std::size_t i = 1; i < looks_.size(); ++i) {
      const double step = looks_[i].time - looks_[i - 1].time;
      between_looks.push_back(step);
      if (looks_[i].counter == looks_[i - 1].counter) {
        continue;
      }
      ++moves_;
      if (looks_[i].counter > looks_[i - 1].counter && step <= in_seconds(rules_.longest_gap)) {
        highest_rate_ = std::max(highest_rate_, (looks_[i].counter - looks_[i - 1].counter) / step);
      }
      if (moved) {
        between_moves.push_back(looks_[i].time - *moved);
      }
      moved = looks_[i].time;
    }
    const double spacing = median(between_looks);
    period_ = std::max(spacing, median(between_moves));
    stepped_ =
        static_cast<double>(moves_) < kSteppedShare * static_cast<double>(between_looks.size());
    if (stepped_ && between_moves.empty()) {
      period_ = looks_.back().time - looks_.front().time;
    }
  }

  /// Turns the looks into knots, through wraps and resets.
  void follow() {
    knots_.push_back({looks_.front().time, 0.0});
    for (std::size_t i = 1; i < looks_.size(); ++i) {
      const auto& before = looks_[i - 1];
      const auto& now = looks_[i];
      check_gap(before, now);
      if (now.counter == before.counter) {
        continue;
      }
      const double energy = knots_.back().energy + rise(before, now);
      check_standstill(knots_.back().time, before.time, now.time);
      knots_.push_back({now.time, energy});
    }
  }

  double rise(const CounterLook& before, const CounterLook& now) {
    const double limit =
        in_watts(most_power(trace_.meter)) * kRateMargin * (now.time - before.time + period_);
    double step = now.counter - before.counter;
    if (step < 0.0) {
      const auto& wrap = trace_.meter.counter_wraps_at;
      const double wrapped = wrap ? step + wrap->in_base() : -1.0;
      if (wrapped < 0.0 || wrapped > limit) {
        return bridge(before, now);
      }
      step = wrapped;
    }
    if (!matters(before.time, now.time)) {
      return step;
    }
    if (step > limit) {
      refuse(EnergyReason::implausible_power,
             "counter rose by " + significant(step) + " J in " + time_text(now.time - before.time) +
                 " at " + time_text(now.time) + ", more than the device can draw");
    }
    return step;
  }

  /// The energy across a reset, by the power integral.
  double bridge(const CounterLook& before, const CounterLook& now) {
    if (!matters(before.time, now.time)) {
      return 0.0;
    }
    const std::string what = "counter fell from " + significant(before.counter) + " J to " +
                             significant(now.counter) + " J at " + time_text(now.time);
    const Window across{window_.begin + seconds(before.time), window_.begin + seconds(now.time)};
    const auto integral = integral_path(trace_, across, rules_);
    if (!integral.path) {
      refuse(EnergyReason::counter_reset, what + ", and no power bridges it");
      return 0.0;
    }
    note(EnergyReason::counter_reset, what + "; bridged by integrated power");
    const double energy = integral.path->energy.in_base();
    const double stale = period_ * energy / (now.time - before.time);
    bridged_ = std::hypot(bridged_, stale, integral.path->integration.in_base());
    return energy;
  }

  void check_gap(const CounterLook& before, const CounterLook& now) {
    const double gap = now.time - before.time;
    if (gap <= in_seconds(rules_.longest_gap) || !matters(before.time, now.time)) {
      return;
    }
    const auto& known = trace_.meter.most_power;
    const double most =
        known ? in_watts(*known) : kLatePeriods * std::max(highest_power_, highest_rate_);
    const auto& wrap = trace_.meter.counter_wraps_at;
    const bool reset_hidden = now.counter >= before.counter && now.counter <= most * gap;
    const bool wraps_hidden = wrap && most * gap >= wrap->in_base();
    const std::string what =
        "no counter reading for " + time_text(gap) + " until " + time_text(now.time);
    if (reset_hidden || wraps_hidden) {
      refuse(EnergyReason::sampling_gap,
             what + ", long enough to hide a " + (reset_hidden ? "reset" : "wrap"));
    } else {
      note(EnergyReason::sampling_gap, what + "; the counter went on");
    }
  }

  void check_standstill(double since, double until, double moved) {
    if (until - since > in_seconds(rules_.longest_stale) && matters(since, moved)) {
      note(EnergyReason::stale_readings, "counter stood still for " + time_text(until - since) +
                                             " until " + time_text(moved) + ", then went on");
    }
  }

  /// Gives the first and last value of a stepped counter the time they would have had.
  void close_ends() {
    if (knots_.size() < 2) {
      return;
    }
    if (stepped_) {
      knots_.front().time = std::min(knots_.front().time, knots_[1].time - period_);
    }
    const CounterKnot last = knots_.back();
    if (last.time >= length_) {
      return;
    }
    // The counter has not moved since `last`, and there was a look at or after the end.
    if (length_ - last.time > kLatePeriods * period_) {
      refuse(EnergyReason::stale_readings, "counter has stood still since " + time_text(last.time) +
                                               ", at the window's end for " +
                                               time_text(length_ - last.time));
      return;
    }
    const double step = last.energy - knots_[knots_.size() - 2].energy;
    const double took = last.time - knots_[knots_.size() - 2].time;
    const double next = std::max(last.time + period_, looks_.back().time);
    knots_.push_back({next, last.energy + step / took * (next - last.time)});
  }

  void check_moves() {
    const auto inside = static_cast<std::size_t>(std::count_if(
        knots_.begin(), knots_.end(),
        [&](const CounterKnot& knot) { return knot.time >= 0.0 && knot.time <= length_; }));
    const std::size_t least = stepped_ ? kLeastMovesStepped : kLeastMoves;
    if (!refused_ && (inside < least || knots_.size() < 2)) {
      refuse(EnergyReason::counter_too_coarse, "counter moved " + std::to_string(inside) +
                                                   " times in the window of " + time_text(length_) +
                                                   ", needed are " + std::to_string(least));
    }
  }

  [[nodiscard]] double rate(std::size_t after) const {
    return (knots_[after].energy - knots_[after - 1].energy) /
           (knots_[after].time - knots_[after - 1].time);
  }

  /// Energy at `time` and the half-width of it.
  [[nodiscard]] std::pair<double, double> at(double time, double highest_rate) const {
    std::size_t after = 1;
    while (after + 1 < knots_.size() && knots_[after].time < time) {
      ++after;
    }
    const CounterKnot& a = knots_[after - 1];
    const CounterKnot& b = knots_[after];
    const double span = b.time - a.time;
    const double share = (time - a.time) / span;
    double local = rate(after);
    if (after > 1) {
      local = std::max(local, rate(after - 1));
    }
    if (after + 1 < knots_.size()) {
      local = std::max(local, rate(after + 1));
    }
    // One update late, and one change of power by at most the highest inside the interval.
    const double late = std::min(period_, span) * local;
    const double change = share * (1.0 - share) * span * highest_rate;
    return {a.energy + share * (b.energy - a.energy), std::hypot(late, change)};
  }

  [[nodiscard]] PathEnergy energy() const {
    double highest = 0.0;
    for (std::size_t i = 1; i < knots_.size(); ++i) {
      highest = std::max(highest, rate(i));
    }
    const auto begin = at(0.0, highest);
    const auto end = at(length_, highest);
    return {Joules::from_base(end.first - begin.first), Joules::from_base(begin.second),
            Joules::from_base(end.second), Joules::from_base(bridged_)};
  }

  const device::MeterTrace& trace_;
  const Window& window_;
  const EnergyRules& rules_;
  double length_;
  std::vector<CounterLook> looks_;
  std::vector<CounterKnot> knots_;
  std::vector<EnergyFinding> findings_;
  double highest_power_ = 0.0;
  double highest_rate_ = 0.0;  // between looks that are no gap apart
  double period_ = 0.0;
  std::size_t moves_ = 0;
  bool stepped_ = false;
  bool refused_ = false;
  double bridged_ = 0.0;  // half-width of the energy across resets
};

}  // namespace

PathResult counter_path(const device::MeterTrace& trace, const Window& window,
                        const EnergyRules& rules) {
  return CounterPath{trace, window, rules}.compute();
}

}  // namespace perwatt::measure
