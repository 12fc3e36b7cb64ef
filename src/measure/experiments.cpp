#include "perwatt/measure/experiments.hpp"

#include <cmath>

#include "perwatt/measure/intervals.hpp"
#include "perwatt/measure/load_results.hpp"

namespace perwatt::measure {

namespace {

std::optional<JoulesPerToken> energy_of(const Measurement& m) {
  if (!m.valid || !m.power_valid || m.energy.empty() || !m.energy.front().joules_per_output_token ||
      m.energy.front().joules_per_output_token->value <= 0) {
    return std::nullopt;
  }
  return joules_per_token(m.energy.front().joules_per_output_token->value);
}

std::optional<Failure> failure_of(const Measurement& m) {
  if (m.end == RunEnd::complete || m.end == RunEnd::output_failed) {
    return std::nullopt;
  }
  return Failure{m.reasons.empty() ? "the run did not end as planned" : m.reasons.front()};
}

/// Input and output lengths of one run, as shares of the spec's.
struct Lengths {
  double input_ratio;
  double output_ratio;
};

SplitRun split_run_of(const RunResult& result, int concurrency) {
  const auto& m = result.measurement;
  const auto& account = m.energy.front().account;
  const double accuracy = account.accuracy_half_width.in_base();
  const double all = account.half_width.in_base();
  SplitRun run;
  run.energy = *account.energy;
  run.half_width = Joules::from_base(std::sqrt(std::max(0.0, all * all - accuracy * accuracy)));
  run.length = m.window;
  run.input_tokens = m.tokens.input;
  run.output_tokens = m.tokens.output;
  run.concurrency = concurrency;
  return run;
}

/// The idle power at the runs' boundary.
std::optional<SplitBaseline> split_baseline(const Session& session,
                                            const std::optional<Boundary>& boundary) {
  for (const auto& idle : session.idle()) {
    if (boundary && idle.boundary == *boundary) {
      const double accuracy = in_watts(idle.accuracy_half_width);
      const double all = in_watts(idle.half_width);
      return SplitBaseline{idle.mean,
                           watts(std::sqrt(std::max(0.0, all * all - accuracy * accuracy)))};
    }
  }
  return std::nullopt;
}

}  // namespace

Trial trial_of(const RunResult& result) {
  const auto& m = result.measurement;
  Trial trial;
  trial.valid = m.valid;
  trial.attainment_ratio = m.good_request_ratio;
  trial.output_rate = m.output_rate;
  trial.goodput = m.goodput;
  trial.energy = energy_of(m);
  std::vector<double> met;
  for (const auto& record : result.load.records) {
    const auto& window = result.load.window;
    if (record.intended >= window.begin && record.intended < window.end) {
      met.push_back(is_good(record, m.slo) ? 1.0 : 0.0);
    }
  }
  trial.effective_requests = effective_count(met);
  return trial;
}

LoadLevel level_of(Load load, const TrialRequest& request) {
  LoadLevel level;
  if (load == Load::concurrency) {
    level.concurrency = static_cast<std::size_t>(std::llround(request.load));
  } else {
    level.request_rate_per_second = request.load;
  }
  level.power_cap = request.power_cap;
  return level;
}

MakeRun runs_of(Session& session, Load load, const RunWatch& watch) {
  return [&session, load, watch](const TrialRequest& request) -> Result<Trial> {
    auto result = session.run(level_of(load, request), watch.progress);
    watch.take(result);
    if (auto failure = failure_of(result.measurement)) {
      return *failure;
    }
    return trial_of(result);
  };
}

PhaseSplit measure_phases(Session& session, double short_ratio, int repeats,
                          const RunWatch& watch) {
  const auto& spec = session.spec();
  const auto& synthetic = spec.workload.synthetic;
  const Lengths designs[] = {
      {1, 1}, {short_ratio, 1}, {1, short_ratio}, {short_ratio, short_ratio}};
  std::vector<SplitRun> runs;
  double accuracy_ratio = 0.0;
  std::optional<Boundary> boundary;  // of the first usable run; the others must share it
  for (int repeat = 0; repeat < repeats; ++repeat) {
    for (const auto& lengths : designs) {
      LoadLevel level;
      const auto share = [](double ratio, std::int64_t length) {
        return std::max<std::int64_t>(1, std::llround(ratio * static_cast<double>(length)));
      };
      level.input_tokens = share(lengths.input_ratio, synthetic.input.mean);
      level.output_tokens = share(lengths.output_ratio, synthetic.output->mean);
      auto result = session.run(level, watch.progress);
      watch.take(result);
      const auto& m = result.measurement;
      const bool is_usable = energy_of(m) && m.tokens.input_known &&
                             (!boundary || *boundary == m.energy.front().account.boundary);
      if (is_usable) {
        boundary = m.energy.front().account.boundary;
        runs.push_back(split_run_of(result, static_cast<int>(spec.concurrency.value_or(1))));
        const auto& account = result.measurement.energy.front().account;
        accuracy_ratio = account.accuracy_half_width / *account.energy;
      }
      if (failure_of(result.measurement)) {
        return phase_split(runs, split_baseline(session, boundary), accuracy_ratio);
      }
    }
  }
  return phase_split(runs, split_baseline(session, boundary), accuracy_ratio);
}

PairedResult compare_live(Session& a, Session& b, const PairPlan& plan,
                          const std::function<void(double)>& progress,
                          const std::function<void(Side, RunResult&)>& take,
                          const std::function<void(const Comparison&)>& look) {
  PairedResult outcome;
  PairedComparison comparison{plan.rules};
  PairOrder order{plan.seed};
  for (int pair = 0; pair < plan.most_pairs; ++pair) {
    const Side first = order.next_first();
    std::optional<JoulesPerToken> energy_a;
    std::optional<JoulesPerToken> energy_b;
    std::optional<Boundary> boundary_a;
    std::optional<Boundary> boundary_b;
    for (const Side side : {first, first == Side::a ? Side::b : Side::a}) {
      auto result = (side == Side::a ? a : b).run({}, progress);
      take(side, result);
      (side == Side::a ? energy_a : energy_b) = energy_of(result.measurement);
      if (!result.measurement.energy.empty()) {
        (side == Side::a ? boundary_a : boundary_b) =
            result.measurement.energy.front().account.boundary;
      }
      if (const auto failure = failure_of(result.measurement)) {
        outcome.failure = failure->reason;
        return outcome;
      }
    }
    if (!energy_a || !energy_b) {
      ++outcome.pairs_left_out;
      continue;
    }
    if (boundary_a != boundary_b) {
      outcome.failure =
          "A and B are metered at different boundaries: give both the same kind of --power";
      return outcome;
    }
    comparison.add({*energy_a, *energy_b});
    outcome.comparison = comparison.result();
    look(*outcome.comparison);
    if (outcome.comparison->runs_a >= plan.fewest_pairs &&
        outcome.comparison->verdict != Verdict::not_shown) {
      break;
    }
  }
  return outcome;
}

}  // namespace perwatt::measure
