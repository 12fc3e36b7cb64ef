#include "perwatt/curve/curve_file.hpp"

#include <array>
#include <cmath>
#include <utility>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::curve {

namespace {

constexpr double kMost = 1e15;

using WattsOf = std::optional<Watts> CurveRow::*;

constexpr std::array<std::pair<const char*, WattsOf>, 3> kWattColumns{
    {{"cap_watts", &CurveRow::cap},
     {"draw_watts", &CurveRow::draw},
     {"tail_watts", &CurveRow::tail}}};

double number_of(const CsvTable& table, const CsvRow& row, std::size_t column) {
  const auto& text = row.fields[column];
  const auto number = parse_number(trimmed(text));
  if (!number || !std::isfinite(*number) || *number < 0 || *number > kMost) {
    throw_bad_input("'" + printable(text) + "' is not a number from 0 to 1e15",
                    table.where(row, column), "write plain numbers, watts in W");
  }
  return *number;
}

CurveRow read_row(const CsvTable& table, const CsvRow& row) {
  CurveRow read;
  read.line = row.line;
  if (const auto column = table.find("setting")) {
    read.setting = row.fields[*column];
  }
  for (const auto& [name, member] : kWattColumns) {
    const auto column = table.find(name);
    if (column && !trimmed(row.fields[*column]).empty()) {
      read.*member = watts(number_of(table, row, *column));
    }
  }
  const auto value = table.require("value");
  read.value = number_of(table, row, value);
  if (!read.cap && !read.draw && !read.tail) {
    throw_bad_input("a setting without watts", table.where(row, value),
                    "give it one of cap_watts, draw_watts and tail_watts");
  }
  if (read.tail && read.draw && *read.tail < *read.draw) {
    throw_bad_input("tail_watts are below draw_watts", table.where(row, *table.find("tail_watts")),
                    "the tail is the most that is drawn, the draw is the mean");
  }
  return read;
}

}  // namespace

CurveFile read_curve_file(std::string_view csv, const std::string& name) {
  const auto table = CsvTable::parse(csv, name);
  const auto unit = table.require("value_unit");
  static_cast<void>(table.require("value"));
  CurveFile file;
  for (const auto& row : table.rows()) {
    file.rows.push_back(read_row(table, row));
    const std::string row_unit{trimmed(row.fields[unit])};
    if (row_unit.empty() || (file.rows.size() > 1 && row_unit != file.value_unit)) {
      throw_bad_input("'" + printable(row_unit) + "' is not the unit of a curve",
                      table.where(row, unit),
                      "give all rows the same unit, e.g. output_tokens_per_s");
    }
    file.value_unit = row_unit;
  }
  if (file.rows.empty()) {
    throw_bad_input("a curve without a row", name, "give it a row for each setting");
  }
  return file;
}

std::string curve_file_text(const CurveFile& file) {
  std::vector<std::string> header{"setting"};
  std::vector<WattsOf> present;
  for (const auto& [name, member] : kWattColumns) {
    for (const auto& row : file.rows) {
      if (row.*member) {
        header.emplace_back(name);
        present.push_back(member);
        break;
      }
    }
  }
  header.emplace_back("value");
  header.emplace_back("value_unit");
  std::string text = csv_line(header);
  for (const auto& row : file.rows) {
    std::vector<std::string> fields{row.setting};
    for (const auto member : present) {
      fields.push_back(row.*member ? shortest(in_watts(*(row.*member))) : "");
    }
    fields.push_back(shortest(row.value));
    fields.push_back(file.value_unit);
    text += csv_line(fields);
  }
  return text;
}

}  // namespace perwatt::curve
