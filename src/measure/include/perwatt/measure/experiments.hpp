// Experiments of many runs against live endpoints: what search.hpp, comparison.hpp and
// phase_split.hpp decide, session.hpp carries out.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/base/result.hpp"
#include "perwatt/measure/comparison.hpp"
#include "perwatt/measure/phase_split.hpp"
#include "perwatt/measure/quality.hpp"
#include "perwatt/measure/search.hpp"
#include "perwatt/measure/session.hpp"

namespace perwatt::measure {

/// What the caller does beside an experiment's runs.
struct RunWatch {
  std::function<void(double)> progress;  // of the run under way, 0..1
  std::function<void(RunResult&)> take;  // each finished run, before the next one starts
};

/// What a search needs of a run: attainment of its SLO, rates, joules per output token at the
/// narrowest metered boundary.
[[nodiscard]] Trial trial_of(const RunResult& result);

/// A run at a load. The session's own seed goes on from run to run.
[[nodiscard]] LoadLevel level_of(Load load, const TrialRequest& request);

/// Makes the runs of a search: run, hand over, judge. A run that was interrupted or lost its server
/// is a Failure.
[[nodiscard]] MakeRun runs_of(Session& session, Load load, const RunWatch& watch);

/// Prefill and decode energy from four runs or more at one concurrency: input and output lengths of
/// the spec, each whole and at `short_ratio` of it, `repeats` times. REQUIRES: synthetic prompts
/// with an output length, closed loop.
[[nodiscard]] PhaseSplit measure_phases(Session& session, double short_ratio, int repeats,
                                        const RunWatch& watch);

struct PairPlan {
  ComparisonRules rules;
  int fewest_pairs = 3;
  int most_pairs = 30;
  std::uint64_t seed = 0;
};

struct PairedResult {
  std::optional<Comparison> comparison;  // absent when no pair was valid
  int pairs_left_out = 0;                // a run of the pair, or its power, was not valid
  std::optional<std::string> failure;    // why it ended early
};

/// Interleaved runs of two endpoints until a verdict, looked at after every pair.
[[nodiscard]] PairedResult compare_live(Session& a, Session& b, const PairPlan& plan,
                                        const std::function<void(double)>& progress,
                                        const std::function<void(Side, RunResult&)>& take,
                                        const std::function<void(const Comparison&)>& look);

// ---- quality ------------------------------------------------------------------------------------

/// Scores one answer: 1 when it is the expected text but for blanks around it, else 0.
[[nodiscard]] double exact_match(const RequestRecord& record);

/// Scores by a user's command, run once by the shell: it reads a JSON line {"prompt", "expected",
/// "text"} for each answer and prints a number for each, in order. Throws Error(peer_failed) when
/// it fails or prints something else.
[[nodiscard]] std::vector<double> score_by_command(std::span<const RequestRecord> records,
                                                   const std::string& command);

/// Mean score of each prompt of a fixed set over all its answers; what failed scores 0. Prompts
/// without an expected answer are left out. `command` empty: exact match.
[[nodiscard]] std::map<std::size_t, double> prompt_scores(std::span<const RequestRecord> records,
                                                          const std::string& command);

/// The prompts that both sides answered.
[[nodiscard]] QualityComparison compare_prompt_scores(const std::map<std::size_t, double>& a,
                                                      const std::map<std::size_t, double>& b,
                                                      const QualityRules& rules);

}  // namespace perwatt::measure
