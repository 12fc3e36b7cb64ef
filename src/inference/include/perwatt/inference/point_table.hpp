// Tables of measured points: reading, checking, writing, merging. Schema: docs/reference/points.md.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/measured_point.hpp"

namespace perwatt::inference {

/// Bounds of the tidy schema, for all readers.
inline constexpr double kLargestCount = 1e7;           // GPUs, tokens, requests
inline constexpr double kLeastTokensPerSecond = 1e-9;  // per GPU
inline constexpr double kMostWattsPerTdp = 1.5;        // beyond this a reading is not of one board

/// A row that was not taken, and why.
struct RejectedRow {
  std::string where;   // "file:line: column"
  std::string reason;  // with the value and the remedy
};

struct PointTable {
  std::vector<MeasuredPoint> points;
  std::vector<RejectedRow> rejected;
};

/// Columns of the tidy schema, in file order.
[[nodiscard]] const std::vector<std::string>& point_columns();

/// Reads `text` (a CSV in the tidy schema); `name` stands for the file in messages. Names are
/// turned into catalog ids. Throws Error(bad_input) for a broken file; rows that fail a check are
/// returned as rejected: unknown names, units and ranges, prefill + decode GPUs against the total,
/// tokens of one kind out of step with another, and W = J/token x tokens/s per GPU of the same
/// token kind beyond 5 % where all three are measured.
[[nodiscard]] PointTable parse_points(std::string_view text, const std::string& name,
                                      const catalog::Catalog& catalog);

/// All points of files and folders of .csv files, in order. A point that has the identity of an
/// earlier one replaces it. Throws Error(bad_input) with the first rejected row.
[[nodiscard]] std::vector<MeasuredPoint> load_points(
    const std::vector<std::filesystem::path>& paths, const catalog::Catalog& catalog);

/// What makes two rows the same measurement: source, deployment, workload, load and date.
[[nodiscard]] std::string identity(const MeasuredPoint& point);

/// `existing` with `added`, duplicates by identity replaced in place; `replaced` counts them.
[[nodiscard]] std::vector<MeasuredPoint> merge_points(std::vector<MeasuredPoint> existing,
                                                      const std::vector<MeasuredPoint>& added,
                                                      std::size_t& replaced);

/// The table as CSV text in the tidy schema; derived values are left out, so that reading it back
/// gives the same points.
[[nodiscard]] std::string format_points(const std::vector<MeasuredPoint>& points);

/// The checks of parse_points on one point; also fills in the derived values. Returns the failed
/// check ("column", "reason"), or empty strings.
struct CheckFailure {
  std::string column;
  std::string reason;
};

[[nodiscard]] std::optional<CheckFailure> check_and_derive(MeasuredPoint& point);

}  // namespace perwatt::inference
