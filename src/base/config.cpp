#include "perwatt/base/config.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <toml++/toml.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt {

struct ConfigTable::Node {
  std::shared_ptr<const toml::table> document;  // keeps `table` alive
  const toml::table* table = nullptr;
  std::string file;
  std::string path;  // "service[2]", empty for the document
  mutable std::set<std::string, std::less<>> asked;

  const toml::node* get(std::string_view key) const {
    asked.emplace(key);
    return table->get(key);
  }
};

namespace {

std::string type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

std::string value_text(const toml::node& node) {
  if (const auto* text = node.as_string()) {
    return "'" + printable(text->get()) + "'";
  }
  if (const auto* integer = node.as_integer()) {
    return std::to_string(integer->get());
  }
  if (const auto* number = node.as_floating_point()) {
    return shortest(number->get());
  }
  if (const auto* flag = node.as_boolean()) {
    return flag->get() ? "true" : "false";
  }
  return type_name(node);
}

std::string range_text(Range range) {
  const bool has_high = range.high < std::numeric_limits<double>::max();
  if (!has_high && range.low == std::numeric_limits<double>::min()) {
    return "above 0";
  }
  if (!has_high) {
    return range.low > -std::numeric_limits<double>::max() ? "at least " + shortest(range.low)
                                                           : "finite";
  }
  return "between " + shortest(range.low) + " and " + shortest(range.high);
}

/// The end of the string or comment that starts at `at`; `at` when neither does.
std::size_t skip_string_or_comment(std::string_view text, std::size_t at) {
  if (text[at] == '#') {
    return std::min(text.find('\n', at), text.size());
  }
  if (text[at] != '"' && text[at] != '\'') {
    return at;
  }
  const char quote = text[at];
  const std::string three(3, quote);
  const bool is_multi_line = text.substr(at, 3) == three;
  const std::string_view end =
      is_multi_line ? std::string_view{three} : std::string_view{three}.substr(2);
  for (at += end.size(); at < text.size(); ++at) {
    if (quote == '"' && text[at] == '\\') {
      ++at;
    } else if (text.substr(at, end.size()) == end) {
      at += end.size();
      // A multi-line string may end in one or two quotes of its own before the closing three.
      for (int extra = 0; is_multi_line && extra < 2 && at < text.size() && text[at] == quote;
           ++extra) {
        ++at;
      }
      return at;
    } else if (!is_multi_line && text[at] == '\n') {
      return at;  // not closed: the parser will say so
    }
  }
  return text.size();
}

/// Dotted keys nest a table per dot, without the bound that the parser sets on brackets: a file of
/// dots would run it out of stack.
void refuse_deep_keys(std::string_view text, const std::string& name) {
  constexpr std::size_t kMostDots = 100;
  std::size_t dots = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (const auto end = skip_string_or_comment(text, at); end > at) {
      at = end - 1;
    } else if (text[at] == '.') {
      if (++dots > kMostDots) {
        const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<long>(at), '\n');
        throw_bad_input("more than " + std::to_string(kMostDots) + " dots in one name",
                        name + ":" + std::to_string(line), "write nested tables as [a.b]");
      }
    } else if (std::string_view{"\n=,{}[]"}.find(text[at]) != std::string_view::npos) {
      dots = 0;
    }
  }
}

/// The number in `node`, or nothing when it is of another type or not finite.
std::optional<double> number_of(const toml::node& node) {
  if (const auto* integer = node.as_integer()) {
    return static_cast<double>(integer->get());
  }
  if (const auto* number = node.as_floating_point()) {
    if (std::isfinite(number->get())) {
      return number->get();
    }
  }
  return std::nullopt;
}

}  // namespace

ConfigTable ConfigTable::parse(std::string_view text, const std::string& name) {
  refuse_deep_keys(text, name);
  try {
    auto node = std::make_shared<Node>();
    node->document = std::make_shared<const toml::table>(toml::parse(text, name));
    node->table = node->document.get();
    node->file = name;
    return ConfigTable{std::move(node)};
  } catch (const toml::parse_error& problem) {
    throw_bad_input(printable(problem.description(), 200),
                    name + ":" + std::to_string(problem.source().begin.line),
                    "correct the TOML syntax");
  }
}

