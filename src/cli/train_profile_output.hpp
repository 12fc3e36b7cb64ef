// What 'perwatt train profile' found, as text and as JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "perwatt/measure/energy.hpp"
#include "perwatt/training/trace_analysis.hpp"
#include "perwatt/training/trace_profile.hpp"

namespace perwatt::cli {

/// Energy and money of a trained token.
struct TokenCost {
  Tokens per_iteration;
  double rank_scale = 1.0;  // ranks of the job per traced rank
  std::optional<UsdPerJoule> price;
  std::optional<double> facility_factor;  // joules at the meter per joule at the GPU boards
};

struct TraceReport {
  training::JobTimeline job;
  training::TracedSchedule schedule;
  std::vector<training::RankBreakdown> breakdown;  // by rank
  std::size_t path_iteration = 0;                  // of median length
  std::optional<training::SchedulePath> schedule_path;
  std::vector<training::PathPiece> kernel_path;
  std::vector<training::InstructionFigures> figures;
  std::vector<std::vector<std::string>> phase_names;  // by rank
  /// By rank and phase; empty where it is not known.
  std::vector<std::vector<std::optional<training::PhasePower>>> powers;
  std::vector<std::string> notes;  // why it is not known
  std::optional<measure::BoundaryEnergy> energy;
  std::optional<TokenCost> tokens;
  std::optional<int> frequency_mhz;
  std::string profile;  // path written, or empty

  [[nodiscard]] Seconds mean_iteration() const;

  /// Mean power of waiting over the ranks where it is known.
  [[nodiscard]] std::optional<Watts> blocking_power() const;

  /// Mean gap of hand-overs between stages on the schedule path.
  [[nodiscard]] std::optional<Seconds> transfer() const;

  /// Energy of all GPUs of the job for a token.
  [[nodiscard]] std::optional<JoulesPerToken> energy_per_token() const;
  [[nodiscard]] std::optional<UsdPerToken> price_per_token() const;
};

void print_trace_report(const TraceReport& report);
[[nodiscard]] std::string trace_report_json(const TraceReport& report);

}  // namespace perwatt::cli
