// Configuration files in TOML, read with the place of every value at hand.
//
// A reader asks for the keys it knows and then calls reject_unknown_keys(), so that a misspelt key
// is an error and not a quiet default. All functions throw Error(bad_input) naming file, line, key,
// value and remedy.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/celsius.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt {

/// Closed range a number must lie in.
struct Range {
  double low = -std::numeric_limits<double>::max();
  double high = std::numeric_limits<double>::max();
};

inline constexpr Range kNotNegative{0.0, std::numeric_limits<double>::max()};
inline constexpr Range kPositive{std::numeric_limits<double>::min(),
                                 std::numeric_limits<double>::max()};
inline constexpr Range kRatio{0.0, 1.0};

class ConfigTable {
 public:
  /// Parses a document; `name` stands for the file in messages.
  static ConfigTable parse(std::string_view text, const std::string& name);

  [[nodiscard]] bool has(std::string_view key) const;

  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] std::optional<std::string> optional_text(std::string_view key) const;
  [[nodiscard]] double number(std::string_view key, Range range) const;
  [[nodiscard]] std::optional<double> optional_number(std::string_view key, Range range) const;
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t low,
                                     std::int64_t high) const;
  [[nodiscard]] std::optional<std::int64_t> optional_integer(std::string_view key, std::int64_t low,
                                                             std::int64_t high) const;
  [[nodiscard]] std::optional<bool> optional_flag(std::string_view key) const;

  /// Quantities are strings with a unit; see parse_quantity.hpp.
  [[nodiscard]] Watts power(std::string_view key) const;
  [[nodiscard]] std::optional<TokensPerSecond> optional_rate(std::string_view key) const;
  [[nodiscard]] std::optional<Seconds> optional_duration(std::string_view key) const;
  [[nodiscard]] std::optional<Celsius> optional_temperature(std::string_view key) const;

  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const;
  [[nodiscard]] std::vector<double> numbers(std::string_view key, Range range) const;

  [[nodiscard]] std::optional<ConfigTable> optional_table(std::string_view key) const;

  /// An array of tables; empty when the key is absent.
  [[nodiscard]] std::vector<ConfigTable> tables(std::string_view key) const;

  /// The keys nobody asked for yet, in alphabetical order.
  [[nodiscard]] std::vector<std::string> unread_keys() const;

  /// Throws for the first key nobody asked for, with the nearest key that was.
  void reject_unknown_keys() const;

  /// "file:line: path.to.key"; the table's own place for an absent key.
  [[nodiscard]] std::string where(std::string_view key) const;

  /// Throws the error about one key: "where: what; remedy".
  [[noreturn]] void fail(std::string_view key, const std::string& what,
                         const std::string& remedy) const;

 private:
  struct Node;

  explicit ConfigTable(std::shared_ptr<Node> node) : node_{std::move(node)} {}

  std::shared_ptr<Node> node_;
};

}  // namespace perwatt
