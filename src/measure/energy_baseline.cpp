#include "perwatt/measure/energy_baseline.hpp"

#include <algorithm>
#include <cmath>

#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

/// Drift or settling below this share of the mean does not matter to a baseline.
constexpr double kDriftRatio = 0.02;

/// Mean power of one window with its half-widths, in watts.
struct Level {
  double mean = 0.0;
  double random = 0.0;
  double accuracy = 0.0;
  double length = 0.0;
};

Level level_of(const BoundaryEnergy& energy, const Window& window) {
  const double length = in_seconds(window.end - window.begin);
  const double accuracy = energy.accuracy_half_width.in_base();
  const double whole = energy.half_width.in_base();
  return {energy.energy->in_base() / length,
          std::sqrt(std::max(0.0, whole * whole - accuracy * accuracy)) / length, accuracy / length,
          length};
}

bool differ(const Level& a, const Level& b) {
  return std::fabs(a.mean - b.mean) >
         std::max(std::hypot(a.random, b.random), kDriftRatio * 0.5 * (a.mean + b.mean));
}

/// Whether the second half of the window drew less than the first.
bool settles(Boundary boundary, std::span<const device::MeterTrace> traces, const Window& window,
             const EnergyRules& rules) {
  const Instant middle = window.begin + 0.5 * (window.end - window.begin);
  const Window early{window.begin, middle};
  const Window late{middle, window.end};
  const auto a = energy_at(boundary, traces, early, rules);
  const auto b = energy_at(boundary, traces, late, rules);
  if (!a.valid || !b.valid) {
    return false;
  }
  const Level first = level_of(a, early);
  const Level second = level_of(b, late);
  return second.mean < first.mean && differ(first, second);
}

}  // namespace

std::string_view to_string(IdleKind kind) {
  switch (kind) {
    case IdleKind::before_load:
      return "before_load";
    case IdleKind::after_load:
      return "after_load";
    case IdleKind::both:
      break;
  }
  return "both";
}

IdlePower idle_power(Boundary boundary, std::span<const device::MeterTrace> traces,
                     const IdleWindow& first, const std::optional<IdleWindow>& second,
                     const EnergyRules& rules) {
  IdlePower idle;
  idle.boundary = boundary;
  idle.kind = second && second->kind != first.kind ? IdleKind::both : first.kind;
  const auto energy = energy_at(boundary, traces, first.window, rules);
  idle.findings = energy.findings;
  idle.valid = energy.valid;
  std::optional<BoundaryEnergy> other;
  if (second) {
    other = energy_at(boundary, traces, second->window, rules);
    idle.findings.insert(idle.findings.end(), other->findings.begin(), other->findings.end());
    idle.valid = idle.valid && other->valid;
  }
  if (!idle.valid) {
    return idle;
  }
  Level level = level_of(energy, first.window);
  idle.settling = settles(boundary, traces, first.window, rules);
  double half_drift = 0.0;
  if (other) {
    const Level next = level_of(*other, second->window);
    idle.settling = idle.settling || settles(boundary, traces, second->window, rules);
    idle.drift = watts(next.mean - level.mean);
    idle.drifted = differ(level, next);
    half_drift = 0.5 * std::fabs(next.mean - level.mean);
    const double share = level.length / (level.length + next.length);
    level = {share * level.mean + (1.0 - share) * next.mean,
             std::hypot(share * level.random, (1.0 - share) * next.random),
             share * level.accuracy + (1.0 - share) * next.accuracy, level.length + next.length};
  }
  idle.mean = watts(level.mean);
  idle.accuracy_half_width = watts(level.accuracy);
  idle.half_width = watts(std::hypot(std::hypot(level.random, half_drift), level.accuracy));
  return idle;
}

std::optional<MarginalEnergy> marginal_energy(const BoundaryEnergy& energy, Seconds length,
                                              const IdlePower& idle) {
  if (!energy.valid || !idle.valid || energy.boundary != idle.boundary) {
    return std::nullopt;
  }
  const auto square = [](Joules value) { return value.in_base() * value.in_base(); };
  const Joules idle_accuracy = idle.accuracy_half_width * length;
  // The same meters are wrong alike in both windows: their accuracies subtract.
  const double accuracy = square(energy.accuracy_half_width - idle_accuracy);
  const double random = square(energy.half_width) - square(energy.accuracy_half_width) +
                        square(idle.half_width * length) - square(idle_accuracy);
  return MarginalEnergy{*energy.energy - idle.mean * length,
                        Joules::from_base(std::sqrt(std::max(0.0, accuracy + random)))};
}

}  // namespace perwatt::measure
