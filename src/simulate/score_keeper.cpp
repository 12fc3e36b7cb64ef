#include "score_keeper.hpp"

#include <algorithm>

#include "perwatt/allocate/site_problem.hpp"

namespace perwatt::simulate {

namespace {

constexpr std::int64_t kParts = 300;     // of the timeline
constexpr double kSplitRounding = 1e-9;  // of a limit: less is the split's

Joules gpu_energy(const Plant& plant) {
  Joules sum;
  for (std::size_t k = 0; k < plant.spec().kinds.size(); ++k) {
    sum += plant.energy_of_kind(k);
  }
  return sum;
}

TokensPerSecond rate(std::int64_t tokens_done, Seconds time) {
  return tokens(static_cast<double>(tokens_done)) / time;
}

/// (sum x)^2 / (n sum x^2): 1 where all are alike (Jain, Chiu, Hawe, DEC-TR-301, 1984).
double fairness(const std::vector<double>& values) {
  double sum = 0;
  double squares = 0;
  for (const double value : values) {
    sum += value;
    squares += value * value;
  }
  return squares > 0 ? sum * sum / (static_cast<double>(values.size()) * squares) : 1;
}

}  // namespace

Usd earned(const ServiceWork& service) {
  const auto& record = service.record();
  const auto& plan = service.plan();
  const auto good = static_cast<double>(record.good_tokens);
  const auto all = static_cast<double>(std::max<std::int64_t>(1, record.completed_tokens));
  // The input of good requests, at the mean of the requests that ended.
  return tokens(good) * plan.usd_per_output_token +
         plan.lengths.input.mean() * static_cast<double>(record.completed_requests) * (good / all) *
             plan.usd_per_input_token;
}

Usd earned(const TrainingWork& training) {
  const auto& record = training.record();
  const auto& plan = training.plan();
  const double kept = std::max(0.0, record.iterations - record.lost_iterations);
  return plan.usd_per_gpu_second * static_cast<double>(plan.gpus.size()) * (plan.step * kept);
}

ScoreKeeper::ScoreKeeper(const Scenario& scenario, const PolicyPlan& policy, const Plant& plant,
                         std::int64_t steps)
    : scenario_{scenario},
      policy_{policy},
      plant_{plant},
      steps_{steps},
      part_steps_{std::max<std::int64_t>(1, (steps + kParts - 1) / kParts)},
      step_{scenario.plant.step()},
      limits_{allocate::site_limits(scenario.tree)},
      limit_{scenario.tree.nodes()[0].steady_limit()} {
  timeline_.part = step_ * static_cast<double>(part_steps_);
}

void ScoreKeeper::start(std::int64_t cap_writes) {
  writes_before_ = cap_writes;
  energy_before_ = plant_.energy_of_node({0});
  gpu_energy_before_ = gpu_energy(plant_);
}

double ScoreKeeper::wanted_at_root(std::span<const Watts> demands) const {
  double sum = in_watts(limits_.units.fixed_supply[0]);
  for (std::size_t d = 0; d < demands.size(); ++d) {
    sum += in_watts(demands[d]) * limits_.units.device_factor[d];
  }
  return sum;
}

void ScoreKeeper::add_step(std::int64_t step, std::span<const Watts> demands,
                           const TokenCounts& tokens_now) {
  const double supply = plant_.supply_watts()[0];
  part_.supply_watts += supply;
  part_.highest_watts = std::max(part_.highest_watts, supply);
  part_.wanted_watts += wanted_at_root(demands);
  ++part_.steps;
  if (part_.steps == part_steps_ || step + 1 == steps_) {
    end_part(demands, tokens_now);
  }
}

void ScoreKeeper::end_part(std::span<const Watts> demands, const TokenCounts& tokens_now) {
  const auto steps = static_cast<double>(part_.steps);
  const Seconds time = step_ * steps;
  timeline_.supply.push_back(watts(part_.supply_watts / steps));
  timeline_.highest.push_back(watts(part_.highest_watts));
  timeline_.wanted.push_back(watts(part_.wanted_watts / steps));
  timeline_.output.push_back(rate(tokens_now.output - part_.tokens.output, time));
  timeline_.good.push_back(rate(tokens_now.good - part_.tokens.good, time));
  part_ = {};
  part_.tokens = tokens_now;
  if (limit_) {
    sample_stranded(demands);
  }
}

/// What the site could draw now at most, with and without the limits below the root.
void ScoreKeeper::sample_stranded(std::span<const Watts> demands) {
  const double limit = in_watts(*limit_);
  const double fixed = in_watts(limits_.units.fixed_supply[0]);
  const double within_root = std::min(limit, wanted_at_root(demands));
  std::vector<allocate::CurvePoint> curve;
  const auto curve_of = [&](std::size_t d) -> const std::vector<allocate::CurvePoint>& {
    const Watts wanted = demands[d] * limits_.units.device_factor[d];
    curve.assign(1, {Watts{}, 0});
    if (wanted > Watts{}) {
      curve.push_back({wanted, in_watts(wanted)});
    }
    return curve;
  };
  if (!reach_) {
    reach_.emplace(allocate::site_problem(scenario_.tree, limits_, 1, curve_of));
  } else {
    for (std::uint32_t d = 0; d < demands.size(); ++d) {
      reach_->set_curve(allocate::DeviceIndex{d}, curve_of(d));
    }
  }
  const double reachable = std::min(within_root, fixed + reach_->solve().value);
  idle_watts_ += limit - within_root;
  child_watts_ += within_root - reachable > kSplitRounding * limit ? within_root - reachable : 0;
  ++samples_;
}

void ScoreKeeper::add_services(PolicyResult& result,
                               const std::vector<std::unique_ptr<ServiceWork>>& services) const {
  const Seconds time = step_ * static_cast<double>(steps_);
  for (const auto& service : services) {
    const auto& record = service->record();
    const auto& plan = service->plan();
    result.services.push_back(
        {plan.id, record, service->energy(), service->mean_speed(), service->unfinished()});
    result.record.merge(record);
    result.revenue += earned(*service) / time;
    if (record.total_tokens() > 0) {
      result.lost_energy +=
          service->energy() *
          (static_cast<double>(record.lost_input_tokens + record.lost_output_tokens) /
           static_cast<double>(record.total_tokens()));
    }
  }
  result.input = rate(result.record.input_tokens, time);
  result.output = rate(result.record.output_tokens, time);
  result.good = rate(result.record.good_tokens, time);
}

void ScoreKeeper::add_trainings(PolicyResult& result,
                                const std::vector<std::unique_ptr<TrainingWork>>& trainings) const {
  const Seconds time = step_ * static_cast<double>(steps_);
  for (const auto& training : trainings) {
    const auto& record = training->record();
    const auto& plan = training->plan();
    const double kept =
        std::max(0.0, record.iterations - record.lost_iterations) / in_seconds(time);
    result.trainings.push_back({plan.id, kept, record.lost_iterations, record.energy,
                                record.lost_energy, record.overhead_energy,
                                training->mean_speed()});
    result.revenue += earned(*training) / time;
    result.lost_energy += record.lost_energy + record.overhead_energy;
  }
}

PolicyResult ScoreKeeper::result(const std::vector<std::unique_ptr<ServiceWork>>& services,
                                 const std::vector<std::unique_ptr<TrainingWork>>& trainings,
                                 std::int64_t cap_writes) const {
  const Seconds time = step_ * static_cast<double>(steps_);
  PolicyResult result;
  result.policy = policy_.name;
  result.kind = policy_.kind;
  result.violations = plant_.violations();
  result.limit = limit_;
  result.energy = plant_.energy_of_node({0}) - energy_before_;
  result.mean_supply = result.energy / time;
  result.mean_gpu = (gpu_energy(plant_) - gpu_energy_before_) / time;
  result.energy_cost = (result.energy * scenario_.electricity) / time;
  if (limit_ && samples_ > 0) {
    const auto samples = static_cast<double>(samples_);
    // Draw lags demand: what would be a negative reserve is demand that was still drawn for.
    const Watts free = *limit_ - result.mean_supply;
    const Watts child = watts(child_watts_ / samples);
    const Watts reserve = std::max(Watts{}, free - child - watts(idle_watts_ / samples));
    result.stranded = {free - child - reserve, child, reserve};
  }
  add_services(result, services);
  add_trainings(result, trainings);
  std::vector<double> speeds;
  for (const auto& service : result.services) {
    speeds.push_back(service.mean_speed_ratio);
  }
  for (const auto& training : result.trainings) {
    speeds.push_back(training.mean_speed_ratio);
  }
  result.fairness_ratio = fairness(speeds);
  result.cap_writes_per_device_hour = static_cast<double>(cap_writes - writes_before_) /
                                      static_cast<double>(scenario_.tree.devices().size()) /
                                      (in_seconds(time) / kSecondsPerHour);
  result.timeline = timeline_;
  return result;
}

}  // namespace perwatt::simulate
