#include "perwatt/inference/serving/calibration_file.hpp"

#include <cmath>
#include <optional>
#include <system_error>

#include <nlohmann/json.hpp>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::inference::serving {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kDigits = 6;
constexpr std::array<const char*, kRegimes> kRegimeNames = {"aggregated", "disaggregated", "task"};
constexpr const char* kRemedy = "write it again with 'perwatt calibrate'";

/// Six significant digits: more would be noise, and would differ between machines.
double rounded(double value) {
  if (value == 0) {
    return 0;
  }
  const double scale = std::pow(10.0, kDigits - 1 - std::floor(std::log10(std::abs(value))));
  return std::round(value * scale) / scale;
}

template <class V, std::size_t Count>
ordered_json values_json(const V& values, const std::array<CoefficientInfo, Count>& table) {
  ordered_json result = ordered_json::object();
  for (std::size_t i = 0; i < Count; ++i) {
    result[std::string{table[i].name}] = rounded(values.all()[i]);
  }
  return result;
}

/// A member that must be there and of the kind asked for.
const json& member(const json& object, const std::string& key, const std::string& where) {
  if (!object.is_object() || !object.contains(key)) {
    throw_bad_input("no '" + key + "'", where, kRemedy);
  }
  return object.at(key);
}

double number_of(const json& value, double low, double high, const std::string& where) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    throw_bad_input(printable(value.dump()) + " is no number", where, kRemedy);
  }
  const double number = value.get<double>();
  // Rounding on writing may pass a bound by its last digit.
  constexpr double kSlack = 1e-5;
  if (number < low * (1 - kSlack) || number > high * (1 + kSlack)) {
    throw_bad_input(shortest(number) + " lies outside " + shortest(low) + " to " + shortest(high),
                    where, kRemedy);
  }
  return number;
}

template <class V, std::size_t Count>
V values_of(const json& object, const std::array<CoefficientInfo, Count>& table,
            const std::string& where) {
  V values;
  for (std::size_t i = 0; i < Count; ++i) {
    const std::string name{table[i].name};
    std::string at = where;
    at.append(".").append(name);
    values.all()[i] = number_of(member(object, name, where), table[i].low, table[i].high, at);
  }
  return values;
}

AcceleratorCoefficients accelerator_of(const json& object, const std::string& where) {
  const json& vendor = member(object, "vendor", where);
  if (!vendor.is_string()) {
    throw_bad_input(printable(vendor.dump()) + " is no text", where + ".vendor", kRemedy);
  }
  AcceleratorCoefficients result;
  result.vendor = vendor.get<std::string>();
  if (object.contains("times")) {
    result.times =
        values_of<AcceleratorValues>(object.at("times"), kAcceleratorTerms, where + ".times");
  }
  if (object.contains("power")) {
    result.power = values_of<AcceleratorPowerValues>(object.at("power"), kAcceleratorPowerTerms,
                                                     where + ".power");
  }
  return result;
}

enum Column : std::size_t {
  c_metric,
  c_accelerator,
  c_engine,
  c_architecture,
  c_precision,
  c_spec_decode,
  c_source,
  c_serving,
  c_lengths,
  c_concurrency,
  c_input,
  c_output,
  c_gpus,
  c_age,
  c_rows,
  c_residual,
  c_weight,
  c_label,
  c_count
};

constexpr std::array<const char*, c_count> kColumns = {"metric",     "accelerator",
                                                       "engine",     "architecture",
                                                       "precision",  "spec_decode",
                                                       "source",     "serving",
                                                       "lengths",    "log2_concurrency",
                                                       "log2_input", "log2_output",
                                                       "log2_gpus",  "software_age_quarters",
                                                       "rows",       "log_residual",
                                                       "weight",     "label"};

std::string number_text(double value) {
  return shortest(rounded(value));
}

BorrowingWidths widths_of(const json& object, const std::string& where) {
  const auto number = [&](const char* key, double low, double high) {
    return number_of(member(object, key, where), low, high, where + "." + key);
  };
  BorrowingWidths widths;
  widths.term = number("term", 1e-3, 2);
  widths.concurrency_share = number("concurrency_share", 0, 1);
  widths.concurrency_octaves = number("concurrency_octaves", 0.1, 20);
  widths.lengths_share = number("lengths_share", 0, 1);
  widths.lengths_octaves = number("lengths_octaves", 0.1, 20);
  widths.gpus_octaves = number("gpus_octaves", 0.1, 20);
  widths.age_quarters = number("age_quarters", 0.1, 100);
  widths.noise = number("noise", 1e-3, 2);
  widths.noise_of_row = number("noise_of_row", 1e-3, 2);
  widths.largest_residual = number("largest_residual", 1e-2, 10);
  return widths;
}

