// The profile of a traced run: time and energy of each rank's instructions at one clock.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/training/rank_timeline.hpp"
#include "perwatt/training/trace_power.hpp"

namespace perwatt::training {

/// One instruction of one rank: means over all its traced operations.
struct InstructionFigures {
  std::size_t rank = 0;  // index into JobTimeline::ranks
  std::string instruction;
  std::size_t count = 0;  // in the traced iterations
  Seconds time;           // without waiting for transfers inside
  Seconds spread;         // standard deviation of single operations; 0 for one
  std::optional<Joules> energy;
  std::optional<Joules> half_width;  // 95 %
};

/// Power by phase of `phases` where it is known, else an empty list.
[[nodiscard]] std::vector<InstructionFigures> instruction_figures(
    const JobTimeline& job, std::size_t rank, const RankPhases& phases,
    std::span<const std::optional<PhasePower>> powers);

/// The work of a rank behind its last operation of each iteration (gradients, the optimizer), as
/// one instruction `optimizer` at the power of `other`. Nothing where an `optimizer` is annotated,
/// there is no such work, or its power is not known to kMostHalfWidthRatio.
[[nodiscard]] std::optional<InstructionFigures> closing_figures(
    const JobTimeline& job, std::size_t rank, const RankPhases& phases,
    std::span<const std::optional<PhasePower>> powers);

/// Energies of a profile must be known to this part of themselves.
inline constexpr double kMostHalfWidthRatio = 0.2;

/// The rows as a CSV file that read_profile() understands, with zeus's rank columns, behind those
/// of `earlier`, the text of such a file or empty. `name` stands for the file in messages. Throws
/// Error(bad_input) when the earlier one has other columns, other ranks, or the same rank,
/// instruction and frequency with other figures, and for figures without energy or with a
/// half-width above kMostHalfWidthRatio of it.
[[nodiscard]] std::string profile_csv(const JobTimeline& job,
                                      std::span<const InstructionFigures> figures,
                                      int frequency_mhz, std::string_view earlier,
                                      const std::string& name);

}  // namespace perwatt::training
