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
  /// Work behind the last operations, of every rank or of none.
  std::vector<training::InstructionFigures> closing;
  std::vector<std::vector<std::string>> phase_names;  // by rank
  /// By rank and phase; empty where it is not known.
  std::vector<std::vector<std::optional<training::PhasePower>>> powers;
  std::vector<std::string> notes;   // why it is not known
  std::vector<std::string> meters;  // by rank; empty without a power series
  std::optional<measure::BoundaryEnergy> energy;
  std::optional<TokenCost> tokens;
  std::optional<int> frequency_mhz;
  std::string profile;  // path written, or empty

  /// Power of waiting over the ranks where it is known.
  [[nodiscard]] std::optional<training::PhasePower> blocking_power() const;

  /// Mean gap of hand-overs between stages on the schedule path, from 0.
  [[nodiscard]] std::optional<Seconds> transfer() const;

  /// What the schedule path leaves to no operation, without the closing work of its last rank, from
  /// 0. REQUIRES: schedule_path.
  [[nodiscard]] Seconds tail() const;

  /// Energy of an iteration on the traced ranks as figures, closing work and blocking power give
  /// it.
  [[nodiscard]] std::optional<Joules> energy_of_profile() const;

  /// Energy of all GPUs of the job for a token. The half-width is that of the traced GPUs: it does
  /// not hold how much the others differ.
  struct PerToken {
    JoulesPerToken energy;
    JoulesPerToken half_width;
  };

  [[nodiscard]] std::optional<PerToken> energy_per_token() const;

  /// Dollars per joule of a GPU board.
  [[nodiscard]] std::optional<UsdPerJoule> price() const;
};

void print_trace_report(const TraceReport& report);
[[nodiscard]] std::string trace_report_json(const TraceReport& report);

}  // namespace perwatt::cli
