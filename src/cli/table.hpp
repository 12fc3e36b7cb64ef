// Plain-text tables and numbers for people.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "perwatt/base/text.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::cli {

/// A table with a header; the first column is aligned left, `left` columns too, the others right.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header, std::vector<std::size_t> left = {0});

  void add(std::vector<std::string> row);

  /// All lines, two blanks between columns, a rule under the header.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> left_;
};

/// significant(), or "-" for what is unknown.
[[nodiscard]] std::string or_dash(const std::optional<double>& value, int digits = 4);

/// "12.3 %".
[[nodiscard]] std::string percent(double ratio, int decimals = 0);

/// "97.3 MW", "455 kW".
[[nodiscard]] std::string power_text(Watts power);

/// "1,234 USD/h"
[[nodiscard]] std::string money_text(UsdPerSecond rate);

}  // namespace perwatt::cli
