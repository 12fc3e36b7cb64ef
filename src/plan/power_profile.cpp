#include "perwatt/plan/power_profile.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <utility>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::plan {

namespace {

constexpr double kLargestRatio = 100;
constexpr double kLargestCount = 1e12;
constexpr double kLargestWatts = 1e6;
constexpr double kMeanTolerance = 0.02;
constexpr double kReferencePercentile = 0.9;

/// The quantile columns of a table: q<probability>_ratio.
struct QuantileColumns {
  std::vector<double> probabilities;
  std::vector<std::size_t> columns;
};

/// A table of data/power with the checks that all three share.
class ProfileTable {
 public:
  explicit ProfileTable(const std::filesystem::path& file)
      : table_{CsvTable::parse(read_file(file), file.string())} {}

  [[nodiscard]] const std::vector<CsvRow>& rows() const { return table_.rows(); }

  [[nodiscard]] const std::string& name() const { return table_.name(); }

  [[nodiscard]] const std::string& text(const CsvRow& row, std::string_view column) const {
    const auto& field = optional_text(row, column);
    if (field.empty()) {
      fail(row, table_.require(column), "is empty", "give it a value");
    }
    return field;
  }

  [[nodiscard]] const std::string& optional_text(const CsvRow& row, std::string_view column) const {
    return row.fields[table_.require(column)];
  }

  [[nodiscard]] double number(const CsvRow& row, std::string_view column, double low,
                              double high) const {
    (void)text(row, column);
    return number_at(row, table_.require(column), low, high);
  }

  [[nodiscard]] std::optional<double> optional_number(const CsvRow& row, std::string_view column,
                                                      double low, double high) const {
    return optional_text(row, column).empty() ? std::nullopt
                                              : std::optional{number(row, column, low, high)};
  }

  [[nodiscard]] Tag tag(const CsvRow& row) const {
    const auto tag = parse_tag(text(row, "tag"));
    if (!tag) {
      fail(row, table_.require("tag"), "is '" + printable(text(row, "tag")) + "'",
           "write measured, derived, interpolated, modelled, published or assumed");
    }
    return *tag;
  }

  [[nodiscard]] QuantileColumns quantile_columns() const {
    QuantileColumns found;
    for (std::size_t column = 0; column < table_.columns().size(); ++column) {
      const std::string_view name = table_.columns()[column];
      constexpr std::string_view kEnd = "_ratio";
      if (!name.starts_with('q') || !name.ends_with(kEnd)) {
        continue;
      }
      const auto probability = parse_number(name.substr(1, name.size() - 1 - kEnd.size()));
      const double last = found.probabilities.empty() ? -1 : found.probabilities.back();
      if (!probability || *probability <= last || *probability > 1) {
        throw_bad_input("the column '" + printable(name) + "' is out of order", table_.name(),
                        "name the quantiles q0_ratio to q1_ratio by rising probability");
      }
      found.probabilities.push_back(*probability);
      found.columns.push_back(column);
    }
    if (found.columns.size() < 2 || found.probabilities.front() != 0 ||
        found.probabilities.back() != 1) {
      throw_bad_input("the quantile columns do not reach from q0_ratio to q1_ratio", table_.name(),
                      "add both ends");
    }
    return found;
  }

  [[nodiscard]] QuantileFunction quantiles(const CsvRow& row, const QuantileColumns& at) const {
    std::vector<double> values;
    for (const std::size_t column : at.columns) {
      const double value = number_at(row, column, 0, kLargestRatio);
      if (!values.empty() && value < values.back()) {
        fail(row, column, "is " + shortest(value) + ", below the quantile before it",
             "quantiles must not fall");
      }
      values.push_back(value);
    }
    return {at.probabilities, std::move(values)};
  }

  [[noreturn]] void fail(const CsvRow& row, std::size_t column, const std::string& what,
                         const std::string& remedy) const {
    throw_bad_input(what, table_.where(row, column), remedy);
  }

  [[nodiscard]] std::size_t column(std::string_view name) const { return table_.require(name); }

 private:
  [[nodiscard]] double number_at(const CsvRow& row, std::size_t column, double low,
                                 double high) const {
    const auto value = parse_number(row.fields[column]);
    if (!value || *value < low || *value > high) {
      fail(row, column, "is '" + printable(row.fields[column]) + "'",
           "give a number between " + shortest(low) + " and " + shortest(high));
    }
    return *value;
  }

