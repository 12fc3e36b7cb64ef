#include "config_node.hpp"

#include <cstdint>

#include <nlohmann/json.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::inference {

namespace {

constexpr const char* kRemedy = "give the config.json of the checkpoint as it was published";

/// Small enough to be echoed; a structure is named by its kind only.
std::string shown(const nlohmann::json* value) {
  if (value == nullptr) {
    return "nothing";
  }
  return value->is_structured()
             ? std::string{value->type_name()}
             : printable(value->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::optional<int> whole_in(const nlohmann::json& value, int least) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= ConfigNode::kMostSize) {
    const int number = static_cast<int>(value.get<std::uint64_t>());
    return number >= least ? std::optional{number} : std::nullopt;
  }
  return std::nullopt;
}

std::string range_text(int least) {
  return "a whole number from " + std::to_string(least) + " to " +
         std::to_string(ConfigNode::kMostSize);
}

}  // namespace

nlohmann::json parse_config(std::string_view text, const std::string& name) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& fault) {
    const std::string reason = fault.what();
    const auto start = reason.find("] ");  // behind the library's name and number of the fault
    throw_bad_input(
        "is no JSON (" +
            printable(start == std::string::npos ? reason : reason.substr(start + 2), 160) + ")",
        name, "give a model's config.json or the folder it lies in");
  }
}

ConfigNode::ConfigNode(const nlohmann::json& json, std::string where,
                       std::span<const ConfigDefault> defaults)
    : json_{&json}, where_{std::move(where)}, defaults_{defaults} {
  if (!json.is_object()) {
    throw_bad_input("is no JSON object", where_, kRemedy);
  }
}

ConfigNode ConfigNode::with_defaults(std::span<const ConfigDefault> defaults) const {
  return {*json_, where_, defaults};
}

int ConfigNode::size(std::string_view key) const {
  if (const auto value = whole(key, 1)) {
    return *value;
  }
  if (const auto value = default_of(key)) {
    return *value;
  }
  throw_bad_input("lacks '" + std::string{key} + "'", where_, kRemedy);
}

int ConfigNode::size_or(std::string_view key, int otherwise) const {
  return whole(key, 1).value_or(default_of(key).value_or(otherwise));
}

int ConfigNode::count_or(std::string_view key, int otherwise) const {
  return whole(key, 0).value_or(default_of(key).value_or(otherwise));
}

bool ConfigNode::flag_or(std::string_view key, bool otherwise) const {
  const auto* value = find(key);
  if (value == nullptr) {
    return otherwise;
  }
  if (!value->is_boolean()) {
    fail(key, "true or false");
  }
  return value->get<bool>();
}

std::string ConfigNode::text(std::string_view key) const {
  if (!at(key).is_string()) {
    fail(key, "text");
  }
  return at(key).get<std::string>();
}

std::string ConfigNode::text_or(std::string_view key, std::string_view otherwise) const {
  return has(key) ? text(key) : std::string{otherwise};
}

std::vector<int> ConfigNode::counts(std::string_view key) const {
  std::vector<int> list;
  const auto* value = find(key);
  if (value == nullptr) {
    return list;
  }
  if (!value->is_array()) {
    fail(key, "a list of whole numbers");
  }
  for (const auto& element : *value) {
    const auto number =
        element.is_boolean() ? std::optional{element.get<bool>() ? 1 : 0} : whole_in(element, 0);
    if (!number) {
      fail(key, "a list of whole numbers from 0");
    }
    list.push_back(*number);
  }
  return list;
}

std::vector<std::string> ConfigNode::texts(std::string_view key) const {
  std::vector<std::string> list;
  const auto* value = find(key);
  if (value == nullptr) {
    return list;
  }
  if (!value->is_array()) {
    fail(key, "a list of texts");
  }
  for (const auto& element : *value) {
    if (!element.is_string()) {
      fail(key, "a list of texts");
    }
    list.push_back(element.get<std::string>());
  }
  return list;
}

ConfigNode ConfigNode::child(std::string_view key) const {
  return {at(key), place(key)};
}

std::optional<ConfigNode> ConfigNode::optional_child(std::string_view key) const {
  return has(key) ? std::optional{child(key)} : std::nullopt;
}

std::vector<ConfigNode> ConfigNode::children() const {
  std::vector<ConfigNode> list;
  for (const auto& [key, value] : json_->items()) {
    if (value.is_object()) {
      list.emplace_back(value, place(key));
    }
  }
  return list;
}

void ConfigNode::fail(std::string_view key, const std::string& wanted) const {
  throw_bad_input(shown(find(key)) + " is not " + wanted, place(key), kRemedy);
}

void ConfigNode::refuse(const std::string& what_is_wrong, const std::string& remedy) const {
  throw_bad_input(what_is_wrong, where_, remedy);
}

const nlohmann::json* ConfigNode::find(std::string_view key) const {
  const auto found = json_->find(std::string{key});
  return found == json_->end() || found->is_null() ? nullptr : &*found;
}

const nlohmann::json& ConfigNode::at(std::string_view key) const {
  const auto* value = find(key);
  if (value == nullptr) {
    throw_bad_input("lacks '" + std::string{key} + "'", where_, kRemedy);
  }
  return *value;
}

std::optional<int> ConfigNode::whole(std::string_view key, int least) const {
  const auto* value = find(key);
  if (value == nullptr) {
    return std::nullopt;
  }
  const auto number = whole_in(*value, least);
  if (!number) {
    fail(key, range_text(least));
  }
  return number;
}

std::optional<int> ConfigNode::default_of(std::string_view key) const {
  for (const auto& [name, value] : defaults_) {
    if (name == key) {
      return value;
    }
  }
  return std::nullopt;
}

std::string ConfigNode::place(std::string_view key) const {
  return where_ + ": " + printable(key, 60);
}

}  // namespace perwatt::inference
