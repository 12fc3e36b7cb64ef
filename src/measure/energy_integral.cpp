// The power path: watts integrated over time by trapezoids, interpolated at the window's edges.
#include <algorithm>
#include <cmath>

#include "energy_meter.hpp"

#include "perwatt/base/normal_law.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

/// NVML's power is the mean of the last second on Ampere and newer (nvml.h,
/// nvmlDeviceGetPowerUsage): readings may lag by this much.
constexpr double kPowerLagSeconds = 1.0;

/// One look at the power; seconds from the window's begin.
struct PowerLook {
  double time = 0.0;
  double power = 0.0;
  std::optional<Joules> counter;
};

struct PowerKnot {
  double time = 0.0;
  double power = 0.0;
  double held = 0.0;  // how long the same value stood before this knot
};

class IntegralPath {
 public:
  IntegralPath(const device::MeterTrace& trace, const Window& window, const EnergyRules& rules)
      : trace_{trace}, rules_{rules}, length_{in_seconds(window.end - window.begin)} {
    for (const auto& reading : trace.readings) {
      if (reading.power) {
        looks_.push_back(
            {in_seconds(reading.at - window.begin), in_watts(*reading.power), reading.counter});
      }
    }
  }

  PathResult compute() {
    if (looks_.empty()) {
      return {};
    }
    if (const auto why = not_bracketed(looks_.front().time, looks_.back().time, length_, "power")) {
      refuse(EnergyReason::window_not_bracketed, *why);
      return {std::nullopt, findings_};
    }
    check_gaps();
    check_power();
    follow();
    if (!findings_.empty()) {
      return {std::nullopt, findings_};
    }
    return {energy(), {}};
  }

 private:
  void refuse(EnergyReason reason, const std::string& text) {
    findings_.push_back(finding(reason, true, trace_.meter, text));
  }

  [[nodiscard]] bool matters(double from, double to) const { return to > 0.0 && from < length_; }

  void check_gaps() {
    double longest = 0.0;
    double until = 0.0;
    for (std::size_t i = 1; i < looks_.size(); ++i) {
      const double gap = looks_[i].time - looks_[i - 1].time;
      if (matters(looks_[i - 1].time, looks_[i].time) && gap > longest) {
        longest = gap;
        until = looks_[i].time;
      }
    }
    if (longest > in_seconds(rules_.longest_gap)) {
      refuse(EnergyReason::sampling_gap,
             "no power reading for " + time_text(longest) + " until " + time_text(until));
    }
  }

  void check_power() {
    const double most = in_watts(most_power(trace_.meter));
    double highest = 0.0;
    double when = 0.0;
    for (std::size_t i = 0; i < looks_.size(); ++i) {
      const double from = i > 0 ? looks_[i - 1].time : looks_[i].time;
      const double to = i + 1 < looks_.size() ? looks_[i + 1].time : looks_[i].time;
      if ((matters(from, to)) && looks_[i].power > highest) {
        highest = looks_[i].power;
        when = looks_[i].time;
      }
    }
    if (highest > most) {
      refuse(EnergyReason::implausible_power, significant(highest) + " W at " + time_text(when) +
                                                  ", above the " + significant(most) +
                                                  " W it can draw");
    }
  }

  /// Makes knots of the looks. A look that repeats both power and counter of the one before is a
  /// cached one and no knot: the value belongs to where it first stood. Without a counter a cached
  /// value cannot be told from a steady one; it is held, and the time it stood counts as error.
  void follow() {
    double since = looks_.front().time;
    double longest = 0.0;
    double until = 0.0;
    for (std::size_t i = 0; i < looks_.size(); ++i) {
      const PowerLook& now = looks_[i];
      const bool repeats = i > 0 && same(looks_[i - 1], now);
      const double held = (i > 0 ? looks_[i - 1].time : now.time) - since;
      if (repeats && matters(since, now.time) && now.time - since > longest) {
        longest = now.time - since;
        until = now.time;
      }
      if (!repeats || !now.counter || i + 1 == looks_.size()) {
        knots_.push_back({now.time, now.power, now.counter ? 0.0 : held});
      }
      if (!repeats) {
        since = now.time;
      }
    }
    trailing_ = looks_.back().time - since;
    if (longest > in_seconds(rules_.longest_stale)) {
      refuse(EnergyReason::stale_readings,
             "the same value for " + time_text(longest) + " until " + time_text(until));
    }
  }

  static bool same(const PowerLook& a, const PowerLook& b) {
    return a.power == b.power && (!a.counter || !b.counter || *a.counter == *b.counter);
  }

  [[nodiscard]] double power_at(double time) const {
    std::size_t after = 1;
    while (after + 1 < knots_.size() && knots_[after].time < time) {
      ++after;
    }
    const PowerKnot& a = knots_[after - 1];
    const PowerKnot& b = knots_[after];
    return a.power + (time - a.time) / (b.time - a.time) * (b.power - a.power);
  }

  [[nodiscard]] PathEnergy energy() const {
    double sum = 0.0;
    double squares = 0.0;  // of the changes of power
    std::vector<double> spacings;
    for (std::size_t i = 1; i < knots_.size(); ++i) {
      const PowerKnot& a = knots_[i - 1];
      const PowerKnot& b = knots_[i];
      if (!matters(a.time, b.time)) {
        continue;
      }
      const double from = std::max(a.time, 0.0);
      const double to = std::min(b.time, length_);
      sum += 0.5 * (power_at(from) + power_at(to)) * (to - from);
      squares += (b.power - a.power) * (b.power - a.power);
      spacings.push_back(b.time - a.time);
    }
    const double lag = std::max(kPowerLagSeconds, median(spacings));
    const double swing = std::fabs(power_at(length_) - power_at(0.0));
    return {Joules::from_base(sum), Joules{}, Joules::from_base(lag * swing),
            Joules::from_base(integration_error(squares / static_cast<double>(spacings.size())))};
  }

  /// From what the power did between readings; `mean_square` is that of all its changes.
  [[nodiscard]] double integration_error(double mean_square) const {
    double sum = 0.0;
    for (std::size_t i = 1; i < knots_.size(); ++i) {
      const PowerKnot& a = knots_[i - 1];
      const PowerKnot& b = knots_[i];
      if (matters(a.time, b.time)) {
        const double change = b.power - a.power;
        const double span = b.time - a.time + (change == 0.0 ? 0.0 : b.held);
        sum += span * span * (change * change + mean_square) / 4.0;
      }
    }
    sum += trailing_ * trailing_ * mean_square / 2.0;
    return kNormal95 * std::sqrt(sum);
  }

  const device::MeterTrace& trace_;
  const EnergyRules& rules_;
  double length_;
  std::vector<PowerLook> looks_;
  std::vector<PowerKnot> knots_;
  std::vector<EnergyFinding> findings_;
  double trailing_ = 0.0;  // how long the last value has stood
};

}  // namespace

PathResult integral_path(const device::MeterTrace& trace, const Window& window,
                         const EnergyRules& rules) {
  return IntegralPath{trace, window, rules}.compute();
}

}  // namespace perwatt::measure
