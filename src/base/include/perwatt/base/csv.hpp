// RFC 4180 tables with a header line: quoted fields, doubled quotes, LF or CRLF.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace perwatt {

/// One data row.
struct CsvRow {
  std::size_t line = 0;  // 1-based line in the file where the row starts
  std::vector<std::string> fields;
};

class CsvTable {
 public:
  /// Parses `text`; `name` stands for the file in messages. Every row has as many fields as the
  /// header. Throws Error(bad_input) with the line for an empty text, an unclosed quote, a wrong
  /// field count or a repeated column name. `first_line` is the line of the file where `text`
  /// starts.
  static CsvTable parse(std::string_view text, std::string name, std::size_t first_line = 1);

  [[nodiscard]] const std::string& name() const { return name_; }

  [[nodiscard]] const std::vector<std::string>& columns() const { return columns_; }

  [[nodiscard]] const std::vector<CsvRow>& rows() const { return rows_; }

  /// Index of a column, or nothing.
  [[nodiscard]] std::optional<std::size_t> find(std::string_view column) const;

  /// Index of a column. Throws Error(bad_input) naming the file and the column it lacks.
  [[nodiscard]] std::size_t require(std::string_view column) const;

  /// "file:line: column" for messages about one field.
  [[nodiscard]] std::string where(const CsvRow& row, std::size_t column) const;

 private:
  std::string name_;
  std::size_t header_line_ = 1;
  std::vector<std::string> columns_;
  std::vector<CsvRow> rows_;
};

/// One line (with LF) of a CSV file; fields are quoted where needed.
[[nodiscard]] std::string csv_line(const std::vector<std::string>& fields);

}  // namespace perwatt
