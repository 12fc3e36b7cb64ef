#include "perwatt/report/simulation_score.hpp"

#include "perwatt/measure/intervals.hpp"

namespace perwatt::report {

namespace {

std::optional<Score> score_from(const std::vector<double>& values) {
  const auto interval = measure::mean_interval(values);
  if (!interval) {
    return std::nullopt;
  }
  return Score{interval->value,
               interval->high ? std::optional{*interval->high - interval->value} : std::nullopt};
}

std::optional<double> in_seconds_or_none(const std::optional<Seconds>& time) {
  return time ? std::optional{in_seconds(*time)} : std::nullopt;
}

std::optional<double> per_megawatt(TokensPerSecond rate, Watts supply) {
  return supply > Watts{} ? std::optional{in_tokens_per_second(rate) / in_megawatts(supply)}
                          : std::nullopt;
}

const simulate::PolicyRuns* first_of(const std::vector<simulate::PolicyRuns>& runs,
                                     simulate::PolicyKind kind) {
  for (const auto& policy : runs) {
    if (policy.front().kind == kind) {
      return &policy;
    }
  }
  return nullptr;
}

}  // namespace

std::optional<Score> score_of(const simulate::PolicyRuns& runs, const ScoreOf& of) {
  std::vector<double> values;
  for (const auto& run : runs) {
    const auto value = of(run);
    if (!value) {
      return std::nullopt;
    }
    values.push_back(*value);
  }
  return score_from(values);
}

simulate::Violations all_violations(const simulate::PolicyRuns& runs) {
  simulate::Violations sum;
  for (const auto& run : runs) {
    sum += run.violations;
  }
  return sum;
}

std::optional<Score> gap_to(const simulate::PolicyRuns& runs, const simulate::PolicyRuns& bound) {
  std::vector<double> gaps;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (bound[i].good <= TokensPerSecond{}) {
      return std::nullopt;
    }
    gaps.push_back(1 - runs[i].good / bound[i].good);
  }
  return score_from(gaps);
}

std::optional<Score> gain_over(const simulate::PolicyRuns& runs, const simulate::PolicyRuns& base,
                               const ScoreOf& of) {
  std::vector<double> gains;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto value = of(runs[i]);
    const auto before = of(base[i]);
    if (!value || !before || *before <= 0) {
      return std::nullopt;
    }
    gains.push_back(*value / *before - 1);
  }
  return score_from(gains);
}

std::optional<double> ttft_seconds(const simulate::PolicyResult& run, double share) {
  return in_seconds_or_none(run.record.ttft.quantile(share));
}

std::optional<double> tpot_seconds(const simulate::PolicyResult& run, double share) {
  return in_seconds_or_none(run.record.tpot.quantile(share));
}

std::optional<double> use_ratio(const simulate::PolicyResult& run) {
  return run.limit ? std::optional{run.mean_supply / *run.limit} : std::nullopt;
}

std::optional<double> output_per_megawatt(const simulate::PolicyResult& run) {
  return per_megawatt(run.output, run.mean_supply);
}

std::optional<double> good_per_megawatt(const simulate::PolicyResult& run) {
  return per_megawatt(run.good, run.mean_supply);
}

std::vector<simulate::ServiceResult> services_of(const simulate::PolicyRuns& runs) {
  auto services = runs.front().services;
  const auto count = static_cast<double>(runs.size());
  for (std::size_t i = 0; i < services.size(); ++i) {
    auto& service = services[i];
    for (std::size_t r = 1; r < runs.size(); ++r) {
      const auto& other = runs[r].services[i];
      service.record.merge(other.record);
      service.energy += other.energy;
      service.mean_speed_ratio += other.mean_speed_ratio;
      service.unfinished_requests += other.unfinished_requests;
    }
    service.energy = service.energy / count;
    service.mean_speed_ratio /= count;
  }
  return services;
}

std::vector<simulate::TrainingResult> trainings_of(const simulate::PolicyRuns& runs) {
  auto trainings = runs.front().trainings;
  const auto count = static_cast<double>(runs.size());
  for (std::size_t i = 0; i < trainings.size(); ++i) {
    auto& job = trainings[i];
    for (std::size_t r = 1; r < runs.size(); ++r) {
      const auto& other = runs[r].trainings[i];
      job.iterations_per_second += other.iterations_per_second;
      job.lost_iterations += other.lost_iterations;
      job.energy += other.energy;
      job.lost_energy += other.lost_energy;
      job.overhead_energy += other.overhead_energy;
      job.mean_speed_ratio += other.mean_speed_ratio;
    }
    job.iterations_per_second /= count;
    job.lost_iterations /= count;
    job.energy = job.energy / count;
    job.lost_energy = job.lost_energy / count;
    job.overhead_energy = job.overhead_energy / count;
    job.mean_speed_ratio /= count;
  }
  return trainings;
}

const simulate::PolicyRuns* clairvoyant_of(const std::vector<simulate::PolicyRuns>& runs) {
  return first_of(runs, simulate::PolicyKind::clairvoyant);
}

const simulate::PolicyRuns* fixed_of(const std::vector<simulate::PolicyRuns>& runs) {
  return first_of(runs, simulate::PolicyKind::fixed);
}

}  // namespace perwatt::report