ordered_json widths_json(const BorrowingWidths& w) {
  return {{"term", w.term},
          {"concurrency_share", w.concurrency_share},
          {"concurrency_octaves", w.concurrency_octaves},
          {"lengths_share", w.lengths_share},
          {"lengths_octaves", w.lengths_octaves},
          {"gpus_octaves", w.gpus_octaves},
          {"age_quarters", w.age_quarters},
          {"noise", w.noise},
          {"noise_of_row", w.noise_of_row},
          {"largest_residual", w.largest_residual}};
}

class RelativeReader {
 public:
  RelativeReader(const CsvTable& table, const CsvRow& row,
                 const std::array<std::size_t, c_count>& columns)
      : table_{table}, row_{row}, columns_{columns} {}

  [[nodiscard]] const std::string& text(Column column) const {
    return row_.fields[columns_[column]];
  }

  [[nodiscard]] double number(Column column, double low, double high) const {
    const auto value = parse_number(text(column));
    if (!value || *value < low || *value > high) {
      fail(column, "must be a number between " + shortest(low) + " and " + shortest(high));
    }
    return *value;
  }

  /// Whether the text is `yes`, as opposed to `no`.
  [[nodiscard]] bool either(Column column, std::string_view yes, std::string_view no) const {
    if (text(column) != yes && text(column) != no) {
      fail(column, "must be " + std::string{yes} + " or " + std::string{no});
    }
    return text(column) == yes;
  }

  [[noreturn]] void fail(Column column, const std::string& rule) const {
    throw_bad_input("'" + printable(text(column)) + "' " + rule,
                    table_.where(row_, columns_[column]), kRemedy);
  }

 private:
  const CsvTable& table_;
  const CsvRow& row_;
  const std::array<std::size_t, c_count>& columns_;
};

Relative relative_of(const RelativeReader& row) {
  constexpr double kMostOctaves = 60;
  Relative relative;
  Traits& traits = relative.traits;
  traits.accelerator = row.text(c_accelerator);
  traits.engine = row.text(c_engine);
  traits.architecture = row.text(c_architecture);
  traits.precision = row.text(c_precision);
  traits.spec_decode = row.text(c_spec_decode);
  traits.source = row.text(c_source);
  traits.is_disaggregated = row.either(c_serving, "disaggregated", "aggregated");
  traits.is_task = row.either(c_lengths, "task", "nominal");
  traits.log2_concurrency = row.number(c_concurrency, 0, kMostOctaves);
  traits.log2_input_tokens = row.number(c_input, -kMostOctaves, kMostOctaves);
  traits.log2_output_tokens = row.number(c_output, -kMostOctaves, kMostOctaves);
  traits.log2_instance_gpus = row.number(c_gpus, 0, kMostOctaves);
  traits.age_quarters = row.number(c_age, -400, 400);
  relative.rows = static_cast<int>(row.number(c_rows, 1, 1e9));
  relative.residual = row.number(c_residual, -50, 50);
  relative.weight = row.number(c_weight, -1e9, 1e9);
  relative.label = row.text(c_label);
  return relative;
}

}  // namespace

std::string format_coefficients(const Calibration& calibration) {
  const auto& coefficients = calibration.coefficients;
  const auto& from = calibration.provenance;
  ordered_json result;
  result["provenance"] = {
      {"written_by", "perwatt calibrate"}, {"software_epoch", std::string{kSoftwareEpoch}},
      {"newest_row", from.newest_row},     {"rows", from.rows},
      {"families", from.families},         {"screened_rows", from.screened_rows},
      {"rows_by_source", from.sources},    {"coefficients", coefficients.count()}};
  result["speed"] = values_json(coefficients.speed, kSpeedTerms);
  result["first_token"] = values_json(coefficients.first_token, kFirstTokenTerms);
  result["power"] = values_json(coefficients.power, kPowerTerms);
  result["accelerators"] = ordered_json::object();
  for (const auto& [id, of_one] : coefficients.accelerators) {
    auto& entry = result["accelerators"][id];
    entry["vendor"] = of_one.vendor;
    if (of_one.times) {
      entry["times"] = values_json(*of_one.times, kAcceleratorTerms);
    }
    if (of_one.power) {
      entry["power"] = values_json(*of_one.power, kAcceleratorPowerTerms);
    }
  }
  for (const Metric metric : kMetrics) {
    const auto index = static_cast<std::size_t>(metric);
    auto& bands = result["bands"][std::string{to_string(metric)}];
    for (std::size_t r = 0; r < kRegimes; ++r) {
      bands[kRegimeNames[r]] = rounded(calibration.bands[index][r]);
    }
    result["widths"][std::string{to_string(metric)}] =
        widths_json(calibration.borrowing[index].widths());
  }
  return result.dump(2) + "\n";
}

