#include "perwatt/training/trace_profile.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/training/profile.hpp"

namespace perwatt::training {

namespace {

const std::vector<std::string>& columns() {
  static const std::vector<std::string> kColumns = {"rank",      "dp_rank", "pp_rank",
                                                    "tp_rank",   "stage",   "instruction",
                                                    "frequency", "time",    "energy"};
  return kColumns;
}

/// Traces count nanoseconds; what lies below is noise of the sums.
std::string rounded(double value, double per_unit) {
  return shortest(std::round(value * per_unit) / per_unit);
}

/// Count, mean and standard deviation. REQUIRES: not empty.
void summarize(const std::vector<Seconds>& times, InstructionFigures& figures) {
  figures.count = times.size();
  const auto count = static_cast<double>(times.size());
  for (const auto time : times) {
    figures.time += time;
  }
  figures.time = figures.time / count;
  double squares = 0;
  for (const auto time : times) {
    const double off = in_seconds(time - figures.time);
    squares += off * off;
  }
  figures.spread = seconds(times.size() > 1 ? std::sqrt(squares / (count - 1)) : 0.0);
}

}  // namespace

std::vector<InstructionFigures> instruction_figures(
    const JobTimeline& job, std::size_t rank, const RankPhases& phases,
    std::span<const std::optional<PhasePower>> powers) {
  const auto& operations = job.ranks[rank].operations;
  std::vector<Seconds> times(operations.size());
  for (const auto& piece : phases.pieces) {
    if (piece.operation) {
      times[*piece.operation] += piece.span.length();
    }
  }
  std::vector<InstructionFigures> all;
  for (std::size_t p = 0; p < phases.other(); ++p) {
    InstructionFigures figures;
    figures.rank = rank;
    figures.instruction = phases.names[p];
    std::vector<Seconds> of_instruction;
    for (std::size_t o = 0; o < operations.size(); ++o) {
      if (operations[o].instruction == figures.instruction) {
        of_instruction.push_back(times[o]);
      }
    }
    summarize(of_instruction, figures);
    if (!powers.empty() && powers[p]) {
      figures.energy = powers[p]->mean * figures.time;
      figures.half_width = powers[p]->half_width * figures.time;
    }
    all.push_back(figures);
  }
  return all;
}

std::optional<InstructionFigures> closing_figures(
    const JobTimeline& job, std::size_t rank, const RankPhases& phases,
    std::span<const std::optional<PhasePower>> powers) {
  const auto& timeline = job.ranks[rank];
  const auto& operations = timeline.operations;
  const bool is_annotated =
      std::find(phases.names.begin(), phases.names.end(), "optimizer") != phases.names.end();
  if (is_annotated || operations.empty() || powers.empty() || !powers[phases.other()]) {
    return std::nullopt;
  }
  const auto count = timeline.iterations.size();
  std::vector<std::optional<Instant>> last(count);
  for (const auto& operation : operations) {
    last[static_cast<std::size_t>(operation.iteration)] = operation.span.end;
  }
  std::vector<Seconds> times(count);
  for (const auto& piece : phases.pieces) {
    const auto i = timeline.iteration_of(piece.span.begin);
    if (piece.phase == phases.other() && i && last[*i] && piece.span.begin >= *last[*i]) {
      times[*i] += piece.span.length();
    }
  }
  InstructionFigures figures{rank, "optimizer", count, {}, {}, {}, {}};
  summarize(times, figures);
  const auto& power = *powers[phases.other()];
  if (figures.time <= Seconds{} || power.half_width > power.mean * kMostHalfWidthRatio) {
    return std::nullopt;
  }
  figures.energy = power.mean * figures.time;
  figures.half_width = power.half_width * figures.time;
  return figures;
}

std::string profile_csv(const JobTimeline& job, std::span<const InstructionFigures> figures,
                        int frequency_mhz, std::string_view earlier, const std::string& name) {
  std::string text{earlier};
  if (text.empty()) {
    text = csv_line(columns());
  } else if (CsvTable::parse(text, name).columns() != columns()) {
    throw_bad_input("the file has other columns than a profile of traces", name + ":1",
                    "append to what 'train profile' wrote, or name a new file");
  } else if (text.back() != '\n') {
    text += '\n';
  }
  for (const auto& row : figures) {
    const auto& rank = job.ranks[row.rank];
    if (!row.energy) {
      throw_bad_input(row.instruction + " has no energy", rank.trace.file, "give --power");
    }
    if (*row.half_width > *row.energy * kMostHalfWidthRatio) {
      throw_bad_input(row.instruction + " of rank " + std::to_string(*rank.trace.rank) + " takes " +
                          shortest(std::round(row.energy->in_base() * 1e3) / 1e3) + " ± " +
                          shortest(std::round(row.half_width->in_base() * 1e3) / 1e3) +
                          " J: too uncertain for a profile",
                      rank.trace.file,
                      "trace more iterations, sample power more often, or log the energy counter");
    }
    text +=
        csv_line({std::to_string(*rank.trace.rank), std::to_string(rank.place.data),
                  std::to_string(rank.place.stage), std::to_string(rank.place.tensor),
                  std::to_string(rank.place.stage), row.instruction, std::to_string(frequency_mhz),
                  rounded(row.time.in_base(), 1e9), rounded(row.energy->in_base(), 1e6)});
  }
  // The reader's own rules decide: a setting measured twice, ranks that one clock lacks.
  static_cast<void>(read_profile(text, name));
  return text;
}

}  // namespace perwatt::training
