// The power curves of a site's devices: [[topology.curve]] of a site file, and the CSV files they
// name. Keys: docs/reference/topology.md; the files: docs/reference/power-curve.md.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::allocate {

/// One setting of a device: the watts it takes of every limit above, and what it yields then.
struct Setting {
  std::string name;
  Watts power;
  double value = 0;  // in SiteCurves::value_unit
};

struct SiteCurve {
  std::string id;
  std::vector<Setting> settings;  // one or more, as in the file
  /// The device runs at one of its settings; else at anything between two of them.
  bool is_discrete = true;
  std::string watts;  // "cap", "tail" or "draw": what all its settings take is one kind
  std::string place;  // "file:line: key", for messages
};

struct SiteCurves {
  std::vector<SiteCurve> curves;
  std::string value_unit;  // of all of them
  /// By device of the tree; nothing: it is not steered.
  std::vector<std::optional<std::size_t>> curve_of;

  [[nodiscard]] bool empty() const { return curves.empty(); }
};

/// The content of a file.
using ReadCurveText = std::function<std::string(const std::string& path)>;

/// The curves of the site file `text` whose tree is `tree`. `name` is its path: in messages, and
/// files of curves lie beside it. Throws Error(bad_input) naming file, line and key
/// for a curve that is given twice, a device with an unknown curve, files that are no curves, and
/// values of different units without a worth each.
[[nodiscard]] SiteCurves read_site_curves(std::string_view text, const std::string& name,
                                          const topology::PowerTree& tree,
                                          const ReadCurveText& read);

}  // namespace perwatt::allocate
