// Private to the reader of quantization_config: which modules an entry of an ignore list means.
#pragma once

#include <optional>
#include <regex>
#include <string>

namespace perwatt::inference {

/// An entry such as "lm_head", "model.layers.*.self_attn", "*shared_expert*" or "re:.*gate$".
class ModulePattern {
 public:
  /// The pattern that `text` is, or nothing when it cannot be one (a malformed or overlong "re:").
  [[nodiscard]] static std::optional<ModulePattern> parse(const std::string& text);

  [[nodiscard]] bool is_expression() const { return expression_.has_value(); }

  /// Whether it means the module of that dotted name: a regular expression from the name's start
  /// on; else, with * for any run of characters, the name itself or a run of its dotted parts.
  [[nodiscard]] bool matches(const std::string& module) const;

 private:
  std::string glob_;
  std::optional<std::regex> expression_;
};

}  // namespace perwatt::inference
