#include "entry_reader.hpp"

#include <algorithm>
#include <functional>

#include "perwatt/base/text.hpp"

namespace perwatt::catalog {

std::string EntryReader::source_ref(const ConfigTable& table) {
  auto id = table.text("source");
  use_source(id, table.where("source"));
  return id;
}

void EntryReader::use_source(std::string id, std::string where) {
  source_uses_.emplace_back(std::move(id), std::move(where));
}

Sourced<double> EntryReader::read_figure(const ConfigTable& parent, std::string_view key,
                                         Range range) {
  const auto table = parent.optional_table(key);
  if (!table) {
    parent.fail(key, "is missing",
                "add " + std::string{key} + " = { value = …, source = \"…\", tag = \"…\" }");
  }
  Sourced<double> figure;
  figure.value = table->number("value", range);
  figure.tag = read_tag(*table);
  figure.source = source_ref(*table);
  figure.note = table->optional_text("note").value_or("");
  table->reject_unknown_keys();
  return figure;
}

void EntryReader::read_figures(const ConfigTable& table, Entry& entry,
                               const std::vector<std::string>& known) {
  for (const auto& key : table.unread_keys()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      table.fail(key, "is not a key that is known here", suggestion(key, known));
    }
    const bool is_ratio = key.ends_with("_ratio");
    entry.figures.push_back({key, read_figure(table, key, is_ratio ? kRatio : kNotNegative)});
  }
}

void EntryReader::read_identity(const ConfigTable& table, Entry& entry) {
  entry.id = table.text("id");
  if (entry.id != lower_case(entry.id) || entry.id.find(' ') != std::string::npos) {
    table.fail("id", "is '" + printable(entry.id) + "'", "write it in lower case without blanks");
  }
  entry.name = table.optional_text("name").value_or(entry.id);
  entry.aliases = table.texts("aliases");
  entry.note = table.optional_text("note").value_or("");
  entry.defined_at = table.where("id");
}

Tag EntryReader::read_tag(const ConfigTable& table) {
  const auto text = table.text("tag");
  const auto tag = parse_tag(text);
  if (!tag) {
    table.fail("tag", "is '" + printable(text) + "'",
               "use measured, derived, interpolated, modelled, published or assumed");
  }
  return *tag;
}

std::optional<std::string> EntryReader::read_precision(const ConfigTable& table,
                                                       std::string_view key) {
  auto precision = table.optional_text(key);
  if (precision && !is_precision(*precision)) {
    table.fail(key, "is '" + printable(*precision) + "'", "use bf16, fp8, fp4 or mxfp4");
  }
  return precision;
}

std::string EntryReader::read_date(const ConfigTable& table) {
  auto date = table.text("date");
  if (!is_iso_date(date)) {
    table.fail("date", "is '" + printable(date) + "'", "write YYYY-MM-DD, YYYY-MM or YYYY");
  }
  return date;
}

const Sourced<double>& EntryReader::require_figure(const ConfigTable& table, const Entry& entry,
                                                   std::string_view name) {
  const auto* figure = entry.find(name);
  if (figure == nullptr) {
    table.fail(name, "is missing",
               "add " + std::string{name} + " = { value = …, source = \"…\", tag = \"…\" }");
  }
  return *figure;
}

double EntryReader::require_value(const ConfigTable& table, const Entry& entry,
                                  std::string_view name) {
  return require_figure(table, entry, name).value;
}

Watts EntryReader::require_watts(const ConfigTable& table, const Entry& entry,
                                 std::string_view name) {
  return watts(require_value(table, entry, name));
}

Sourced<Watts> EntryReader::sourced_watts(const Sourced<double>& figure) {
  return {watts(figure.value), figure.tag, figure.source, figure.note};
}

std::optional<double> EntryReader::scaled(const Entry& entry, std::string_view name,
                                          double factor) {
  const auto* figure = entry.find(name);
  return figure == nullptr ? std::nullopt : std::optional{figure->value * factor};
}

void EntryReader::check_axis(const ConfigTable& table, std::string_view key,
                             const std::vector<double>& axis, std::string_view other_key,
                             std::size_t other_size) {
  if (axis.size() < 2 ||
      std::adjacent_find(axis.begin(), axis.end(), std::greater_equal<>{}) != axis.end()) {
    table.fail(key, "needs at least two numbers, each above the one before", "sort them");
  }
  if (other_size != axis.size()) {
    table.fail(
        other_key, "has " + std::to_string(other_size) + " numbers",
        "give one for each of the " + std::to_string(axis.size()) + " in " + std::string{key});
  }
}

}  // namespace perwatt::catalog
