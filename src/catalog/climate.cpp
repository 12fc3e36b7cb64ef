#include "perwatt/catalog/climate.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::catalog {

namespace {

constexpr int kHoursPerBlock = 3;
constexpr std::size_t kMostHoursInClass = 14;
constexpr double kDryWeight = 1.5;      // the dry bulb spreads more and is cut more often
constexpr double kNarrowKelvins = 0.3;  // a class this narrow is not cut again
constexpr std::array<double, 4> kDryCuts{15, 22, 30, 35};
constexpr std::array<double, 4> kWetCuts{17, 24, 32, 37};

using Hours = std::vector<ClimateHour>;
using Bulb = std::function<double(const ClimateHour&)>;

double dry_of(const ClimateHour& hour) {
  return in_celsius(hour.dry_bulb);
}

double wet_of(const ClimateHour& hour) {
  return in_celsius(hour.wet_bulb);
}

/// The hours at most `limit` and those above it.
std::pair<Hours, Hours> cut(const Hours& hours, const Bulb& bulb, double limit) {
  std::pair<Hours, Hours> parts;
  for (const auto& hour : hours) {
    (bulb(hour) <= limit ? parts.first : parts.second).push_back(hour);
  }
  return parts;
}

std::vector<Hours> cut_at(const std::vector<Hours>& groups, const Bulb& bulb,
                          std::span<const double> limits) {
  std::vector<Hours> result;
  for (auto rest : groups) {
    for (const double limit : limits) {
      auto [low, high] = cut(rest, bulb, limit);
      if (!low.empty()) {
        result.push_back(std::move(low));
      }
      rest = std::move(high);
    }
    if (!rest.empty()) {
      result.push_back(std::move(rest));
    }
  }
  return result;
}

std::vector<double> sorted(const Hours& hours, const Bulb& bulb) {
  std::vector<double> values;
  values.reserve(hours.size());
  for (const auto& hour : hours) {
    values.push_back(bulb(hour));
  }
  std::sort(values.begin(), values.end());
  return values;
}

ClimateClass class_of(const Hours& hours) {
  ClimateClass result;
  double dry = 0;
  double wet = 0;
  double humidity = 0;
  result.max_dry_bulb = hours.front().dry_bulb;
  result.max_wet_bulb = hours.front().wet_bulb;
  for (const auto& hour : hours) {
    dry += dry_of(hour);
    wet += wet_of(hour);
    humidity += hour.relative_humidity_percent;
    result.max_dry_bulb = std::max(result.max_dry_bulb, hour.dry_bulb);
    result.max_wet_bulb = std::max(result.max_wet_bulb, hour.wet_bulb);
  }
  const auto count = static_cast<double>(hours.size());
  const auto to_hundredths = [](double x) { return std::round(x * 100) / 100; };
  const auto up_to_hundredths = [](Celsius t) {
    return celsius(std::ceil(in_celsius(t) * 100 - 1e-6) / 100);
  };
  result.hours = count;
  result.dry_bulb = celsius(to_hundredths(dry / count));
  result.wet_bulb = celsius(to_hundredths(wet / count));
  result.max_dry_bulb = up_to_hundredths(result.max_dry_bulb);
  result.max_wet_bulb = up_to_hundredths(result.max_wet_bulb);
  result.relative_humidity_percent = to_hundredths(humidity / count);
  return result;
}

/// Halves `hours` at the median of the wider spread until the classes are small or narrow.
void add_classes(const Hours& hours, int block, std::vector<ClimateClass>& classes) {
  const auto dry = sorted(hours, dry_of);
  const auto wet = sorted(hours, wet_of);
  const double dry_spread = dry.back() - dry.front();
  const double wet_spread = wet.back() - wet.front();
  if (hours.size() <= kMostHoursInClass || std::max(dry_spread, wet_spread) <= kNarrowKelvins) {
    auto& added = classes.emplace_back(class_of(hours));
    added.first_hour = block * kHoursPerBlock + 1;
    added.last_hour = (block + 1) * kHoursPerBlock;
    return;
  }
  const bool by_dry = kDryWeight * dry_spread >= wet_spread;
  const auto& values = by_dry ? dry : wet;
  double limit = values[(values.size() - 1) / 2];
  if (limit >= values.back()) {  // ties at the top
    limit = (values.front() + values.back()) / 2;
  }
  const auto [low, high] = cut(hours, by_dry ? dry_of : wet_of, limit);
  add_classes(low, block, classes);
  add_classes(high, block, classes);
}

std::string fixed(double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.2f", value + 0.0);
  return text[0] == '-' && std::string_view{text.data()} == "-0.00" ? "0.00" : text.data();
}

// ---- climate files ----------------------------------------------------------------------------

constexpr std::string_view kFirstLine = "# perwatt climate";

/// The "# key: value" lines at the head of a file.
struct Head {
  std::string id;
  std::string name;
  std::string source;
  std::size_t lines = 0;
  std::string_view rest;
};

Head read_head(std::string_view text, const std::string& file) {
  if (trimmed(text.substr(0, text.find('\n'))) != kFirstLine) {
    throw_bad_input(
        "is not a climate file: its first line is '" +
            printable(trimmed(text.substr(0, std::min(text.find('\n'), text.size())))) + "'",
        file + ":1",
        "make one with perwatt import weather; it starts with '" + std::string{kFirstLine} + "'");
  }
  Head head;
  while (text.starts_with('#')) {
    const auto end = text.find('\n');
    const auto line = trimmed(text.substr(1, end == std::string_view::npos ? end : end - 1));
    ++head.lines;
    const auto colon = line.find(':');
    if (colon != std::string_view::npos) {
      const auto key = trimmed(line.substr(0, colon));
      const std::string value{trimmed(line.substr(colon + 1))};
      for (const auto& [name, field] : {std::pair{"id", &head.id}, std::pair{"name", &head.name},
                                        std::pair{"source", &head.source}}) {
        if (key == name) {
          *field = value;
        }
      }
    }
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  head.rest = text;
  return head;
}

void check_head(const Head& head, const std::string& file) {
  for (const auto& [key, value] : {std::pair{"id", &head.id}, std::pair{"name", &head.name},
                                   std::pair{"source", &head.source}}) {
    if (value->empty()) {
      throw_bad_input("has no line '# " + std::string{key} + ": …'", file + ":1",
                      "add it below the first line");
    }
    if (printable(*value, value->size() + 1) != *value) {
      throw_bad_input(
          "the " + std::string{key} + " '" + printable(*value) + "' holds control characters",
          file + ":1", "remove them");
    }
  }
  if (head.id != lower_case(head.id) || head.id.find(' ') != std::string::npos) {
    throw_bad_input("the id is '" + printable(head.id) + "'", file + ":1",
                    "write it in lower case without blanks");
  }
}

class ClassReader {
 public:
  explicit ClassReader(const CsvTable& table)
      : table_{table},
        first_hour_{table.require("first_hour")},
        last_hour_{table.require("last_hour")},
        hours_{table.require("hours")},
        dry_{table.require("dry_bulb_c")},
        wet_{table.require("wet_bulb_c")},
        max_dry_{table.require("max_dry_bulb_c")},
        max_wet_{table.require("max_wet_bulb_c")},
        humidity_{table.require("relative_humidity_percent")} {}

  [[nodiscard]] ClimateClass read(const CsvRow& row) const {
    ClimateClass result;
    result.first_hour = hour(row, first_hour_);
    result.last_hour = hour(row, last_hour_);
    result.hours = number_in(table_, row, hours_, 0, kHoursPerLeapYear);
    result.dry_bulb = air(row, dry_);
    result.wet_bulb = air(row, wet_);
    result.max_dry_bulb = air(row, max_dry_);
    result.max_wet_bulb = air(row, max_wet_);
    result.relative_humidity_percent = number_in(table_, row, humidity_, 0, 100);
    refuse(row, last_hour_, result.last_hour < result.first_hour, "is before first_hour");
    refuse(row, hours_, result.hours <= 0, "is 0");
    refuse(row, wet_, result.wet_bulb > result.dry_bulb, "is above dry_bulb_c");
    refuse(row, max_wet_, result.max_wet_bulb > result.max_dry_bulb, "is above max_dry_bulb_c");
    refuse(row, max_dry_, result.max_dry_bulb < result.dry_bulb, "is below the mean dry_bulb_c");
    refuse(row, max_wet_, result.max_wet_bulb < result.wet_bulb, "is below the mean wet_bulb_c");
    return result;
  }

 private:
  [[nodiscard]] int hour(const CsvRow& row, std::size_t column) const {
    const double value = number_in(table_, row, column, 1, 24);
    refuse(row, column, value != std::floor(value), "is no whole hour");
    return static_cast<int>(value);
  }

  [[nodiscard]] Celsius air(const CsvRow& row, std::size_t column) const {
    return celsius(number_in(table_, row, column, kColdestAirCelsius, kHottestAirCelsius));
  }

  void refuse(const CsvRow& row, std::size_t column, bool is_wrong, const char* what) const {
    if (is_wrong) {
      throw_bad_input("'" + printable(row.fields[column]) + "' " + what, table_.where(row, column),
                      "correct the row, or make the file again with perwatt import weather");
    }
  }

  const CsvTable& table_;
  std::size_t first_hour_, last_hour_, hours_, dry_, wet_, max_dry_, max_wet_, humidity_;
};

}  // namespace

Celsius stull_wet_bulb(Celsius dry_bulb, double relative_humidity_percent) {
  const double t = std::clamp(in_celsius(dry_bulb), -20.0, 50.0);
  const double rh = std::clamp(relative_humidity_percent, 5.0, 99.0);
  const double wet = t * std::atan(0.151977 * std::sqrt(rh + 8.313659)) + std::atan(t + rh) -
                     std::atan(rh - 1.676331) +
                     0.00391838 * std::pow(rh, 1.5) * std::atan(0.023101 * rh) - 4.686035;
  return warmer_by(dry_bulb, -std::max(0.0, t - wet));
}

double humidity_percent_at(Celsius dry_bulb, Celsius dew_point) {
  const auto exponent = [](Celsius t) { return 17.625 * in_celsius(t) / (243.04 + in_celsius(t)); };
  return std::min(100.0, 100.0 * std::exp(exponent(dew_point) - exponent(dry_bulb)));
}

Climate climate_from_hours(std::string id, std::string name, std::string source,
                           std::span<const ClimateHour> hours) {
  Climate climate{std::move(id), std::move(name), std::move(source), {}, {}};
  for (int block = 0; block < 24 / kHoursPerBlock; ++block) {
    Hours of_block;
    for (const auto& hour : hours) {
      if ((hour.hour_of_day - 1) / kHoursPerBlock == block) {
        of_block.push_back(hour);
      }
    }
    if (of_block.empty()) {
      continue;
    }
    for (const auto& group : cut_at(cut_at({of_block}, dry_of, kDryCuts), wet_of, kWetCuts)) {
      add_classes(group, block, climate.classes);
    }
  }
  return climate;
}

ClimateSummary summary_of(const Climate& climate) {
  ClimateSummary summary;
  double dry = 0;
  double wet = 0;
  for (const auto& row : climate.classes) {
    const bool is_first = summary.hours == 0;
    const auto highest = [&](Celsius a, Celsius b) { return is_first ? b : std::max(a, b); };
    summary.max_dry_bulb = highest(summary.max_dry_bulb, row.max_dry_bulb);
    summary.max_wet_bulb = highest(summary.max_wet_bulb, row.max_wet_bulb);
    summary.coldest_class_dry_bulb =
        is_first ? row.dry_bulb : std::min(summary.coldest_class_dry_bulb, row.dry_bulb);
    summary.hours += row.hours;
    dry += row.hours * in_celsius(row.dry_bulb);
    wet += row.hours * in_celsius(row.wet_bulb);
  }
  if (summary.hours > 0) {
    summary.mean_dry_bulb = celsius(dry / summary.hours);
    summary.mean_wet_bulb = celsius(wet / summary.hours);
  }
  return summary;
}

Climate parse_climate(std::string_view text, const std::string& file) {
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.remove_prefix(3);
  }
  const auto head = read_head(text, file);
  check_head(head, file);
  const auto table = CsvTable::parse(head.rest, file, head.lines + 1);
  Climate climate{head.id, head.name, head.source, {}, file + ":1"};
  const ClassReader reader{table};
  double hours = 0;
  for (const auto& row : table.rows()) {
    climate.classes.push_back(reader.read(row));
    hours += climate.classes.back().hours;
  }
  if (std::abs(hours - kHoursPerYear) > 1e-6 && std::abs(hours - kHoursPerLeapYear) > 1e-6) {
    throw_bad_input("the hours of the classes sum to " + shortest(hours), file,
                    "they must sum to 8760 or 8784");
  }
  return climate;
}

std::string format_climate(const Climate& climate) {
  std::string text = std::string{kFirstLine} + "\n# id: " + climate.id +
                     "\n# name: " + climate.name + "\n# source: " + climate.source +
                     "\n"
                     "# method: joint classes of dry bulb, wet bulb and hour of the day, derived "
                     "from the hourly file by perwatt import weather; wet bulb by Stull (2011) at "
                     "sea level\n"
                     "# hours 1 to 24, local standard time; hour h ends at h o'clock\n"
                     "first_hour,last_hour,hours,dry_bulb_c,wet_bulb_c,max_dry_bulb_c,"
                     "max_wet_bulb_c,relative_humidity_percent\n";
  for (const auto& row : climate.classes) {
    text += csv_line({std::to_string(row.first_hour), std::to_string(row.last_hour),
                      shortest(row.hours), fixed(in_celsius(row.dry_bulb)),
                      fixed(in_celsius(row.wet_bulb)), fixed(in_celsius(row.max_dry_bulb)),
                      fixed(in_celsius(row.max_wet_bulb)), fixed(row.relative_humidity_percent)});
  }
  return text;
}

}  // namespace perwatt::catalog
