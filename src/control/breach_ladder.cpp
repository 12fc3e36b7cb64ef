#include "perwatt/control/breach_ladder.hpp"

#include <algorithm>
#include <numeric>

#include "perwatt/base/error.hpp"
#include "perwatt/topology/loads.hpp"

namespace perwatt::control {

namespace {

bool trips(const topology::Limit& limit) {
  return limit.curve.has_value() || limit.kind == topology::LimitKind::breaker ||
         limit.kind == topology::LimitKind::ups;
}

/// What touches devices and work that are not tagged.
bool touches_all(BreachStep step) {
  return step == BreachStep::fail_safe || step == BreachStep::shut;
}

BreachStep step_after(BreachStep step, bool can_trip) {
  auto next = step;
  do {
    if (next == BreachStep::shut || (!can_trip && next == BreachStep::pause)) {
      return step;
    }
    next = static_cast<BreachStep>(static_cast<int>(next) + 1);
  } while (!can_trip && touches_all(next));
  return next;
}

void check_ladder_rules(const LadderRules& rules) {
  const auto& times = rules.times;
  const bool is_sound =
      std::min({times.throttle, times.fail_safe, times.pause, times.shut}) >= Seconds{} &&
      rules.tick > Seconds{} && rules.rise_ratio >= 0 && rules.tolerance_ratio >= 0 &&
      rules.release_ratio >= 0 && rules.release_ratio < 1 && rules.release_after >= Seconds{} &&
      rules.recovery > Seconds{};
  if (!is_sound) {
    throw_bad_input("a rule of the breach ladder is out of range", "rules",
                    "give a tick and a recovery above 0, a release_ratio below 1, nothing "
                    "negative");
  }
}

}  // namespace

std::string_view to_string(BreachStep step) {
  switch (step) {
    case BreachStep::none:
      return "none";
    case BreachStep::throttle:
      return "throttle";
    case BreachStep::fail_safe:
      return "fail-safe";
    case BreachStep::pause:
      return "pause";
    case BreachStep::shut:
      break;
  }
  return "shut";
}

Seconds StepTimes::of(BreachStep step) const {
  switch (step) {
    case BreachStep::none:
      return {};
    case BreachStep::throttle:
      return throttle;
    case BreachStep::fail_safe:
      return fail_safe;
    case BreachStep::pause:
      return pause;
    case BreachStep::shut:
      break;
  }
  return shut;
}

BreachLadder::BreachLadder(const topology::PowerTree& tree, const LadderRules& rules)
    : tree_{&tree}, rules_{rules}, steps_(tree.nodes().size(), BreachStep::none) {
  check_ladder_rules(rules);
  Seconds sum;
  for (std::size_t s = need_.size(); s-- > 1;) {
    sum += rules.times.of(static_cast<BreachStep>(s)) + rules.tick;
    need_[s] = sum;
  }
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    const auto& limits = tree.nodes()[n].limits;
    for (std::uint32_t i = 0; i < limits.size(); ++i) {
      Breach breach;
      breach.node = {n};
      breach.limit = i;
      states_.push_back(breach);
      Timing timing;
      timing.can_trip = trips(limits[i]);
      if (limits[i].window > Seconds{}) {
        timing.window = static_cast<std::uint32_t>(windows_.size());
        windows_.emplace_back();
        windows_.back().slot = limits[i].window * (1.0 / (kSlots + 1));
      }
      timings_.push_back(timing);
    }
  }
  breached_.reserve(states_.size());
}

Watts BreachLadder::Window::mean_with(Watts supply, Seconds dt) noexcept {
  open_joules += (supply * dt).in_base();
  open_seconds += in_seconds(dt);
  const double slot_seconds = in_seconds(slot);
  // A tick longer than slots fills them at its mean; more than a window is a window.
  for (std::size_t i = 0; i < kSlots && open_seconds >= slot_seconds; ++i) {
    const double part = open_joules * (slot_seconds / open_seconds);
    joules[next] = part;
    open_joules -= part;
    open_seconds -= slot_seconds;
    filled = std::min(filled + 1, kSlots);
    next = (next + 1) % kSlots;
  }
  if (open_seconds >= slot_seconds) {
    open_joules *= slot_seconds / open_seconds;
    open_seconds = slot_seconds;
  }
  sum_joules =
      std::accumulate(joules.begin(), joules.begin() + static_cast<std::ptrdiff_t>(filled), 0.0);
  const double time = slot_seconds * static_cast<double>(filled) + open_seconds;
  return time > 0 ? watts((sum_joules + open_joules) / time) : supply;
}

void BreachLadder::run_curve(Breach& breach, const topology::TripCurve& curve, Watts limit,
                             Seconds dt) const noexcept {
  if (!topology::passes(breach.supply, limit)) {
    breach.trip_share = std::max(0.0, breach.trip_share - dt / rules_.recovery);
    return;
  }
  if (const auto stands = curve.time_to_trip(breach.supply / limit)) {
    const double step = *stands <= dt ? 1 : dt / *stands;
    breach.trip_share = std::min(1.0, breach.trip_share + step);
  }
}

