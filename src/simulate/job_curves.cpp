#include "job_curves.hpp"

#include <algorithm>
#include <functional>
#include <optional>

#include "perwatt/curve/power_curve.hpp"

namespace perwatt::simulate {

namespace {

constexpr int kCurveSteps = 12;

using SpeedOf = std::function<double(Watts)>;

/// What a request takes of an instance at full load.
struct PhaseSeconds {
  double prefill = 0;
  double decode = 0;
};

PhaseSeconds phase_seconds(const ServicePlan& service, Pool which) {
  const auto& model = service.setup.pool(which).model;
  const double batch = model.most_sequences;
  PhaseSeconds phases;
  if (which != Pool::decode) {
    phases.prefill = in_seconds(service.lengths.input.mean() / model.prefill_rate);
  }
  if (which != Pool::prefill) {
    phases.decode = in_seconds(model.step_base + model.step_per_sequence * batch) *
                    (in_tokens(service.lengths.output.mean()) - 1) / batch;
  }
  return phases;
}

double requests_per_second(const ServicePlan& service, Pool which) {
  const auto [prefill, decode] = phase_seconds(service, which);
  const double busy = prefill + decode;
  return busy > 0 ? service.setup.pool(which).instances / busy : 0;
}

/// Requests/s over the day; nothing where clients or a trace say.
std::optional<double> offered_per_second(const Arrivals& arrivals) {
  if (const auto* steady = std::get_if<SteadyArrivals>(&arrivals)) {
    return steady->rate_per_second;
  }
  if (const auto* daily = std::get_if<DailyArrivals>(&arrivals)) {
    double most = 0;
    for (const auto& point : daily->rate.points) {
      most = std::max(most, point.rate_per_second);
    }
    return most;
  }
  return std::nullopt;
}

/// At full speed and the load it is offered, the highest of a day: more speed than that earns
/// nothing.
UsdPerSecond revenue(const ServicePlan& service) {
  double rate = 0;
  for (const Pool pool : {Pool::aggregated, Pool::prefill, Pool::decode}) {
    if (service.setup.has(pool)) {
      const double own = requests_per_second(service, pool);
      rate = rate == 0 ? own : own == 0 ? rate : std::min(rate, own);
    }
  }
  rate = std::min(rate, offered_per_second(service.arrivals).value_or(rate));
  const Usd request = service.lengths.input.mean() * service.usd_per_input_token +
                      service.lengths.output.mean() * service.usd_per_output_token;
  return UsdPerSecond::from_base(in_usd(request) * rate);
}

/// Of a pool at full load: both phases take the shares of time they need.
SpeedOf pool_speed(const ServicePlan& service, Pool which) {
  const auto& model = service.setup.pool(which).model;
  const auto& law = service.laws[static_cast<std::size_t>(which)];
  const double batch = model.most_sequences;
  const PhaseSeconds phases = phase_seconds(service, which);
  const auto power = model.power;
  return [=](Watts cap) {
    const double fast = speed_at(cap, power.prefill, power.idle, law.prefill_exponent);
    const double slow = speed_at(cap, power.decode(batch), power.idle, law.decode_exponent);
    const double whole = phases.prefill + phases.decode;
    return whole > 0 ? whole / (phases.prefill / fast + phases.decode / slow) : 1;
  };
}

DeviceValue device_value(const topology::Device& device, UsdPerSecond worth, const SpeedOf& speed,
                         const JobTerms& terms) {
  using Point = curve::CurvePoint<UsdPerSecond>;
  std::vector<Point> points;
  for (int i = 0; i <= kCurveSteps; ++i) {
    const Watts cap = device.min + (device.max - device.min) * (i / double{kCurveSteps});
    points.push_back({cap, worth * speed(cap)});
  }
  const auto hull = curve::PowerCurve<UsdPerSecond>::hull_of(points);
  DeviceValue value;
  value.has_job = true;
  value.priority = terms.priority;
  value.tier = terms.tier;
  value.clock_ratio = 1 - terms.tolerated_loss_ratio;
  for (const auto& [power, usd] : hull.points()) {
    value.curve.push_back({power, usd.in_base()});
  }
  if (value.curve.back().power < device.max) {
    value.curve.push_back({device.max, value.curve.back().value});
  }
  return value;
}

}  // namespace

std::vector<DeviceValue> device_values(const Scenario& scenario) {
  std::vector<DeviceValue> values;
  const auto devices = scenario.tree.devices();
  for (const auto& device : devices) {
    values.push_back({{{device.min, 0}}, false, 1, 0});
    if (device.max > device.min) {
      values.back().curve.push_back({device.max, 0});
    }
  }
  for (const auto& service : scenario.services) {
    const UsdPerSecond earns = revenue(service);
    for (const Pool pool : {Pool::aggregated, Pool::prefill, Pool::decode}) {
      const auto& gpus = service.gpus[static_cast<std::size_t>(pool)];
      if (gpus.empty()) {
        continue;
      }
      const auto worth = earns * (1 / static_cast<double>(gpus.size()));
      const auto speed = pool_speed(service, pool);
      for (const auto d : gpus) {
        values[d.value] = device_value(devices[d.value], worth, speed,
                                       service.pool_terms[static_cast<std::size_t>(pool)]);
      }
    }
  }
  for (const auto& training : scenario.trainings) {
    const double rest = training.communication_ratio;
    const SpeedOf speed = [&](Watts cap) {
      const double fast =
          speed_at(cap, training.compute, training.idle, training.law.prefill_exponent);
      return 1 / (rest + (1 - rest) / fast);
    };
    for (const auto d : training.gpus) {
      values[d.value] =
          device_value(devices[d.value], training.usd_per_gpu_second, speed, training.terms);
    }
  }
  return values;
}

}  // namespace perwatt::simulate
