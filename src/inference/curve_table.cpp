#include "curve_table.hpp"

#include <algorithm>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::inference {

namespace {

constexpr double kLargestSize = 2e9;
constexpr double kLeastMicroseconds = 0.1;
constexpr double kMostMicroseconds = 1e9;
constexpr double kMostCurveWatts = 1e4;
constexpr double kTrustedMicroseconds = 299;  // 300 with the rounding of the files

std::optional<double> place_of(std::string_view column, std::string_view prefix) {
  return column.starts_with(prefix) ? parse_number(column.substr(prefix.size())) : std::nullopt;
}

}  // namespace

CurveTable::CurveTable(std::string_view text, const std::string& name)
    : table_{CsvTable::parse(text, name)} {
  for (std::size_t i = 0; i < table_.columns().size(); ++i) {
    const auto& column = table_.columns()[i];
    const auto place = place_of(column, "us_");
    if (!place) {
      if (!place_of(column, "w_")) {
        names_.push_back(i);
      }
      continue;
    }
    if (!(*place > 0) || *place > kLargestSize) {
      throw_bad_input("the column '" + column + "' names no place", name + ":1",
                      "name it us_ and a positive number");
    }
    places_.push_back({*place, i, table_.find("w_" + column.substr(3))});
  }
  if (places_.empty()) {
    throw_bad_input("the table has no column us_<place>", name + ":1",
                    "give latencies in microseconds");
  }
  std::sort(places_.begin(), places_.end(),
            [](const auto& a, const auto& b) { return a.place < b.place; });
}

std::string CurveTable::where(const CsvRow& row, std::string_view column) const {
  return table_.where(row, table_.require(column));
}

double CurveTable::size(const CsvRow& row, std::string_view column) const {
  return number(row, table_.require(column), 1, kLargestSize);
}

std::string CurveTable::one_of(const CsvRow& row, std::string_view column,
                               std::span<const std::string_view> known) const {
  const auto index = table_.require(column);
  const auto& field = row.fields[index];
  if (std::find(known.begin(), known.end(), field) == known.end()) {
    throw_bad_input("'" + printable(field) + "' is not known", table_.where(row, index),
                    suggestion(field, std::vector<std::string>{known.begin(), known.end()}));
  }
  return field;
}

std::string CurveTable::name(const CsvRow& row, std::string_view column) const {
  const auto index = table_.require(column);
  if (row.fields[index].empty()) {
    throw_bad_input("is empty", table_.where(row, index), "name it");
  }
  return row.fields[index];
}

void CurveTable::check_new(const CsvRow& row) {
  std::string name;
  for (const auto column : names_) {
    name += row.fields[column] + ",";
  }
  const auto [first, is_new] = seen_.try_emplace(std::move(name), row.line);
  if (!is_new) {
    throw_bad_input("the curve is given twice, first in line " + std::to_string(first->second),
                    table_.where(row, names_.empty() ? 0 : names_.front()), "remove one");
  }
}

std::vector<CurvePoint> CurveTable::curve(const CsvRow& row) const {
  std::vector<CurvePoint> points;
  for (const auto& column : places_) {
    if (row.fields[column.microseconds].empty()) {
      (void)power(row, column, std::nullopt);
      continue;
    }
    const double time = number(row, column.microseconds, kLeastMicroseconds, kMostMicroseconds);
    points.push_back({column.place, seconds(time * 1e-6), power(row, column, time)});
  }
  if (points.empty()) {
    throw_bad_input("the curve has no latency", table_.where(row, places_.front().microseconds),
                    "give at least one or remove the line");
  }
  return points;
}

std::optional<Watts> CurveTable::power(const CsvRow& row, const PlaceColumn& column,
                                       std::optional<double> microseconds) const {
  if (!column.watts || row.fields[*column.watts].empty()) {
    return std::nullopt;
  }
  if (!microseconds) {
    throw_bad_input("power without a latency", table_.where(row, *column.watts),
                    "give " + table_.columns()[column.microseconds] + " too");
  }
  if (*microseconds < kTrustedMicroseconds) {
    throw_bad_input("power of a kernel of " + shortest(*microseconds) + " us",
                    table_.where(row, *column.watts),
                    "leave it empty: meters are too slow for kernels below 300 us");
  }
  return watts(number(row, *column.watts, 1, kMostCurveWatts));
}

double CurveTable::number(const CsvRow& row, std::size_t column, double low, double high) const {
  const auto value = parse_number(row.fields[column]);
  if (!value || !(*value >= low) || !(*value <= high)) {
    throw_bad_input("'" + printable(row.fields[column]) + "' is no number from " + shortest(low) +
                        " to " + shortest(high),
                    table_.where(row, column), "correct it");
  }
  return *value;
}

}  // namespace perwatt::inference
