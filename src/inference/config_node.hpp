// Private to the readers of config.json: an object and the place it stands, so that every complaint
// names file and key.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace perwatt::inference {

/// The JSON value that `text` is. Throws Error(bad_input) saying at which byte it is none.
[[nodiscard]] nlohmann::json parse_config(std::string_view text, const std::string& name);

/// A key and the value its class has in transformers when a file leaves it out.
using ConfigDefault = std::pair<std::string_view, int>;

/// One object of a config. Reads throw Error(bad_input) for a key that is missing or of another
/// kind; null counts as missing.
class ConfigNode {
 public:
  static constexpr int kMostSize = 1 << 24;  // of any width or count in a config

  /// `json` must outlive the node. Throws Error(bad_input) when it is no object.
  ConfigNode(const nlohmann::json& json, std::string where,
             std::span<const ConfigDefault> defaults = {});

  [[nodiscard]] const std::string& where() const { return where_; }

  /// The same object, whose missing keys stand for `defaults`.
  [[nodiscard]] ConfigNode with_defaults(std::span<const ConfigDefault> defaults) const;

  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }

  /// A whole number from 1.
  [[nodiscard]] int size(std::string_view key) const;

  /// A whole number from 1, else `otherwise` when the key is missing.
  [[nodiscard]] int size_or(std::string_view key, int otherwise) const;

  /// A whole number from 0, else `otherwise` when the key is missing.
  [[nodiscard]] int count_or(std::string_view key, int otherwise) const;

  [[nodiscard]] bool flag_or(std::string_view key, bool otherwise) const;

  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] std::string text_or(std::string_view key, std::string_view otherwise) const;

  /// Lists of whole numbers from 0 (true counts as 1) and of texts; empty when the key is missing.
  [[nodiscard]] std::vector<int> counts(std::string_view key) const;
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const;

  [[nodiscard]] ConfigNode child(std::string_view key) const;
  [[nodiscard]] std::optional<ConfigNode> optional_child(std::string_view key) const;

  /// The objects among the values, in order of their keys.
  [[nodiscard]] std::vector<ConfigNode> children() const;

  /// "the value is not `wanted`": "a divisor of num_attention_heads".
  [[noreturn]] void fail(std::string_view key, const std::string& wanted) const;

  /// Something that holds for the object as a whole.
  [[noreturn]] void refuse(const std::string& what_is_wrong, const std::string& remedy) const;

 private:
  [[nodiscard]] const nlohmann::json* find(std::string_view key) const;
  [[nodiscard]] const nlohmann::json& at(std::string_view key) const;
  [[nodiscard]] std::optional<int> whole(std::string_view key, int least) const;
  [[nodiscard]] std::optional<int> default_of(std::string_view key) const;
  [[nodiscard]] std::string place(std::string_view key) const;

  const nlohmann::json* json_;
  std::string where_;
  std::span<const ConfigDefault> defaults_;
};

}  // namespace perwatt::inference
