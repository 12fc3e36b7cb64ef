#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include "site_tables.hpp"

#include "perwatt/base/text.hpp"
#include "perwatt/facility/hourly_year.hpp"

namespace perwatt::plan {

namespace {

constexpr int kHoursPerDay = 24;
constexpr std::int64_t kMostClasses = 24;
constexpr std::int64_t kUsualClasses = 12;
constexpr std::size_t kWeatherPerClass = 12;
constexpr double kGramsPerTonne = 1e6;
constexpr Range kPricePerKwh{-100.0, 100.0};
constexpr Range kGramsPerKwh{0.0, 1e5};
constexpr Range kDemandRatio{0.0, 1e3};

/// What differs between hours, apart from the weather.
struct HourFigures {
  double usd_per_kwh = 0;
  std::optional<double> carbon_grams_per_kwh;
  double demand_ratio = 1;

  auto operator<=>(const HourFigures&) const = default;
};

/// An hour of the year, or a class of hours.
struct Cell {
  double hours = 0;
  HourFigures figures;
  std::vector<catalog::ClimateClass> weather;
};

std::optional<std::vector<double>> read_by_hour(const ConfigTable& table, std::string_view key,
                                                Range range) {
  if (!table.has(key)) {
    static_cast<void>(table.optional_text(key));  // asked for: a key that messages may suggest
    return std::nullopt;
  }
  auto values = table.numbers(key, range);
  if (values.size() != kHoursPerDay) {
    table.fail(key, "has " + std::to_string(values.size()) + " values",
               "give 24, for the hours that end at 1 to 24 o'clock");
  }
  return values;
}

/// The day as the site file states it.
class StatedDay {
 public:
  StatedDay(const ConfigTable& table, std::optional<double> usd_per_kwh)
      : price_{read_by_hour(table, "energy_usd_per_kwh_by_hour", kPricePerKwh)},
        carbon_{read_by_hour(table, "carbon_grams_per_kwh_by_hour", kGramsPerKwh)},
        demand_{read_by_hour(table, "demand_ratio_by_hour", kDemandRatio)},
        flat_carbon_{table.optional_number("carbon_grams_per_kwh", kGramsPerKwh)},
        flat_price_{usd_per_kwh} {
    if (carbon_ && flat_carbon_) {
      table.fail("carbon_grams_per_kwh", "is given beside carbon_grams_per_kwh_by_hour",
                 "keep one of the two");
    }
  }

  [[nodiscard]] bool has_price() const { return price_.has_value(); }

  [[nodiscard]] bool has_carbon() const { return carbon_ || flat_carbon_; }

  [[nodiscard]] bool has_demand() const { return demand_.has_value(); }

  /// Means over the hours `first` to `last` (1 to 24).
  [[nodiscard]] HourFigures over(int first, int last) const {
    HourFigures figures;
    figures.usd_per_kwh = price_ ? mean(*price_, first, last) : flat_price_.value_or(0);
    figures.carbon_grams_per_kwh =
        carbon_ ? std::optional{mean(*carbon_, first, last)} : flat_carbon_;
    figures.demand_ratio = demand_ ? mean(*demand_, first, last) : 1.0;
    return figures;
  }

 private:
  static double mean(const std::vector<double>& values, int first, int last) {
    const double sum = std::accumulate(values.begin() + first - 1, values.begin() + last, 0.0);
    return sum / (last - first + 1);
  }

