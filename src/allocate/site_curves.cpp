#include "perwatt/allocate/site_curves.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <unordered_map>
#include <utility>

#include "perwatt/base/config.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/curve/curve_file.hpp"

namespace perwatt::allocate {

namespace {

constexpr Range kWorth{1e-9, 1e9};

using WattsOf = std::optional<Watts> curve::CurveRow::*;

constexpr std::array<std::pair<std::string_view, WattsOf>, 3> kWatts{
    {{"cap", &curve::CurveRow::cap},
     {"tail", &curve::CurveRow::tail},
     {"draw", &curve::CurveRow::draw}}};

/// The watts that limits above hold ready: those asked for, or the first of cap, tail and draw that
/// every row has. One kind for the whole curve: a mean must not stand beside a cap.
std::pair<std::string_view, WattsOf> watts_of(const ConfigTable& table,
                                              const curve::CurveFile& file,
                                              const std::string& path) {
  const auto asked = table.optional_text("watts");
  for (const auto& [name, member] : kWatts) {
    if (asked && *asked != name) {
      continue;
    }
    const auto lacking =
        std::find_if(file.rows.begin(), file.rows.end(),
                     [member = member](const curve::CurveRow& row) { return !(row.*member); });
    if (lacking == file.rows.end()) {
      return {name, member};
    }
    if (asked) {
      table.fail("watts",
                 printable(path) + ":" + std::to_string(lacking->line) + " has no " +
                     std::string{name} + "_watts",
                 "give every row of the curve those watts");
    }
  }
  if (asked) {
    table.fail("watts", "'" + printable(*asked) + "' is not known",
               "write \"cap\", \"tail\" or \"draw\"");
  }
  table.fail("file", "no kind of watts is in every row of " + printable(path),
             "give all rows cap_watts, or all tail_watts, or all draw_watts");
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
SiteCurve read_curve(const ConfigTable& table, const std::filesystem::path& folder,
                     const ReadCurveText& read, std::string& unit) {
  SiteCurve curve;
  curve.id = table.text("id");
  curve.place = table.where("id");
  curve.is_discrete = read_is_discrete(table);
  const auto path = (folder / table.text("file")).string();
  const auto worth = table.optional_number("worth", kWorth);
  const auto worth_unit = table.optional_text("worth_unit");
  if (worth.has_value() != worth_unit.has_value()) {
    table.fail(worth ? "worth_unit" : "worth", "is missing beside the other",
               "give both: worth = 0.0036, worth_unit = \"USD/h\"");
  }
  static_cast<void>(table.optional_text("watts"));
  table.reject_unknown_keys();
  const auto file = curve::read_curve_file(read(path), path);
  const auto [kind, member] = watts_of(table, file, path);
  curve.watts = kind;
  for (const auto& row : file.rows) {
    curve.settings.push_back({row.setting, *(row.*member), row.value * worth.value_or(1)});
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
    auto curve = read_curve(table, std::filesystem::path{name}.parent_path(), read, unit);
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
  for (const auto& table : topology ? topology->tables("device") : std::vector<ConfigTable>{}) {
    const auto curve = table.optional_text("curve");
    if (curve && number.count(*curve) == 0) {
      table.fail("curve", "there is no [[topology.curve]] '" + printable(*curve) + "'",
                 "add it, or name one that is there");
    }
  }
  for (std::size_t d = 0; d < tree.devices().size(); ++d) {
    if (const auto& curve = tree.devices()[d].curve; !curve.empty()) {
      site.curve_of[d] = number.at(curve);
    }
  }
  return site;
}

}  // namespace perwatt::allocate
