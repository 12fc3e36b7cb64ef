// A CSV table of curves: columns that name a curve, then us_<place> (latency in microseconds) and,
// where measured, w_<place> (watts). Shared by the readers of data/ops.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::inference {

/// One measurement of a curve.
struct CurvePoint {
  double place = 0;  // tokens, sequence or bytes
  Seconds latency;
  std::optional<Watts> power;
};

/// All functions throw Error(bad_input) with file, line and column.
class CurveTable {
 public:
  CurveTable(std::string_view text, const std::string& name);

  [[nodiscard]] const std::vector<CsvRow>& rows() const { return table_.rows(); }

  [[nodiscard]] std::string where(const CsvRow& row, std::string_view column) const;

  /// A number of at least one.
  [[nodiscard]] double size(const CsvRow& row, std::string_view column) const;

  [[nodiscard]] std::string one_of(const CsvRow& row, std::string_view column,
                                   std::span<const std::string_view> known) const;

  /// A field that is not empty.
  [[nodiscard]] std::string name(const CsvRow& row, std::string_view column) const;

  /// A field that may be empty.
  [[nodiscard]] const std::string& text(const CsvRow& row, std::string_view column) const {
    return row.fields[table_.require(column)];
  }

  /// Throws for a row whose naming fields (neither latency nor power) came before.
  void check_new(const CsvRow& row);

  /// The measurements of the row by rising place, at least one.
  [[nodiscard]] std::vector<CurvePoint> curve(const CsvRow& row) const;

 private:
  struct PlaceColumn {
    double place;
    std::size_t microseconds;
    std::optional<std::size_t> watts;
  };

  [[nodiscard]] double number(const CsvRow& row, std::size_t column, double low, double high) const;
  [[nodiscard]] std::optional<Watts> power(const CsvRow& row, const PlaceColumn& column,
                                           std::optional<double> microseconds) const;

  CsvTable table_;
  std::vector<PlaceColumn> places_;
  std::vector<std::size_t> names_;           // columns that name a curve
  std::map<std::string, std::size_t> seen_;  // name, line
};

}  // namespace perwatt::inference