  CsvTable table_;
};

/// The id of `row`; throws when one of `earlier` has it.
template <class Entry>
std::string new_id(const ProfileTable& table, const CsvRow& row,
                   const std::vector<Entry>& earlier) {
  const auto& id = table.text(row, "id");
  if (std::any_of(earlier.begin(), earlier.end(), [&](const Entry& e) { return e.id == id; })) {
    table.fail(row, table.column("id"), "'" + printable(id) + "' stands in an earlier row too",
               "give each row an id of its own");
  }
  return id;
}

std::vector<PowerProfile> read_profiles(const std::filesystem::path& file) {
  const ProfileTable table{file};
  const auto columns = table.quantile_columns();
  std::vector<PowerProfile> profiles;
  for (const auto& row : table.rows()) {
    auto ratio = table.quantiles(row, columns);
    if (std::abs(ratio.mean() - 1) > kMeanTolerance) {
      table.fail(row, columns.columns.front(),
                 "the quantiles have the mean " + significant(ratio.mean()) + " instead of 1",
                 "divide the draw by its mean before taking quantiles");
    }
    const auto& mode = table.text(row, "mode");
    if (mode != "aggregated" && mode != "disaggregated") {
      table.fail(row, table.column("mode"), "is '" + printable(mode) + "'",
                 "use aggregated or disaggregated");
    }
    const double samples = table.number(row, "samples", 1, kLargestCount);
    PowerProfile profile{
        new_id(table, row, profiles),
        table.text(row, "accelerator"),
        table.text(row, "source"),
        table.tag(row),
        mode == "aggregated" ? inference::Serving::aggregated : inference::Serving::disaggregated,
        std::move(ratio),
        table.number(row, "samples_effective", 1, samples),
        table.optional_number(row, "mean_gpu_correlation", -1, 1),
        std::nullopt};
    if (const auto mean = table.optional_number(row, "mean_gpu_power_watts", 1, kLargestWatts)) {
      profile.mean_gpu_power = watts(*mean);
    }
    profiles.push_back(std::move(profile));
  }
  return profiles;
}

std::vector<PowerWindow> read_windows(const std::filesystem::path& file) {
  const ProfileTable table{file};
  std::vector<PowerWindow> windows;
  for (const auto& row : table.rows()) {
    PowerWindow window;
    window.accelerator = table.text(row, "accelerator");
    window.model = table.text(row, "model");
    window.engine = table.text(row, "engine");
    window.concurrency = static_cast<int>(table.number(row, "concurrency", 1, 1e9));
    window.mean_gpu_power = watts(table.number(row, "mean_gpu_power_watts", 1, kLargestWatts));
    window.p90_ratio = table.number(row, "p90_ratio", 1, kLargestRatio);
    window.p75_ratio = table.number(row, "p75_ratio", 0, window.p90_ratio);
    window.window = seconds(table.number(row, "window_s", 1, kLargestCount));
    window.tag = table.tag(row);
    window.source = table.text(row, "source");
    windows.push_back(std::move(window));
  }
  return windows;
}

std::vector<FleetDistribution> read_fleets(const std::filesystem::path& file) {
  const ProfileTable table{file};
  const auto columns = table.quantile_columns();
  std::vector<FleetDistribution> fleets;
  for (const auto& row : table.rows()) {
    const auto& unit = table.text(row, "unit");
    if (unit != "gpu" && unit != "server") {
      table.fail(row, table.column("unit"), "is '" + printable(unit) + "'", "use gpu or server");
    }
    fleets.push_back({new_id(table, row, fleets), table.text(row, "accelerator"), unit,
                      table.text(row, "reference"),
                      watts(table.number(row, "reference_power_watts", 1, kLargestWatts)),
                      watts(table.number(row, "mean_power_watts", 1, kLargestWatts)),
                      table.quantiles(row, columns), table.tag(row), table.text(row, "source")});
  }
  return fleets;
}

}  // namespace