  std::optional<std::vector<double>> price_;
  std::optional<std::vector<double>> carbon_;
  std::optional<std::vector<double>> demand_;
  std::optional<double> flat_carbon_;
  std::optional<double> flat_price_;
};

std::vector<Cell> cells_of_climate(const catalog::Climate& climate, const StatedDay& day) {
  std::map<std::pair<int, int>, Cell> blocks;
  for (const auto& row : climate.classes) {
    auto& cell = blocks[{row.first_hour, row.last_hour}];
    cell.hours += row.hours;
    cell.figures = day.over(row.first_hour, row.last_hour);
    cell.weather.push_back(row);
  }
  std::vector<Cell> cells;
  cells.reserve(blocks.size());
  for (auto& [block, cell] : blocks) {
    cells.push_back(std::move(cell));
  }
  return cells;
}

std::vector<Cell> cells_of_day(const StatedDay& day) {
  std::vector<Cell> cells;
  cells.reserve(kHoursPerDay);
  for (int hour = 1; hour <= kHoursPerDay; ++hour) {
    cells.push_back({365.0, day.over(hour, hour), {}});
  }
  return cells;
}

/// Cells of equal figures become one class.
std::vector<Cell> merged(const std::vector<Cell>& cells) {
  std::vector<Cell> classes;
  for (const auto& cell : cells) {
    const auto same = std::find_if(classes.begin(), classes.end(),
                                   [&](const Cell& c) { return c.figures == cell.figures; });
    if (same == classes.end()) {
      classes.push_back(cell);
    } else {
      same->hours += cell.hours;
      same->weather.insert(same->weather.end(), cell.weather.begin(), cell.weather.end());
    }
  }
  return classes;
}

/// Splits hours into classes of like figures: always the class of the widest spread, at the median.
class HourSplitter {
 public:
  HourSplitter(const facility::HourlyYear& year, const StatedDay& day) : year_{year} {
    for (std::size_t i = 0; i < year.hours; ++i) {
      const int hour = static_cast<int>(i % kHoursPerDay) + 1;
      auto figures = day.over(hour, hour);
      if (!year.energy_price.empty()) {
        figures.usd_per_kwh = in_usd_per_kwh(year.energy_price[i]);
      }
      if (!year.carbon_grams_per_kwh.empty()) {
        figures.carbon_grams_per_kwh = year.carbon_grams_per_kwh[i];
      }
      if (!year.demand_ratio.empty()) {
        figures.demand_ratio = year.demand_ratio[i];
      }
      figures_.push_back(figures);
    }
  }

  [[nodiscard]] std::vector<Cell> classes(std::size_t most) const {
    std::vector<std::size_t> all(year_.hours);
    std::iota(all.begin(), all.end(), std::size_t{0});
    std::vector<Cell> cells;
    for (const auto& hours : split(all, most, kAllFeatures)) {
      cells.push_back(cell_of(hours));
    }
    return cells;
  }

 private:
  using Hours = std::vector<std::size_t>;

  enum Feature { price, carbon, demand, dry_bulb, wet_bulb };

  static constexpr std::array kAllFeatures{price, carbon, demand, dry_bulb, wet_bulb};
  static constexpr std::array kWeatherFeatures{dry_bulb, wet_bulb};

  [[nodiscard]] double value(std::size_t hour, Feature feature) const {
    const auto& figures = figures_[hour];
    switch (feature) {
      case price:
        return figures.usd_per_kwh;
      case carbon:
        return figures.carbon_grams_per_kwh.value_or(0);
      case demand:
        return figures.demand_ratio;
      case dry_bulb:
        return year_.weather.empty() ? 0 : in_celsius(year_.weather[hour].dry_bulb);
      case wet_bulb:
        return year_.weather.empty() ? 0 : in_celsius(year_.weather[hour].wet_bulb);
    }
    return 0;
  }

  /// Range of a feature over some hours.
  [[nodiscard]] double spread(const Hours& hours, Feature feature) const {
    const auto [low, high] = std::minmax_element(
        hours.begin(), hours.end(),
        [&](std::size_t a, std::size_t b) { return value(a, feature) < value(b, feature); });
    return value(*high, feature) - value(*low, feature);
  }

