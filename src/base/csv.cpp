#include "perwatt/base/csv.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt {

namespace {

/// Reads records one after the other and keeps count of the lines.
class RecordReader {
 public:
  RecordReader(std::string_view text, const std::string& name, std::size_t first_line)
      : text_{text}, name_{name}, line_{first_line} {}

  [[nodiscard]] bool done() const { return at_ >= text_.size(); }

  /// True at a line without a single byte; next() then gives one empty field.
  [[nodiscard]] bool at_empty_line() const { return text_[at_] == '\n' || text_[at_] == '\r'; }

  CsvRow next() {
    CsvRow row;
    row.line = line_;
    while (true) {
      row.fields.push_back(next_field(row.line));
      if (done() || text_[at_] != ',') {
        break;
      }
      ++at_;
    }
    end_line(row.line);
    return row;
  }

 private:
  std::string next_field(std::size_t row_line) {
    if (!done() && text_[at_] == '"') {
      return quoted_field(row_line);
    }
    const auto end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
    std::string field{text_.substr(at_, end - at_)};
    at_ = end;
    return field;
  }

  std::string quoted_field(std::size_t row_line) {
    std::string field;
    ++at_;
    while (true) {
      const auto end = text_.find('"', at_);
      if (end == std::string_view::npos) {
        throw_bad_input("a quoted field is never closed", place(row_line),
                        "close it with a double quote");
      }
      const auto piece = text_.substr(at_, end - at_);
      line_ += static_cast<std::size_t>(std::count(piece.begin(), piece.end(), '\n'));
      field += piece;
      at_ = end + 1;
      if (done() || text_[at_] != '"') {
        return field;
      }
      field += '"';
      ++at_;
    }
  }

  void end_line(std::size_t row_line) {
    if (done()) {
      return;
    }
    if (text_[at_] == '\r') {
      ++at_;
    }
    if (!done() && text_[at_] == '\n') {
      ++at_;
      ++line_;
    } else if (!done()) {
      throw_bad_input("text follows a closing quote or a bare carriage return", place(row_line),
                      "quote the whole field and end lines with LF or CRLF");
    }
  }

  [[nodiscard]] std::string place(std::size_t row_line) const {
    return name_ + ":" + std::to_string(row_line);
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0;
  std::size_t line_;
};

}  // namespace

CsvTable CsvTable::parse(std::string_view text, std::string name, std::size_t first_line) {
  CsvTable table;
  table.name_ = std::move(name);
  table.header_line_ = first_line;
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.remove_prefix(3);
  }
  RecordReader reader{text, table.name_, first_line};
  if (reader.done()) {
    throw_bad_input("the file is empty", table.name_, "it needs a header line");
  }
  std::unordered_set<std::string> seen;
  for (auto& column : reader.next().fields) {
    if (!seen.insert(column).second) {
      throw_bad_input("the column '" + printable(column) + "' is there twice",
                      table.name_ + ":" + std::to_string(first_line), "remove one");
    }
    table.columns_.push_back(std::move(column));
  }
  while (!reader.done()) {
    const bool is_empty = reader.at_empty_line();
    auto row = reader.next();
    if (is_empty) {
      continue;
    }
    if (row.fields.size() != table.columns_.size()) {
      throw_bad_input(std::to_string(row.fields.size()) + " fields where the header has " +
                          std::to_string(table.columns_.size()),
                      table.name_ + ":" + std::to_string(row.line),
                      "give every column a field, empty where unknown");
    }
    table.rows_.push_back(std::move(row));
  }
  return table;
}

std::optional<std::size_t> CsvTable::find(std::string_view column) const {
  const auto at = std::find(columns_.begin(), columns_.end(), column);
  if (at == columns_.end()) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(at - columns_.begin());
}

std::size_t CsvTable::require(std::string_view column) const {
  const auto index = find(column);
  if (!index) {
    throw_bad_input("the column '" + std::string{column} + "' is missing",
                    name_ + ":" + std::to_string(header_line_), "add it to the header");
  }
  return *index;
}

std::string CsvTable::where(const CsvRow& row, std::size_t column) const {
  return name_ + ":" + std::to_string(row.line) + ": " + printable(columns_[column]);
}

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) {
      line += ',';
    }
    const auto& field = fields[i];
    const bool looks_like_no_line = field.empty() && fields.size() == 1;
    if (!looks_like_no_line && field.find_first_of(",\"\r\n") == std::string::npos) {
      line += field;
      continue;
    }
    line += '"';
    for (const char c : field) {
      line += c;
      if (c == '"') {
        line += '"';
      }
    }
    line += '"';
  }
  return line + '\n';
}

}  // namespace perwatt
