// What each operation of a pipeline takes in time and energy under each setting of its device, as
// measured.
//
// A profile is a CSV file with one row per stage, instruction and setting:
//   stage,instruction,frequency,time,energy            (stage from 0, MHz, s, J)
// Further columns belong to the setting and are carried through unchanged; `frequency` may be
// missing when there are others. zeus's leading columns rank, dp_rank, pp_rank and tp_rank are
// understood: rows of the ranks of one stage that share instruction and setting become one, with
// the slowest time, the mean energy, and how long the others wait for the slowest. Joules are per
// GPU of a tensor parallel group. Format: docs/reference/training-profile.md.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"

namespace perwatt::training {

/// A setting of the device during one operation.
struct Knob {
  std::optional<int> frequency_mhz;
  std::vector<std::string> others;  // as Profile::other_knobs names them

  bool operator==(const Knob&) const = default;
};

/// "1410 MHz", with the other knobs behind it.
[[nodiscard]] std::string to_string(const Knob& knob);

struct ProfileRow {
  int stage = 0;
  std::string instruction;
  Knob knob;
  Seconds time;     // above 0
  Joules energy;    // from 0
  Seconds waiting;  // until the slowest rank of the group has ended, mean over the ranks
  std::size_t line = 0;
};

struct Profile {
  std::string name;                      // the file, for messages
  std::vector<std::string> other_knobs;  // columns beside `frequency`, in the order of the file
  std::vector<ProfileRow> rows;          // by stage, instruction and place in the file
  std::size_t repeated_rows = 0;         // equal to an earlier row, left out
};

/// Reads a profile. Throws Error(bad_input) with the line for a missing column, a value that is no
/// finite number, a time of 0 or less, a negative energy, a setting that appears twice with
/// different figures, and one that a rank of its group lacks.
[[nodiscard]] Profile read_profile(std::string_view text, const std::string& name);

}  // namespace perwatt::training
