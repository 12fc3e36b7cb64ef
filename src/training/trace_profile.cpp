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
    for (std::size_t o = 0; o < operations.size(); ++o) {
      if (operations[o].instruction == figures.instruction) {
        figures.time += times[o];
        ++figures.count;
      }
    }
    const auto count = static_cast<double>(figures.count);
    figures.time = figures.time / count;
    double squares = 0;
    for (std::size_t o = 0; o < operations.size(); ++o) {
      if (operations[o].instruction == figures.instruction) {
        const double off = in_seconds(times[o] - figures.time);
        squares += off * off;
      }
    }
    figures.spread = seconds(figures.count > 1 ? std::sqrt(squares / (count - 1)) : 0.0);
    if (!powers.empty() && powers[p]) {
      figures.energy = powers[p]->mean * figures.time;
      figures.half_width = powers[p]->half_width * figures.time;
    }
    all.push_back(figures);
  }
  return all;
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