bool ConfigTable::has(std::string_view key) const {
  return node_->table->contains(key);
}

std::string ConfigTable::where(std::string_view key) const {
  const auto* node = node_->table->get(key);
  const auto line = (node != nullptr ? node->source() : node_->table->source()).begin.line;
  std::string place = node_->file + ":" + std::to_string(line > 0 ? line : 1) + ": " + node_->path;
  if (!key.empty()) {
    place += (node_->path.empty() ? "" : ".") + printable(key);
  }
  return place;
}

void ConfigTable::fail(std::string_view key, const std::string& what,
                       const std::string& remedy) const {
  throw_bad_input(what, where(key), remedy);
}

std::optional<std::string> ConfigTable::optional_text(std::string_view key) const {
  const auto* node = node_->get(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  const auto* text = node->as_string();
  if (text == nullptr) {
    fail(key, "is " + value_text(*node) + " where a string is needed", "put it in double quotes");
  }
  if (trimmed(text->get()).empty()) {
    fail(key, "is an empty string", "give it a value or remove the key");
  }
  if (printable(text->get(), text->get().size() + 1) != text->get()) {
    fail(key, "'" + printable(text->get()) + "' holds control characters", "remove them");
  }
  return text->get();
}

std::string ConfigTable::text(std::string_view key) const {
  auto value = optional_text(key);
  if (!value) {
    fail(key, "is missing", "add " + std::string{key} + " = \"…\"");
  }
  return *value;
}

std::optional<double> ConfigTable::optional_number(std::string_view key, Range range) const {
  const auto* node = node_->get(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  const auto number = number_of(*node);
  if (!number) {
    fail(key, "is " + value_text(*node) + " where a number is needed",
         "write a plain number " + range_text(range) + ", without quotes");
  }
  if (*number < range.low || *number > range.high) {
    fail(key, "is " + shortest(*number), "it must be " + range_text(range));
  }
  return number;
}

double ConfigTable::number(std::string_view key, Range range) const {
  const auto value = optional_number(key, range);
  if (!value) {
    fail(key, "is missing", "add a number " + range_text(range));
  }
  return *value;
}

std::optional<std::int64_t> ConfigTable::optional_integer(std::string_view key, std::int64_t low,
                                                          std::int64_t high) const {
  const auto* node = node_->get(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  const std::string bounds =
      "a whole number between " + std::to_string(low) + " and " + std::to_string(high);
  const auto* integer = node->as_integer();
  if (integer == nullptr) {
    fail(key, "is " + value_text(*node) + " where an integer is needed", "write " + bounds);
  }
  if (integer->get() < low || integer->get() > high) {
    fail(key, "is " + std::to_string(integer->get()), "it must be " + bounds);
  }
  return integer->get();
}

std::int64_t ConfigTable::integer(std::string_view key, std::int64_t low, std::int64_t high) const {
  const auto value = optional_integer(key, low, high);
  if (!value) {
    fail(key, "is missing",
         "add a whole number between " + std::to_string(low) + " and " + std::to_string(high));
  }
  return *value;
}

std::optional<bool> ConfigTable::optional_flag(std::string_view key) const {
  const auto* node = node_->get(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  const auto* flag = node->as_boolean();
  if (flag == nullptr) {
    fail(key, "is " + value_text(*node) + " where a boolean is needed", "write true or false");
  }
  return flag->get();
}

Watts ConfigTable::power(std::string_view key) const {
  const auto* node = node_->get(key);
  if (node == nullptr) {
    fail(key, "is missing", "add " + std::string{key} + " = \"100MW\"");
  }
  if (node->as_string() == nullptr) {
    fail(key, "is " + value_text(*node) + " without a unit",
         "write a string with a unit, for example \"100MW\"");
  }
  return parse_watts(node->as_string()->get(), where(key));
}

std::optional<TokensPerSecond> ConfigTable::optional_rate(std::string_view key) const {
  const auto* node = node_->get(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  if (node->as_string() == nullptr) {
    fail(key, "is " + value_text(*node) + " without a unit",
         "write a string with a unit, for example \"50tok/s\"");
  }
  return parse_tokens_per_second(node->as_string()->get(), where(key));
}

std::optional<Seconds> ConfigTable::optional_duration(std::string_view key) const {
  const auto* node = node_->get(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  if (node->as_string() == nullptr) {
    fail(key, "is " + value_text(*node) + " without a unit",
         "write a string with a unit, for example \"2s\"");
  }
  return parse_seconds(node->as_string()->get(), where(key));
}

std::optional<Celsius> ConfigTable::optional_temperature(std::string_view key) const {
  const auto* node = node_->get(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  if (node->as_string() == nullptr) {
    fail(key, "is " + value_text(*node) + " without a unit",
         "write a string with a unit, for example \"45C\"");
  }
  return parse_celsius(node->as_string()->get(), where(key));
}

std::vector<std::string> ConfigTable::texts(std::string_view key) const {
  std::vector<std::string> values;
  const auto* node = node_->get(key);
  if (node == nullptr) {
    return values;
  }
  const auto* array = node->as_array();
  if (array == nullptr) {
    fail(key, "is " + value_text(*node) + " where an array is needed", "write an array of strings");
  }
  for (const auto& element : *array) {
    const auto* text = element.as_string();
    if (text == nullptr) {
      fail(key, "holds " + value_text(element), "write an array of strings");
    }
    values.push_back(text->get());
  }
  return values;
}

std::vector<double> ConfigTable::numbers(std::string_view key, Range range) const {
  const auto* node = node_->get(key);
  if (node == nullptr || node->as_array() == nullptr) {
    fail(key, node == nullptr ? "is missing" : "is " + value_text(*node),
         "write an array of numbers");
  }
  std::vector<double> values;
  for (const auto& element : *node->as_array()) {
    const auto number = number_of(element);
    if (!number || *number < range.low || *number > range.high) {
      fail(key, "holds " + value_text(element),
           "write an array of numbers, each " + range_text(range));
    }
    values.push_back(*number);
  }
  return values;
}

std::optional<ConfigTable> ConfigTable::optional_table(std::string_view key) const {
  const auto* node = node_->get(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  const auto* table = node->as_table();
  if (table == nullptr) {
    fail(key, "is " + value_text(*node) + " where a table is needed",
         "write [" + std::string{key} + "] with keys below, or { … }");
  }
  auto child = std::make_shared<Node>();
  child->document = node_->document;
  child->table = table;
  child->file = node_->file;
  child->path = node_->path + (node_->path.empty() ? "" : ".") + std::string{key};
  return ConfigTable{std::move(child)};
}

std::vector<ConfigTable> ConfigTable::tables(std::string_view key) const {
  std::vector<ConfigTable> values;
  const auto* node = node_->get(key);
  if (node == nullptr) {
    return values;
  }
  const auto* array = node->as_array();
  if (array == nullptr) {
    fail(key, "is " + value_text(*node) + " where an array of tables is needed",
         "write [[" + std::string{key} + "]] before each");
  }
  for (std::size_t i = 0; i < array->size(); ++i) {
    const auto* table = (*array)[i].as_table();
    if (table == nullptr) {
      fail(key, "holds " + value_text((*array)[i]),
           "write [[" + std::string{key} + "]] before each");
    }
    auto child = std::make_shared<Node>();
    child->document = node_->document;
    child->table = table;
    child->file = node_->file;
    child->path = node_->path + (node_->path.empty() ? "" : ".") + std::string{key} + "[" +
                  std::to_string(i + 1) + "]";
    values.push_back(ConfigTable{std::move(child)});
  }
  return values;
}

std::vector<std::string> ConfigTable::unread_keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : *node_->table) {
    if (!node_->asked.contains(key.str())) {
      keys.emplace_back(key.str());
    }
  }
  return keys;
}

void ConfigTable::reject_unknown_keys() const {
  const auto unread = unread_keys();
  if (unread.empty()) {
    return;
  }
  const std::vector<std::string> known(node_->asked.begin(), node_->asked.end());
  fail(unread.front(), "is not a key that is known here", suggestion(unread.front(), known));
}

}  // namespace perwatt
