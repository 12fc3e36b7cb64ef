#include "perwatt/base/json_node.hpp"

#include <cmath>
#include <limits>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt {

namespace {

constexpr double kMostCount = 9e15;  // whole numbers that a double holds

// Beyond every figure of a measurement; what is computed from such numbers stays finite.
constexpr double kMostNumber = 1e18;

/// Small enough to be echoed; a deeply nested value is named by its kind only.
std::string shown(const Json& value) {
  return value.is_structured()
             ? std::string{value.type_name()}
             : printable(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

bool is_plausible(const Json& value) {
  return value.is_number() && std::abs(value.get<double>()) <= kMostNumber;
}

std::optional<std::vector<double>> numbers_in(const Json& json) {
  if (!json.is_array()) {
    return std::nullopt;
  }
  std::vector<double> list;
  for (const auto& element : json) {
    if (!is_plausible(element) || element.get<double>() < 0) {
      return std::nullopt;
    }
    list.push_back(element.get<double>());
  }
  return list;
}

}  // namespace

Json parse_json(std::string_view text, const std::string& where, const char* remedy) {
  try {
    return Json::parse(text);
  } catch (const Json::exception& fault) {
    // The library's message ends with what it expected; its name and number are of no use.
    std::string reason = fault.what();
    const auto start = reason.find("] ");
    throw_bad_input(
        "is no JSON (" +
            printable(start == std::string::npos ? reason : reason.substr(start + 2), 160) + ")",
        where, remedy);
  }
}

JsonNode::JsonNode(const Json& json, std::string where, const char* remedy)
    : json_{&json}, where_{std::move(where)}, remedy_{remedy} {
  if (!json.is_object()) {
    throw_bad_input("is no JSON object", where_, remedy_);
  }
}

const Json* JsonNode::find(const char* key) const {
  const auto found = json_->find(key);
  return found == json_->end() || found->is_null() ? nullptr : &*found;
}

const Json& JsonNode::at(const char* key) const {
  const auto found = json_->find(key);
  if (found == json_->end()) {
    throw_bad_input("lacks '" + printable(key) + "'", where_, remedy_);
  }
  return *found;
}

JsonNode JsonNode::node(const char* key) const {
  return {at(key), place(key), remedy_};
}

std::vector<JsonNode> JsonNode::nodes(const char* key) const {
  if (!at(key).is_array()) {
    fail(key, "a list");
  }
  std::vector<JsonNode> list;
  for (const auto& element : at(key)) {
    list.emplace_back(element, place(key) + "[" + std::to_string(list.size()) + "]", remedy_);
  }
  return list;
}

double JsonNode::number(const char* key) const {
  const auto& value = at(key);
  if (!is_plausible(value)) {
    fail(key, "a number of a measurement");
  }
  return value.get<double>();
}

double JsonNode::not_negative(const char* key) const {
  const double value = number(key);
  if (value < 0) {
    fail(key, "a number from 0");
  }
  return value;
}

std::int64_t JsonNode::count(const char* key) const {
  // "105.0" too: tools that keep every figure as a float write it for 105.
  const double value = number(key);
  if (value < 0 || value > kMostCount ||
      static_cast<double>(static_cast<std::int64_t>(value)) != value) {
    fail(key, "a count");
  }
  return static_cast<std::int64_t>(value);
}

std::string JsonNode::text(const char* key) const {
  if (!at(key).is_string()) {
    fail(key, "text");
  }
  return at(key).get<std::string>();
}

bool JsonNode::flag(const char* key) const {
  if (!at(key).is_boolean()) {
    fail(key, "true or false");
  }
  return at(key).get<bool>();
}

std::vector<double> JsonNode::numbers(const char* key) const {
  if (auto list = numbers_in(at(key))) {
    return std::move(*list);
  }
  fail(key, "a list of numbers from 0");
}

std::vector<std::vector<double>> JsonNode::lists_of_numbers(const char* key) const {
  if (!at(key).is_array()) {
    fail(key, "a list of lists of numbers");
  }
  std::vector<std::vector<double>> lists;
  for (const auto& element : at(key)) {
    auto list = numbers_in(element);
    if (!list) {
      fail(key, "a list of lists of numbers from 0");
    }
    lists.push_back(std::move(*list));
  }
  return lists;
}

std::vector<std::string> JsonNode::texts(const char* key) const {
  if (!at(key).is_array()) {
    fail(key, "a list of texts");
  }
  std::vector<std::string> list;
  for (const auto& element : at(key)) {
    if (!element.is_string()) {
      fail(key, "a list of texts");
    }
    list.push_back(element.get<std::string>());
  }
  return list;
}

std::optional<double> JsonNode::optional_number(const char* key) const {
  return has(key) ? std::optional{number(key)} : std::nullopt;
}

std::optional<double> JsonNode::optional_not_negative(const char* key) const {
  return has(key) ? std::optional{not_negative(key)} : std::nullopt;
}

std::optional<std::int64_t> JsonNode::optional_count(const char* key) const {
  return has(key) ? std::optional{count(key)} : std::nullopt;
}

std::optional<int> JsonNode::optional_int(const char* key) const {
  const auto value = optional_count(key);
  if (value && *value > std::numeric_limits<int>::max()) {
    fail(key, "a smaller count");
  }
  return value ? std::optional{static_cast<int>(*value)} : std::nullopt;
}

std::string JsonNode::optional_text(const char* key) const {
  return has(key) ? text(key) : std::string{};
}

void JsonNode::fail(const std::string& key, const std::string& wanted) const {
  const auto found = json_->find(key);
  throw_bad_input((found == json_->end() ? "nothing" : shown(*found)) + " is not " + wanted,
                  printable(place(key), 200), remedy_);
}

}  // namespace perwatt