  template <class Features>
  [[nodiscard]] std::vector<Hours> split(const Hours& hours, std::size_t most,
                                         const Features& features) const {
    std::vector<double> whole;
    whole.reserve(features.size());
    for (const auto feature : features) {
      whole.push_back(spread(hours, feature));
    }
    std::vector<Hours> parts{hours};
    while (parts.size() < most) {
      double widest = 0;
      std::size_t part = 0;
      Feature along = price;
      for (std::size_t p = 0; p < parts.size(); ++p) {
        for (std::size_t f = 0; f < features.size(); ++f) {
          const double share = whole[f] > 0 ? spread(parts[p], features[f]) / whole[f] : 0;
          const double weight = share * std::sqrt(static_cast<double>(parts[p].size()));
          if (weight > widest) {
            widest = weight;
            part = p;
            along = features[f];
          }
        }
      }
      if (widest == 0) {
        break;  // all hours of every part are alike
      }
      auto& from = parts[part];
      std::stable_sort(from.begin(), from.end(), [&](std::size_t a, std::size_t b) {
        return value(a, along) < value(b, along);
      });
      auto cut = from.begin() + static_cast<std::ptrdiff_t>(from.size() / 2);
      if (cut == from.begin()) {
        break;
      }
      Hours upper{cut, from.end()};
      from.erase(cut, from.end());
      parts.push_back(std::move(upper));
    }
    return parts;
  }

  [[nodiscard]] double mean(const Hours& hours, Feature feature) const {
    double sum = 0;
    for (const std::size_t hour : hours) {
      sum += value(hour, feature);
    }
    return sum / static_cast<double>(hours.size());
  }

  [[nodiscard]] double most(const Hours& hours, Feature feature) const {
    double highest = -HUGE_VAL;
    for (const std::size_t hour : hours) {
      highest = std::max(highest, value(hour, feature));
    }
    return highest;
  }

  [[nodiscard]] Cell cell_of(const Hours& hours) const {
    Cell cell;
    cell.hours = static_cast<double>(hours.size());
    cell.figures.usd_per_kwh = mean(hours, price);
    if (figures_.front().carbon_grams_per_kwh) {
      cell.figures.carbon_grams_per_kwh = mean(hours, carbon);
    }
    cell.figures.demand_ratio = mean(hours, demand);
    if (year_.weather.empty()) {
      return cell;
    }
    for (const auto& like : split(hours, kWeatherPerClass, kWeatherFeatures)) {
      catalog::ClimateClass row;
      row.hours = static_cast<double>(like.size());
      row.dry_bulb = celsius(mean(like, dry_bulb));
      row.wet_bulb = celsius(mean(like, wet_bulb));
      row.max_dry_bulb = celsius(most(like, dry_bulb));
      row.max_wet_bulb = celsius(most(like, wet_bulb));
      cell.weather.push_back(row);
    }
    return cell;
  }

  const facility::HourlyYear& year_;
  std::vector<HourFigures> figures_;
};

std::string class_name(const Cell& cell, std::size_t index) {
  if (cell.weather.empty()) {
    return "hours " + std::to_string(index + 1);
  }
  const auto warmest =
      std::max_element(cell.weather.begin(), cell.weather.end(),
                       [](const catalog::ClimateClass& a, const catalog::ClimateClass& b) {
                         return a.max_dry_bulb < b.max_dry_bulb;
                       });
  return "hours " + std::to_string(index + 1) + ", to " +
         significant(in_celsius(warmest->max_dry_bulb), 3) + " C";
}

/// From cells to the classes the plan works with.
void set_year(const std::vector<Cell>& cells, double carbon_usd_per_tonne, Site& site) {
  double hours = 0;
  for (const auto& cell : cells) {
    hours += cell.hours;
  }
  site.energy_price = UsdPerJoule{};
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const auto& cell = cells[i];
    const double carbon_usd =
        cell.figures.carbon_grams_per_kwh.value_or(0) * carbon_usd_per_tonne / kGramsPerTonne;
    HourClass hour_class;
    hour_class.name = cells.size() == 1 ? "all hours" : class_name(cell, i);
    hour_class.year_ratio = cell.hours / hours;
    hour_class.energy_price = usd_per_kwh(cell.figures.usd_per_kwh + carbon_usd);
    hour_class.carbon_grams_per_kwh = cell.figures.carbon_grams_per_kwh;
    hour_class.demand_ratio = cell.figures.demand_ratio;
    hour_class.weather = cell.weather;
    site.energy_price += hour_class.energy_price * hour_class.year_ratio;
    site.year.push_back(std::move(hour_class));
  }
  for (auto& supply : site.supplies) {  // its own emissions cost what the grid's do
    supply.energy_price +=
        usd_per_kwh(supply.carbon_grams_per_kwh * carbon_usd_per_tonne / kGramsPerTonne);
  }
}

/// Takes the year's own prices, or those of [prices], never both.
void check_price(const ConfigTable& document, const ConfigTable& place, bool year_has_price,
                 const Site& site) {
  const bool stated = site.stated_energy_price.has_value();
  if (stated && year_has_price) {
    const bool by_hour = place.has("energy_usd_per_kwh_by_hour");
    place.fail(by_hour ? "energy_usd_per_kwh_by_hour" : "hourly_file",
               "gives prices beside the energy_usd_per_kwh of [prices]",
               "remove energy_usd_per_kwh from [prices]");
  }
  if (!stated && !year_has_price) {
    document.fail("prices", "has no energy_usd_per_kwh, and [year] gives no hourly prices",
                  "add energy_usd_per_kwh = 0.08");
  }
}

}  // namespace

