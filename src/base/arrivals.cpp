#include "perwatt/base/arrivals.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "perwatt/base/error.hpp"
#include "perwatt/base/random.hpp"

namespace perwatt {

namespace {

bool positive(double value) {
  return std::isfinite(value) && value > 0;
}

void check_ramp(const ArrivalPlan& plan) {
  if (!plan.ramp) {
    return;
  }
  const RateRamp& ramp = *plan.ramp;
  if (plan.pattern == ArrivalPattern::closed_loop) {
    throw_bad_input("a rate ramp without a rate", "", "ramp the concurrency, or give a rate");
  }
  if (!positive(in_seconds(ramp.duration))) {
    throw_bad_input("the rate ramp lasts " + std::to_string(in_seconds(ramp.duration)) + " s", "",
                    "give a duration above 0");
  }
  const double initial = ramp.initial_rate_per_second;
  if (!std::isfinite(initial) || initial < 0) {
    throw_bad_input("the rate ramp starts at " + std::to_string(initial) + " requests/s", "",
                    "give a rate of 0 or more");
  }
  if (ramp.shape == RateRamp::Shape::exponential && initial == 0) {
    throw_bad_input("an exponential rate ramp starts at 0 requests/s", "",
                    "start it above 0, or take a linear ramp");
  }
}

void check(const ArrivalPlan& plan) {
  const bool scheduled = plan.pattern != ArrivalPattern::closed_loop;
  if (scheduled && !positive(plan.rate_per_second)) {
    throw_bad_input("the request rate is " + std::to_string(plan.rate_per_second) + "/s", "",
                    "give a rate above 0");
  }
  if (plan.pattern == ArrivalPattern::gamma && !(plan.burstiness > 0)) {
    throw_bad_input("the burstiness is " + std::to_string(plan.burstiness), "",
                    "give a value above 0: 1 is Poisson, below 1 burstier, above 1 more regular");
  }
  if (plan.pattern == ArrivalPattern::bursts && plan.burst_size < 1) {
    throw_bad_input("bursts of " + std::to_string(plan.burst_size) + " requests", "",
                    "give a size of 1 or more");
  }
  if (!plan.count && !plan.duration) {
    throw_bad_input("a load without an end", "", "give a number of requests or a duration");
  }
  if (plan.count && *plan.count < 0) {
    throw_bad_input("a load of " + std::to_string(*plan.count) + " requests", "",
                    "give 0 requests or more");
  }
  if (plan.duration && !(in_seconds(*plan.duration) >= 0)) {
    throw_bad_input("a load of " + std::to_string(in_seconds(*plan.duration)) + " s", "",
                    "give a duration of 0 s or more");
  }
  check_ramp(plan);
}

double gap(const ArrivalPlan& plan, std::mt19937_64& generator) {
  if (plan.pattern == ArrivalPattern::constant || std::isinf(plan.burstiness)) {
    return 1;
  }
  if (plan.pattern == ArrivalPattern::poisson || plan.burstiness == 1) {
    return unit_exponential(generator);
  }
  return standard_gamma(generator, plan.burstiness) / plan.burstiness;
}

}  // namespace

std::string_view to_string(ArrivalPattern pattern) {
  switch (pattern) {
    case ArrivalPattern::constant:
      return "constant";
    case ArrivalPattern::poisson:
      return "poisson";
    case ArrivalPattern::gamma:
      return "gamma";
    case ArrivalPattern::bursts:
      return "bursts";
    case ArrivalPattern::closed_loop:
      break;
  }
  return "closed loop";
}

ArrivalProcess::ArrivalProcess(const ArrivalPlan& plan) : plan_{plan}, generator_{plan.seed} {
  check(plan_);
}

std::optional<Arrival> ArrivalProcess::next() {
  if (plan_.count && made_ >= *plan_.count) {
    return std::nullopt;
  }
  if (plan_.pattern == ArrivalPattern::closed_loop) {
    ++made_;
    return Arrival{};
  }
  if (plan_.pattern == ArrivalPattern::bursts) {
    operational_ = static_cast<double>(made_ - made_ % plan_.burst_size);
  } else {
    operational_ += gap(plan_, generator_);
  }
  const Seconds offset = real_time(operational_);
  if (plan_.duration && offset >= *plan_.duration) {
    plan_.count = made_;
    return std::nullopt;
  }
  ++made_;
  return Arrival{offset};
}

double ArrivalProcess::expected_count(Seconds at) const {
  const double t = in_seconds(at);
  const double steady = plan_.rate_per_second;
  if (!plan_.ramp) {
    return steady * t;
  }
  const double length = in_seconds(plan_.ramp->duration);
  const double initial = plan_.ramp->initial_rate_per_second;
  const double inside = std::min(t, length);
  const double after = steady * (t - inside);
  if (plan_.ramp->shape == RateRamp::Shape::linear) {
    return (initial + (steady - initial) * inside / (2 * length)) * inside + after;
  }
  const double growth = std::log(steady / initial);
  if (growth == 0) {
    return steady * t;
  }
  return initial * length * std::expm1(growth * inside / length) / growth + after;
}

Seconds ArrivalProcess::real_time(double operational) const {
  const double steady = plan_.rate_per_second;
  if (!plan_.ramp) {
    return seconds(operational / steady);
  }
  const Seconds ramp_end = plan_.ramp->duration;
  const double in_ramp = expected_count(ramp_end);
  if (operational >= in_ramp) {
    return ramp_end + seconds((operational - in_ramp) / steady);
  }
  const double length = in_seconds(ramp_end);
  const double initial = plan_.ramp->initial_rate_per_second;
  if (plan_.ramp->shape == RateRamp::Shape::linear) {
    // The root of a t^2 / 2 + r0 t = u in the form that loses no digits for small a.
    const double slope = (steady - initial) / length;
    const double root = std::sqrt(std::max(0.0, initial * initial + 2 * slope * operational));
    return seconds(operational == 0 ? 0 : 2 * operational / (initial + root));
  }
  const double growth = std::log(steady / initial);
  if (growth == 0) {
    return seconds(operational / steady);
  }
  return seconds(length / growth * std::log1p(operational * growth / (initial * length)));
}

}  // namespace perwatt
