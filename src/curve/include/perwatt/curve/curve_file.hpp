// Power curves as CSV: what a device yields at each of its settings, and the watts of each.
//
// Columns, docs/reference/power-curve.md: `value` and `value_unit` (the same in all rows), one or
// more of `cap_watts`, `draw_watts`, `tail_watts`, and `setting`, a name for people. `perwatt
// frontier --curve` and `perwatt train --curve` write it; hands and other tools may.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"

namespace perwatt::curve {

/// One setting of a device and its three watts, which are never mixed.
struct CurveRow {
  std::string setting;
  std::optional<Watts> cap;   // that is set: the device draws no more
  std::optional<Watts> draw;  // mean
  std::optional<Watts> tail;  // the most it draws, save for rare moments
  double value = 0;           // what it yields
  std::size_t line = 0;       // of the file
};

struct CurveFile {
  std::vector<CurveRow> rows;  // one or more, as in the file
  std::string value_unit;      // "output_tokens_per_s", …
};

/// `name` stands for the file in messages. Throws Error(bad_input) with the line for: no row, a
/// column that is missing, a row without watts, watts or a value that are negative, not finite or
/// above 1e15, a tail below the mean, two units.
[[nodiscard]] CurveFile read_curve_file(std::string_view csv, const std::string& name);

/// The file of it; columns that no row has are left out.
[[nodiscard]] std::string curve_file_text(const CurveFile& file);

}  // namespace perwatt::curve