void read_year(const ConfigTable& document, const catalog::Catalog& catalog, Site& site) {
  const auto stated = site.stated_energy_price;
  const auto flat = stated ? std::optional{in_usd_per_kwh(*stated)} : std::nullopt;
  const auto table = document.optional_table("year");
  if (!table) {
    check_price(document, document, false, site);
    set_year({{kHoursPerYear, {*flat, std::nullopt, 1}, {}}}, 0, site);
    return;
  }
  const StatedDay day{*table, flat};
  const double carbon_price =
      table->optional_number("carbon_usd_per_tonne", {0.0, 1e5}).value_or(0);
  const auto most = static_cast<std::size_t>(
      table->optional_integer("hour_classes", 1, kMostClasses).value_or(kUsualClasses));
  const auto file = table->optional_text("hourly_file");
  const auto climate = table->optional_text("climate");
  if (!file && table->has("hour_classes")) {
    table->fail("hour_classes", "cuts the hours of an hourly_file, and there is none",
                "remove it: a climate and values by hour bring their own classes");
  }
  if (file && climate) {
    table->fail("hourly_file", "is given beside climate", "keep one of the two");
  }
  std::vector<Cell> cells;
  bool has_price = day.has_price();
  bool has_carbon = day.has_carbon();
  if (file) {
    const auto path = std::filesystem::path{site.file}.parent_path() / *file;
    const auto year = facility::read_hourly_year(path);
    for (const auto& [key, in_day, in_file] :
         {std::tuple{"energy_usd_per_kwh_by_hour", day.has_price(), !year.energy_price.empty()},
          std::tuple{"carbon_grams_per_kwh", day.has_carbon(), !year.carbon_grams_per_kwh.empty()},
          std::tuple{"demand_ratio_by_hour", day.has_demand(), !year.demand_ratio.empty()}}) {
      if (in_day && in_file) {
        table->fail(key, "is given here and in the hourly file", "keep one of the two");
      }
    }
    has_price = has_price || !year.energy_price.empty();
    has_carbon = has_carbon || !year.carbon_grams_per_kwh.empty();
    site.climate = path.string();
    cells = HourSplitter{year, day}.classes(most);
  } else if (climate) {
    const auto& known = catalog.climate(*climate, table->where("climate"));
    site.climate = known.id;
    cells = merged(cells_of_climate(known, day));
  } else {
    cells = merged(cells_of_day(day));
  }
  if (carbon_price > 0 && !has_carbon) {
    table->fail("carbon_usd_per_tonne", "prices carbon that is not known",
                "add carbon_grams_per_kwh");
  }
  check_price(document, *table, has_price, site);
  table->reject_unknown_keys();
  set_year(cells, carbon_price, site);
}

}  // namespace perwatt::plan