std::string format_relatives(const Calibration& calibration) {
  std::string text = csv_line({kColumns.begin(), kColumns.end()});
  for (const Metric metric : kMetrics) {
    for (const auto& relative : calibration.of(metric).relatives()) {
      const Traits& t = relative.traits;
      text += csv_line({std::string{to_string(metric)}, t.accelerator, t.engine, t.architecture,
                        t.precision, t.spec_decode, t.source,
                        t.is_disaggregated ? "disaggregated" : "aggregated",
                        t.is_task ? "task" : "nominal", number_text(t.log2_concurrency),
                        number_text(t.log2_input_tokens), number_text(t.log2_output_tokens),
                        number_text(t.log2_instance_gpus), number_text(t.age_quarters),
                        std::to_string(relative.rows), number_text(relative.residual),
                        number_text(relative.weight), relative.label});
    }
  }
  return text;
}

Calibration parse_calibration(std::string_view coefficients, const std::string& coefficients_name,
                              std::string_view relatives, const std::string& relatives_name) {
  const json root = json::parse(coefficients, nullptr, false);
  if (root.is_discarded() || !root.is_object()) {
    throw_bad_input("no JSON object", coefficients_name, kRemedy);
  }
  const auto at = [&](const char* key) { return coefficients_name + ": " + key; };
  Calibration result;
  auto& values = result.coefficients;
  values.speed =
      values_of<SpeedValues>(member(root, "speed", coefficients_name), kSpeedTerms, at("speed"));
  values.first_token = values_of<FirstTokenValues>(member(root, "first_token", coefficients_name),
                                                   kFirstTokenTerms, at("first_token"));
  values.power =
      values_of<PowerValues>(member(root, "power", coefficients_name), kPowerTerms, at("power"));
  const auto& accelerators = member(root, "accelerators", coefficients_name);
  if (!accelerators.is_object()) {
    throw_bad_input("no table of accelerators", at("accelerators"), kRemedy);
  }
  for (const auto& [id, of_one] : accelerators.items()) {
    values.accelerators[id] = accelerator_of(of_one, at("accelerators") + "." + printable(id));
  }
  const auto& from = member(root, "provenance", coefficients_name);
  if (const auto newest = from.find("newest_row"); newest != from.end() && newest->is_string()) {
    result.provenance.newest_row = newest->get<std::string>();
  }
  const auto count = [&](const char* key) {
    return static_cast<int>(
        number_of(member(from, key, at("provenance")), 0, 1e9, at("provenance") + "." + key));
  };
  result.provenance.rows = count("rows");
  result.provenance.families = count("families");
  result.provenance.screened_rows = count("screened_rows");
  for (const auto& [source, rows] : member(from, "rows_by_source", at("provenance")).items()) {
    result.provenance.sources[source] =
        static_cast<int>(number_of(rows, 0, 1e9, at("provenance.rows_by_source")));
  }

  const auto table = CsvTable::parse(relatives, relatives_name);
  std::array<std::size_t, c_count> columns{};
  for (std::size_t c = 0; c < c_count; ++c) {
    columns[c] = table.require(kColumns[c]);
  }
  std::array<std::vector<Relative>, kMetrics.size()> by_metric;
  for (const auto& csv_row : table.rows()) {
    const RelativeReader row{table, csv_row, columns};
    std::optional<std::size_t> index;
    for (const Metric metric : kMetrics) {
      if (row.text(c_metric) == to_string(metric)) {
        index = static_cast<std::size_t>(metric);
      }
    }
    if (!index) {
      row.fail(c_metric, "is no metric");
    }
    by_metric[*index].push_back(relative_of(row));
  }
  const auto& bands = member(root, "bands", coefficients_name);
  const auto& widths = member(root, "widths", coefficients_name);
  for (const Metric metric : kMetrics) {
    const auto index = static_cast<std::size_t>(metric);
    const std::string name{to_string(metric)};
    const auto& of_metric = member(bands, name, at("bands"));
    for (std::size_t r = 0; r < kRegimes; ++r) {
      result.bands[index][r] = number_of(member(of_metric, kRegimeNames[r], at("bands")), 0.1, 100,
                                         at("bands") + "." + name);
    }
    result.borrowing[index] =
        Borrowing{std::move(by_metric[index]),
                  widths_of(member(widths, name, at("widths")), at("widths") + "." + name)};
  }
  return result;
}

Calibration load_calibration(const std::filesystem::path& folder) {
  const auto coefficients = folder / "coefficients.json";
  const auto relatives = folder / "relatives.csv";
  return parse_calibration(read_file(coefficients), coefficients.string(), read_file(relatives),
                           relatives.string());
}

void write_calibration(const Calibration& calibration, const std::filesystem::path& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) {
    throw Error{ErrorCode::peer_failed, "cannot make the folder: " + failed.message(),
                folder.string(), "name a folder that can be written"};
  }
  write_file(folder / "coefficients.json", format_coefficients(calibration));
  write_file(folder / "relatives.csv", format_relatives(calibration));
}

}  // namespace perwatt::inference::serving
