// For readers of JSON files: an object and the place it stands, so that every complaint names file
// and key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "perwatt/base/units.hpp"

namespace perwatt {

using Json = nlohmann::ordered_json;

/// The JSON value that `text` is. Throws Error(bad_input) saying at which byte it is none.
[[nodiscard]] Json parse_json(std::string_view text, const std::string& where, const char* remedy);

/// One object. Its reads throw Error(bad_input) for a key that is missing or of another kind; the
/// optional_* ones return nothing for a key that is missing or null.
class JsonNode {
 public:
  /// `json` must outlive the node. Throws Error(bad_input) when it is no object.
  JsonNode(const Json& json, std::string where, const char* remedy);

  [[nodiscard]] const std::string& where() const { return where_; }

  [[nodiscard]] std::string place(const std::string& key) const { return where_ + ": " + key; }

  /// Present and not null.
  [[nodiscard]] bool has(const char* key) const { return find(key) != nullptr; }

  [[nodiscard]] const Json* find(const char* key) const;
  [[nodiscard]] const Json& at(const char* key) const;

  /// Present, whatever it is; throws when it is absent.
  [[nodiscard]] bool is_null(const char* key) const { return at(key).is_null(); }

  [[nodiscard]] JsonNode node(const char* key) const;
  [[nodiscard]] std::vector<JsonNode> nodes(const char* key) const;

  [[nodiscard]] double number(const char* key) const;
  [[nodiscard]] double not_negative(const char* key) const;
  [[nodiscard]] std::int64_t count(const char* key) const;
  [[nodiscard]] std::string text(const char* key) const;
  [[nodiscard]] bool flag(const char* key) const;
  [[nodiscard]] std::vector<double> numbers(const char* key) const;  // from 0
  [[nodiscard]] std::vector<std::vector<double>> lists_of_numbers(const char* key) const;
  [[nodiscard]] std::vector<std::string> texts(const char* key) const;

  [[nodiscard]] std::optional<double> optional_number(const char* key) const;
  [[nodiscard]] std::optional<double> optional_not_negative(const char* key) const;
  [[nodiscard]] std::optional<std::int64_t> optional_count(const char* key) const;
  [[nodiscard]] std::optional<int> optional_int(const char* key) const;
  [[nodiscard]] std::string optional_text(const char* key) const;  // else empty

  /// The key's value is not `wanted`: "a number".
  [[noreturn]] void fail(const std::string& key, const std::string& wanted) const;

 private:
  const Json* json_;
  std::string where_;
  const char* remedy_;
};

}  // namespace perwatt
