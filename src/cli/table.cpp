#include "table.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace perwatt::cli {

namespace {

/// Columns a terminal gives to UTF-8 text of one-column characters.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

}  // namespace

TextTable::TextTable(std::vector<std::string> header, std::vector<std::size_t> left)
    : rows_{std::move(header)}, left_{std::move(left)} {}

void TextTable::add(std::vector<std::string> row) {
  rows_.push_back(std::move(row));
}

std::string TextTable::text() const {
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(row[i]));
    }
  }
  std::string all;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i < rows_[r].size(); ++i) {
      const std::string padding(widths[i] - width_of(rows_[r][i]), ' ');
      const bool is_left = std::find(left_.begin(), left_.end(), i) != left_.end();
      line += (i > 0 ? "  " : "") + (is_left ? rows_[r][i] + padding : padding + rows_[r][i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    all += line + '\n';
    if (r == 0) {
      std::size_t total = 0;
      for (const auto width : widths) {
        total += width + 2;
      }
      all += std::string(total - 2, '-') + '\n';
    }
  }
  return all;
}

std::string or_dash(const std::optional<double>& value, int digits) {
  return value ? significant(*value, digits) : "-";
}

std::string percent(double ratio, int decimals) {
  return fmt::format("{:.{}f} %", ratio * 100, decimals);
}

std::string power_text(Watts power) {
  const double value = in_watts(power);
  if (std::abs(value) >= 1e6) {
    return significant(value / 1e6) + " MW";
  }
  return std::abs(value) >= 1e3 ? significant(value / 1e3) + " kW" : significant(value) + " W";
}

std::string money_text(UsdPerSecond rate) {
  return significant(in_usd_per_hour(rate), 5) + " USD/h";
}

}  // namespace perwatt::cli
