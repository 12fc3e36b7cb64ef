#include "json_value.hpp"

#include <cmath>

#include "perwatt/base/text.hpp"

namespace perwatt::device {

Result<nlohmann::json> parse_json(std::string_view text, const std::string& name) {
  auto document = nlohmann::json::parse(text, nullptr, false);
  if (document.is_discarded()) {
    return Failure{name + " is no JSON: '" + printable(text, 40) + "'"};
  }
  return document;
}

const nlohmann::json* find_member(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) {
    return nullptr;
  }
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::string text_of(const nlohmann::json& object, const char* key) {
  const auto* value = find_member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string{};
}

std::optional<double> number_of(const nlohmann::json& value) {
  if (value.is_string()) {
    return parse_number(trimmed(value.get_ref<const std::string&>()));
  }
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    return std::nullopt;
  }
  return value.get<double>();
}

}  // namespace perwatt::device
