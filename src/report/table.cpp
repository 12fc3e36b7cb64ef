#include "table.hpp"

#include <utility>

#include "text.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

constexpr std::size_t kNarrow = 4;  // a table of so few columns does not fill the page's width

std::string html_cell(const Cell& cell) {
  const auto text = html_escaped(cell.text);
  if (cell.url.starts_with('#')) {
    return fmt::format("<a href=\"#{}\">{}</a>", slug(cell.url), text);
  }
  return is_web_address(cell.url)
             ? fmt::format("<a href=\"{}\" rel=\"noreferrer\">{}</a>", html_escaped(cell.url), text)
             : text;
}

std::string markdown_cell(const Cell& cell) {
  const auto text = markdown_escaped(cell.text);
  // In <…> no bracket or parenthesis of the address can end the link; "<" and ">" are refused
  // above.
  return is_web_address(cell.url) ? fmt::format("[{}](<{}>)", text, cell.url) : text;
}

std::string html_class(Align align) {
  switch (align) {
    case Align::right:
      return " class=\"number\"";
    case Align::prose:
      return " class=\"prose\"";
    case Align::left:
      break;
  }
  return {};
}

std::string html_row(const Table& table, const Row& row) {
  std::string html = row.id.empty() ? "<tr>" : fmt::format("<tr id=\"{}\">", slug(row.id));
  if (row.is_heading) {
    return html + fmt::format("<th class=\"group\" colspan=\"{}\">{}</th></tr>\n",
                              table.columns.size(), html_escaped(row.cells.front().text));
  }
  for (std::size_t i = 0; i < row.cells.size(); ++i) {
    html += "<td" + html_class(table.columns[i].align) + '>' + html_cell(row.cells[i]) + "</td>";
  }
  return html + "</tr>\n";
}

}  // namespace

void Table::add(std::vector<Cell> cells, std::string row_id) {
  rows.push_back({std::move(cells), std::move(row_id), false});
}

void Table::add_heading(std::string text) {
  rows.push_back({{Cell{std::move(text)}}, {}, true});
}

std::string to_html(const Table& table) {
  std::string html =
      fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n", slug(table.id), html_escaped(table.title));
  if (!table.note.empty()) {
    html += fmt::format("<p class=\"note\">{}</p>\n", html_escaped(table.note));
  }
  html += fmt::format("<div class=\"scroll\"><table{}>\n<thead><tr>",
                      table.columns.size() <= kNarrow ? " class=\"narrow\"" : "");
  for (const auto& column : table.columns) {
    html += fmt::format("<th{}>{}</th>", html_class(column.align), html_escaped(column.name));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    html += html_row(table, row);
  }
  return html + "</tbody>\n</table></div>\n</section>\n";
}

std::string to_markdown(const Table& table) {
  std::string text = fmt::format("## {}\n\n", markdown_escaped(table.title));
  if (!table.note.empty()) {
    text += markdown_escaped(table.note) + "\n\n";
  }
  std::string rule;
  for (const auto& column : table.columns) {
    text += "| " + markdown_escaped(column.name) + ' ';
    rule += column.align == Align::right ? "|---:" : "|---";
  }
  text += "|\n" + rule + "|\n";
  for (const auto& row : table.rows) {
    if (row.is_heading) {
      text += fmt::format("| **{}** {}\n", markdown_escaped(row.cells.front().text),
                          std::string(table.columns.size(), '|'));
      continue;
    }
    for (const auto& cell : row.cells) {
      text += "| " + markdown_cell(cell) + ' ';
    }
    text += "|\n";
  }
  return text + '\n';
}

}  // namespace perwatt::report
