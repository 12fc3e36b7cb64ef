// Private to the importers: what every source format needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "perwatt/base/csv.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/point_table.hpp"

namespace perwatt::inference {

/// Bounds, both included; those below are the ones that parse_points accepts.
struct Range {
  double low = 0;
  double high = 0;

  [[nodiscard]] constexpr Range times(double k) const { return {low * k, high * k}; }
};

inline constexpr Range kRateRange{1e-9, 1e9};    // tokens/s/GPU
inline constexpr Range kTimeRange{1e-9, 1e6};    // s
inline constexpr Range kPowerRange{1e-9, 1e5};   // W/GPU
inline constexpr Range kEnergyRange{1e-9, 1e7};  // J/token
inline constexpr Range kMeanRange{0, kLargestCount};
inline constexpr double kSecondsPerMs = 1e-3;

/// "is '<value>'; it must be a number between …".
[[nodiscard]] std::string out_of_range(std::string_view value, Range range);

/// What a file is that begins with `start` and is no CSV, or nothing.
[[nodiscard]] std::optional<std::string> foreign_kind(std::string_view start);
[[nodiscard]] std::optional<std::string> foreign_kind_of_file(const std::filesystem::path& file);

/// "; '<file>' in it is <kind>" for a file of the folder that is no CSV, or an empty text.
[[nodiscard]] std::string foreign_file_in(const std::filesystem::path& folder);

/// Of an even count, the mean of the two in the middle; of none, nothing.
[[nodiscard]] std::optional<double> median(std::vector<double> values);

template <class Quantity>
std::optional<Quantity> quantity(const std::optional<double>& value, double scale = 1) {
  return value ? std::optional{Quantity::from_base(*value * scale)} : std::nullopt;
}

/// Reads fields of a CSV row by column; the table must have it. The first failure is kept; what is
/// read after it is of no use.
class RowFields {
 public:
  RowFields(const CsvTable& table, const CsvRow& row) : table_{table}, row_{row} {}

  [[nodiscard]] const std::optional<RejectedRow>& failure() const { return failure_; }

  [[nodiscard]] const std::string& text(const char* column) const;

  void reject(const char* column, const std::string& reason);

  std::string required_text(const char* column);
  std::int64_t id(const char* column);
  int count(const char* column, int low);
  bool flag(const char* column);
  std::string date(const char* column);

 private:
  const CsvTable& table_;
  const CsvRow& row_;
  std::optional<RejectedRow> failure_;
};

struct JsonFault {
  std::size_t byte = 0;  // 1-based
  std::string reason;
};

/// The JSON value that `text` is, or nothing and the `fault`. Never throws.
[[nodiscard]] std::optional<nlohmann::json> parse_json(std::string_view text, JsonFault& fault);

/// Reads members of a JSON object. The first failure is kept; what is read after it is of no use.
/// A member that is absent or null counts as missing.
class JsonFields {
 public:
  explicit JsonFields(const nlohmann::json& object) : object_{object} {}

  [[nodiscard]] const std::optional<CheckFailure>& failure() const { return failure_; }

  void reject(const std::string& key, const std::string& reason);

  std::optional<double> number(const char* key, Range range);
  std::optional<int> count(const char* key);
  std::optional<bool> flag(const char* key);

  // Missing is a failure, and the lower bound, 1 or an empty text is returned.
  double required_number(const char* key, Range range);
  int required_count(const char* key);
  std::string required_text(const char* key);

 private:
  [[nodiscard]] const nlohmann::json* find(const char* key) const;

  const nlohmann::json& object_;
  std::optional<CheckFailure> failure_;
};

/// A name and the place it has in the source.
struct SourceName {
  const char* column;
  std::string value;
};

/// Fills in the catalog ids and the precision; the failure names the source's column.
[[nodiscard]] std::optional<CheckFailure> set_names(MeasuredPoint& point,
                                                    const catalog::Catalog& catalog,
                                                    const SourceName& accelerator,
                                                    const SourceName& model,
                                                    const SourceName& precision);

/// Takes points that pass the checks of parse_points and repeat no earlier one.
class PointSink {
 public:
  explicit PointSink(const catalog::Catalog& catalog) : catalog_{catalog} {}

  /// `note` is appended to the reason if the point is rejected.
  void add(MeasuredPoint point, const std::string& note = "");

  void reject(std::string where, std::string reason);

  [[nodiscard]] PointTable take() { return std::move(table_); }

 private:
  const catalog::Catalog& catalog_;
  PointTable table_;
  std::map<std::string, std::string> places_;  // identity -> read_at
};

}  // namespace perwatt::inference