std::optional<Seconds> BreachLadder::time_left(const Breach& breach, const topology::Limit& limit,
                                               double rise) const noexcept {
  const Watts supply = breach.supply * (1 + rise);
  std::optional<Seconds> left;
  if (limit.curve) {
    if (const auto stands = limit.curve->time_to_trip(supply / limit.power)) {
      left = *stands * (1 - breach.trip_share);
    }
  }
  if (breach.is_window_known && supply > Watts{}) {
    const Watts room = std::max(Watts{}, limit.power - breach.mean);
    const Seconds full = limit.window * (room / supply);
    left = left ? std::min(*left, full) : full;
  }
  return left;
}

BreachStep BreachLadder::required(const Breach& breach, const Timing& timing,
                                  const topology::Limit& limit, Instant now) const noexcept {
  const bool is_beyond = breach.supply > limit.power * (1 + rules_.tolerance_ratio);
  auto step = breach.step;
  const auto may_follow = [&](BreachStep taken) {
    return taken == BreachStep::none ||
           (taken == breach.step && now - timing.stepped_at >= rules_.times.of(taken));
  };
  if (step == BreachStep::none && is_beyond && timing.was_beyond) {
    step = BreachStep::throttle;
  }
  if (const auto left = time_left(breach, limit, rules_.rise_ratio)) {
    for (auto next = step_after(step, timing.can_trip);
         next != step && *left <= need(next) && (timing.can_trip || may_follow(step));
         next = step_after(step, timing.can_trip)) {
      step = next;
    }
    return step;
  }
  if (step != BreachStep::none && is_beyond && may_follow(step)) {
    step = step_after(step, timing.can_trip);
  }
  return step;
}

void BreachLadder::release(Breach& breach, Timing& timing, Watts limit,
                           Instant now) const noexcept {
  const Watts low = limit * (1 - rules_.release_ratio);
  const bool is_below = std::max(breach.supply, breach.mean) < low;
  if (!is_below || !timing.is_below) {
    timing.below_since = now;
  }
  timing.is_below = is_below;
  if (is_below && breach.step != BreachStep::none &&
      now - timing.below_since >= rules_.release_after) {
    do {
      breach.step = static_cast<BreachStep>(static_cast<int>(breach.step) - 1);
    } while (!timing.can_trip && touches_all(breach.step));
    timing.below_since = now;
  }
}

void BreachLadder::judge(std::size_t i, Watts supply, Seconds dt, Instant now) noexcept {
  auto& breach = states_[i];
  auto& timing = timings_[i];
  const auto& limit = tree_->node(breach.node).limits[breach.limit];
  const bool has_window = limit.window > Seconds{};
  const bool was_over = breach.is_over;
  breach.supply = supply;
  breach.mean = has_window ? windows_[timing.window].mean_with(supply, dt) : supply;
  breach.is_window_known = has_window && windows_[timing.window].filled == kSlots;
  breach.is_over =
      topology::passes(supply, limit.power) || topology::passes(breach.mean, limit.power);
  if (limit.curve) {
    run_curve(breach, *limit.curve, limit.power, dt);
  }
  breach.left.reset();
  breach.is_too_late = false;
  if (breach.is_over) {
    breach.since = was_over ? breach.since : now;
  }
  if (topology::passes(supply, limit.power)) {  // a mean alone falls by itself
    const auto step = required(breach, timing, limit, now);
    if (step != breach.step) {
      breach.step = step;
      timing.stepped_at = now;
    }
    breach.left = time_left(breach, limit, 0);
    breach.is_too_late =
        timing.can_trip && breach.left && *breach.left < rules_.times.of(BreachStep::shut);
  }
  timing.was_beyond = supply > limit.power * (1 + rules_.tolerance_ratio);
  release(breach, timing, limit.power, now);
}

std::span<const Breach> BreachLadder::tick(const SupplyEstimate& supplies, Instant now) noexcept {
  const Seconds dt = last_tick_ ? now - *last_tick_ : Seconds{};
  last_tick_ = now;
  breached_.clear();
  std::fill(steps_.begin(), steps_.end(), BreachStep::none);
  for (std::size_t i = 0; i < states_.size(); ++i) {
    auto& breach = states_[i];
    judge(i, supplies.bounded_by(tree_->node(breach.node).limits[breach.limit], breach.node), dt,
          now);
    if (breach.is_over || breach.step != BreachStep::none) {
      breached_.push_back(breach);
      auto& step = steps_[breach.node.value];
      step = std::max(step, breach.step);
    }
  }
  return breached_;
}

}  // namespace perwatt::control
