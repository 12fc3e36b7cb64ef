#include "perwatt/allocate/site_curves.hpp"

#include <unordered_map>

#include "perwatt/base/config.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/curve/curve_file.hpp"

namespace perwatt::allocate {

namespace {

constexpr Range kWorth{1e-9, 1e9};

/// Which of a row's three watts the limits above must hold ready.
std::optional<Watts> watts_of(const curve::CurveRow& row, const std::string& which) {
  if (which.empty()) {
    return row.reserved();
  }
  return which == "cap" ? row.cap : which == "draw" ? row.draw : row.tail;
}

std::string read_which(const ConfigTable& table) {
  auto which = table.optional_text("watts").value_or("");
  if (!which.empty() && which != "cap" && which != "draw" && which != "tail") {
    table.fail("watts", "'" + printable(which) + "' is not known",
               "write \"cap\", \"draw\" or \"tail\"; without the key a cap counts before a tail "
               "before a mean draw");
  }
  return which;
}

bool read_is_discrete(const ConfigTable& table) {
  const auto word = table.optional_text("settings").value_or("discrete");
  if (word != "discrete" && word != "any") {
    table.fail("settings", "'" + printable(word) + "' is not known",
               "write \"discrete\", the settings of the file and no other, or \"any\"");
  }
  return word == "discrete";
}

/// One curve, its values in `unit`.
SiteCurve read_curve(const ConfigTable& table, const ReadCurveText& read, std::string& unit) {
  SiteCurve curve;
  curve.id = table.text("id");
  curve.place = table.where("id");
  curve.is_discrete = read_is_discrete(table);
  const auto path = table.text("file");
  const auto which = read_which(table);
  const auto worth = table.optional_number("worth", kWorth);
  const auto worth_unit = table.optional_text("worth_unit");
  if (worth.has_value() != worth_unit.has_value()) {
    table.fail(worth ? "worth_unit" : "worth", "is missing beside the other",
               "give both: worth = 0.0036, worth_unit = \"USD/h\"");
  }
  table.reject_unknown_keys();
  const auto file = curve::read_curve_file(read(path), path);
  for (const auto& row : file.rows) {
    if (const auto power = watts_of(row, which)) {
      curve.settings.push_back({row.setting, *power, row.value * worth.value_or(1)});
    }
  }
  if (curve.settings.empty()) {
    table.fail("watts", "'" + printable(path) + "' has no " + which + "_watts",
               "name a column that the file has");
  }
  unit = worth_unit.value_or(file.value_unit);
  return curve;
}

}  // namespace

SiteCurves read_site_curves(std::string_view text, const std::string& name,
                            const topology::PowerTree& tree, const ReadCurveText& read) {
  SiteCurves site;
  site.curve_of.resize(tree.devices().size());
  std::unordered_map<std::string, std::size_t> number;
  const auto topology = ConfigTable::parse(text, name).optional_table("topology");
  for (const auto& table : topology ? topology->tables("curve") : std::vector<ConfigTable>{}) {
    std::string unit;
    auto curve = read_curve(table, read, unit);
    if (!number.emplace(curve.id, site.curves.size()).second) {
      table.fail("id", "'" + printable(curve.id) + "' is given twice",
                 "give every [[topology.curve]] an id of its own");
    }
    if (!site.empty() && unit != site.value_unit) {
      table.fail("file",
                 "yields " + printable(unit) + ", '" + printable(site.curves[0].id) + "' " +
                     printable(site.value_unit),
                 "give every curve a worth and one worth_unit, so that they can be compared");
    }
    site.value_unit = unit;
    site.curves.push_back(std::move(curve));
  }
  for (std::size_t d = 0; d < tree.devices().size(); ++d) {
    const auto& device = tree.devices()[d];
    if (device.curve.empty()) {
      continue;
    }
    const auto found = number.find(device.curve);
    if (found == number.end()) {
      throw_bad_input("device '" + printable(device.id) + "' has the curve '" +
                          printable(device.curve) + "', which is not there",
                      name, "add a [[topology.curve]] of that id");
    }
    site.curve_of[d] = found->second;
  }
  return site;
}

}  // namespace perwatt::allocate
