// What an accelerator can do at an interactivity, over all its deployments: the line of a chart and
// the best measured row. Definition and example: docs/model/frontier.md#pooled-line.
//
// The line lies between deployments: nothing was measured along it. It serves to check published
// ratios, which are read off such charts, and to draw ratios in reports; a plan never uses it.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "perwatt/base/tag.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/inference/measured_point.hpp"

namespace perwatt::inference {

/// A value of the line or a row, with the rows it rests on.
struct LineValue {
  TokensPerSecond total_per_gpu;        // input and output tokens
  Tag tag = Tag::measured;              // interpolated between two rows
  const MeasuredPoint* high = nullptr;  // the row itself, or the one of higher interactivity
  const MeasuredPoint* low = nullptr;   // null at a row
  bool is_between_deployments = false;  // the two rows are of different deployments
};

class RateLine {
 public:
  /// Keeps those of `rows` that no other beats in both interactivity and total rate per GPU; rows
  /// without either are left out. The rows must outlive the line.
  explicit RateLine(std::span<const MeasuredPoint* const> rows);

  [[nodiscard]] bool empty() const { return corners_.empty(); }

  /// The kept rows by falling interactivity.
  [[nodiscard]] std::span<const MeasuredPoint* const> corners() const { return corners_; }

  /// ln(rate) linear in interactivity between the two kept rows around it; below the lowest the
  /// rate of that row; nothing above the highest.
  [[nodiscard]] std::optional<LineValue> pooled_at(TokensPerSecond interactivity) const;

  /// The highest rate among the rows with at least this interactivity; nothing above the highest.
  [[nodiscard]] std::optional<LineValue> best_row_at(TokensPerSecond interactivity) const;

 private:
  std::vector<const MeasuredPoint*> corners_;
};

/// The rows of `side` ("gb300" or "gb300:fp4", catalog ids) that serve the model under the
/// workload.
[[nodiscard]] std::vector<const MeasuredPoint*> rows_of(std::span<const MeasuredPoint> points,
                                                        std::string_view model_id,
                                                        const Workload& workload,
                                                        std::string_view side);

/// Whether both rows are of one deployment: configuration, layout and workload.
[[nodiscard]] bool same_deployment(const MeasuredPoint& a, const MeasuredPoint& b);

}  // namespace perwatt::inference
