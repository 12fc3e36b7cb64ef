#include "energy_meter.hpp"

#include <algorithm>
#include <cmath>

#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

/// Several times what the largest device of each scope draws in 2026: a board 2 kW, a rack-scale
/// node 150 kW, a rack 600 kW, a site 10 GW.
Watts most_of_scope(device::Scope scope) {
  switch (scope) {
    case device::Scope::gpu:
      return kilowatts(10);
    case device::Scope::cpu_package:
    case device::Scope::memory:
      return kilowatts(5);
    case device::Scope::node:
      return megawatts(1);
    case device::Scope::rack:
      return megawatts(2);
    case device::Scope::site:
      break;
  }
  return megawatts(100'000);
}

/// Readings of the window that lack a value the meter gives at other times.
void note_missing(const device::MeterTrace& trace, const Window& window,
                  std::vector<EnergyFinding>& findings) {
  const auto has_power = [](const device::Reading& reading) { return reading.power.has_value(); };
  const auto has_counter = [](const device::Reading& reading) {
    return reading.counter.has_value();
  };
  const bool any_power = std::any_of(trace.readings.begin(), trace.readings.end(), has_power);
  const bool any_counter = std::any_of(trace.readings.begin(), trace.readings.end(), has_counter);
  const auto missing = std::count_if(
      trace.readings.begin(), trace.readings.end(), [&](const device::Reading& reading) {
        return reading.at >= window.begin && reading.at <= window.end &&
               ((any_power && !reading.power) || (any_counter && !reading.counter));
      });
  if (missing > 0) {
    findings.push_back(finding(EnergyReason::missing_values, false, trace.meter,
                               std::to_string(missing) + " readings without a value"));
  }
}

void note_failures(const device::MeterTrace& trace, const Window& window, bool fatal,
                   std::vector<EnergyFinding>& findings) {
  const auto inside = [&](const device::ReadFailure& failure) {
    return failure.at >= window.begin && failure.at <= window.end;
  };
  const auto first = std::find_if(trace.failures.begin(), trace.failures.end(), inside);
  if (first != trace.failures.end()) {
    const auto count = std::count_if(first, trace.failures.end(), inside);
    findings.push_back(finding(EnergyReason::source_failed, fatal, trace.meter,
                               std::to_string(count) + " failed readings, the first at " +
                                   time_text(in_seconds(first->at - window.begin)) + ": " +
                                   printable(first->reason, 200)));
  }
}

double random_half_width(const PathEnergy& path) {
  return std::hypot(std::hypot(path.begin_edge.in_base(), path.end_edge.in_base()),
                    path.integration.in_base());
}

/// Both paths of one meter against each other, beyond what edges and sampling explain.
void cross_check(const PathEnergy& counter, const PathEnergy& integral, const EnergyRules& rules,
                 MeterEnergy& meter) {
  const double a = counter.energy.in_base();
  const double b = integral.energy.in_base();
  const double random = std::hypot(random_half_width(counter), random_half_width(integral));
  const double tolerance =
      std::max(rules.counter_tolerance_ratio * std::max(std::fabs(a), std::fabs(b)), random);
  if (std::fabs(a - b) > tolerance) {
    meter.findings.push_back(finding(
        EnergyReason::counter_unreliable, true, meter.trace->meter,
        "counter says " + significant(a) + " J, integrated power " + significant(b) + " J"));
    meter.valid = false;
  }
}

}  // namespace

Watts most_power(const device::Meter& meter) {
  return meter.most_power ? *meter.most_power : most_of_scope(meter.scope);
}

MeterEnergy meter_energy(const device::MeterTrace& trace, const Window& window,
                         const EnergyRules& rules) {
  MeterEnergy result;
  result.trace = &trace;
  const auto& jumped = rules.clock_jumped_sources;
  const bool misplaced =
      std::find(jumped.begin(), jumped.end(), trace.meter.source) != jumped.end();
  if (trace.readings.empty()) {
    result.findings.push_back(
        finding(EnergyReason::partial_fleet, true, trace.meter, "gave no reading"));
    note_failures(trace, window, true, result.findings);
    return result;
  }
  const auto counter = counter_path(trace, window, rules);
  const auto integral = integral_path(trace, window, rules);
  if (counter.path) {
    result.by_counter = counter.path->energy;
  }
  if (integral.path) {
    result.by_integral = integral.path->energy;
  }
  result.chosen = counter.path ? counter.path : integral.path;
  result.method = counter.path ? EnergyMethod::counter : EnergyMethod::power_integral;
  result.valid = result.chosen.has_value() && !misplaced;
  for (const auto* path : {&counter, &integral}) {
    for (auto one : path->findings) {
      one.fatal = one.fatal && !result.chosen;
      result.findings.push_back(std::move(one));
    }
  }
  if (!result.chosen && result.findings.empty()) {
    result.findings.push_back(finding(EnergyReason::missing_values, true, trace.meter,
                                      "no reading has a counter or a power"));
  }
  if (misplaced) {
    result.findings.push_back(finding(EnergyReason::clock_jump, true, trace.meter,
                                      "its readings carry the wall clock's time, which jumped"));
  }
  if (counter.path && integral.path) {
    cross_check(*counter.path, *integral.path, rules, result);
  }
  note_missing(trace, window, result.findings);
  note_failures(trace, window, !result.chosen, result.findings);
  return result;
}

EnergyFinding finding(EnergyReason reason, bool fatal, const device::Meter& meter,
                      const std::string& text) {
  return {reason, fatal, printable(meter.id, 200) + ": " + text};
}

std::string time_text(double seconds_into_window) {
  return significant(seconds_into_window, 4) + " s";
}

std::optional<std::string> not_bracketed(double first, double last, double length,
                                         std::string_view what) {
  if (first > 0.0) {
    return "first " + std::string{what} + " reading " + time_text(first) +
           " after the window's begin";
  }
  if (last < length) {
    return "last " + std::string{what} + " reading " + time_text(length - last) +
           " before the window's end";
  }
  return std::nullopt;
}

double median(std::vector<double> values) {
  if (values.empty()) {
    return 0.0;
  }
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace perwatt::measure