QuantileFunction::QuantileFunction(std::vector<double> probabilities, std::vector<double> values)
    : probabilities_{std::move(probabilities)}, values_{std::move(values)} {
  const bool good = probabilities_.size() >= 2 && probabilities_.size() == values_.size() &&
                    probabilities_.front() == 0 && probabilities_.back() == 1 &&
                    std::is_sorted(values_.begin(), values_.end()) &&
                    std::adjacent_find(probabilities_.begin(), probabilities_.end(),
                                       std::greater_equal<>{}) == probabilities_.end();
  if (!good) {
    throw_defect("quantiles out of order");
  }
}

double QuantileFunction::at(double probability) const {
  const auto right = std::lower_bound(probabilities_.begin(), probabilities_.end(), probability);
  if (right == probabilities_.begin()) {
    return values_.front();
  }
  if (right == probabilities_.end()) {
    return values_.back();
  }
  const auto i = static_cast<std::size_t>(right - probabilities_.begin());
  const double share =
      (probability - probabilities_[i - 1]) / (probabilities_[i] - probabilities_[i - 1]);
  return values_[i - 1] + share * (values_[i] - values_[i - 1]);
}

double QuantileFunction::mean() const {
  double area = 0;
  for (std::size_t i = 1; i < values_.size(); ++i) {
    area += (probabilities_[i] - probabilities_[i - 1]) * (values_[i] + values_[i - 1]) / 2;
  }
  return area;
}

QuantileFunction QuantileFunction::spread_about_one(double factor) const {
  auto values = values_;
  for (auto& value : values) {
    value = std::max(0.0, 1 + factor * (value - 1));
  }
  return {probabilities_, std::move(values)};
}

const PowerProfile* PowerProfiles::find(std::string_view id) const {
  const auto found = std::find_if(profiles.begin(), profiles.end(),
                                  [&](const PowerProfile& p) { return p.id == id; });
  return found == profiles.end() ? nullptr : &*found;
}

PowerProfile PowerProfiles::for_accelerator(const std::string& accelerator,
                                            inference::Serving serving) const {
  const bool split = serving == inference::Serving::disaggregated;
  if (const auto* own = find(accelerator + (split ? "-disaggregated" : "-aggregated"))) {
    return *own;
  }
  const auto* shape = find(kShapeId);
  if (shape == nullptr) {
    throw_defect("no power profile " + std::string{kShapeId});
  }
  PowerProfile profile = *shape;
  profile.accelerator = accelerator;
  profile.serving = serving;
  profile.gpu_correlation.reset();
  profile.mean_gpu_power.reset();
  const PowerWindow* widest = nullptr;
  for (const auto& window : windows) {
    if (window.accelerator == accelerator &&
        (widest == nullptr || window.p90_ratio > widest->p90_ratio)) {
      widest = &window;
    }
  }
  if (widest == nullptr) {
    profile.id = accelerator + "-assumed";
    profile.tag = Tag::assumed;
    profile.source = "the shape of " + shape->id + "; no trace of " + accelerator + " is at hand";
    return profile;
  }
  profile.id = accelerator + "-modelled";
  profile.tag = Tag::modelled;
  profile.ratio = shape->ratio.spread_about_one((widest->p90_ratio - 1) /
                                                (shape->ratio.at(kReferencePercentile) - 1));
  profile.samples_effective = std::min(shape->samples_effective, in_seconds(widest->window));
  profile.source = "the shape of " + shape->id + " with the 90th percentile " +
                   shortest(widest->p90_ratio) + " of " + widest->source;
  return profile;
}

PowerProfiles load_power_profiles(const std::filesystem::path& folder) {
  PowerProfiles loaded{read_profiles(folder / "profiles.csv"), read_windows(folder / "windows.csv"),
                       read_fleets(folder / "fleets.csv")};
  const auto* shape = loaded.find(PowerProfiles::kShapeId);
  if (shape == nullptr) {
    throw_bad_input("no row '" + std::string{PowerProfiles::kShapeId} + "'",
                    (folder / "profiles.csv").string(),
                    "add it: it stands in for accelerators without a trace");
  }
  if (shape->ratio.at(kReferencePercentile) <= 1) {
    throw_bad_input("the 90th percentile of '" + shape->id + "' is not above 1",
                    (folder / "profiles.csv").string(), "a shape must spread about its mean");
  }
  return loaded;
}

}  // namespace perwatt::plan
