// A table as data, and its two renderings. What a document shows as a table is built once.
#pragma once

#include <string>
#include <vector>

namespace perwatt::report {

struct Cell {
  Cell() = default;

  Cell(std::string shown) : text{std::move(shown)} {}  // NOLINT: a cell is its text

  Cell(const char* shown) : text{shown} {}  // NOLINT

  Cell(std::string shown, std::string address) : text{std::move(shown)}, url{std::move(address)} {}

  std::string text;
  std::string url;  // web address or "#id" of a row; anything else is shown as text only
};

enum class Align { left, right, prose };  // prose is left and wraps

inline constexpr Align kRight = Align::right;
inline constexpr Align kProse = Align::prose;

struct Column {
  std::string name;  // with the unit
  Align align = Align::left;
};

struct Row {
  std::vector<Cell> cells;
  std::string id;           // target of "#id", or empty
  bool is_heading = false;  // one cell over the whole width
};

struct Table {
  std::string id;
  std::string title;
  std::string note;  // how to read it; may be empty
  std::vector<Column> columns;
  std::vector<Row> rows;

  void add(std::vector<Cell> cells, std::string row_id = {});
  void add_heading(std::string text);
};

/// A <section> with heading, note and table; all text escaped.
[[nodiscard]] std::string to_html(const Table& table);

/// A section with heading, note and table; all text escaped.
[[nodiscard]] std::string to_markdown(const Table& table);

}  // namespace perwatt::report
