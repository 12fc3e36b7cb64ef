// One evaluator per kind of comparison. Each appends its figures, in the order of the case file, to
// the result.
#pragma once

#include <string>
#include <string_view>

#include "perwatt/report/claims.hpp"

namespace perwatt::report {

struct ClaimContext {
  const ClaimData& data;
  const Comparison& comparison;
  ClaimResult& result;

  /// A figure of this comparison without a value yet, appended.
  ClaimFigure& add(std::string label, std::string against) const;
};

/// Gives the figure its value and judges it.
void set_value(ClaimFigure& figure, double value);

void evaluate(const FrontierRatio& kind, const ClaimContext& context);
void evaluate(const NoData& kind, const ClaimContext& context);
void evaluate(const SoftwareOverTime& kind, const ClaimContext& context);
void evaluate(const DenseRate& kind, const ClaimContext& context);
void evaluate(const EnergyShare& kind, const ClaimContext& context);
void evaluate(const TableCount& kind, const ClaimContext& context);
void evaluate(const Arithmetic& kind, const ClaimContext& context);

/// "GB300:fp4" with the catalog's id: "gb300:fp4".
[[nodiscard]] std::string canonical_side(const catalog::Catalog& catalog, std::string_view side,
                                         const std::string& where);

/// The model's catalog id under the same workload.
[[nodiscard]] Served canonical_served(const catalog::Catalog& catalog, const Served& served,
                                      const std::string& where);

/// "deepseek-r1 8192/1024".
[[nodiscard]] std::string served_text(const Served& served);

/// Title, publisher and date of a catalog source.
[[nodiscard]] std::string source_text(const catalog::Catalog& catalog, const std::string& id);

/// "fp4 dynamo-trtllm mtp disaggregated at 68.7 tok/s/user, 2026-02-03".
[[nodiscard]] std::string row_text(const inference::MeasuredPoint& row);

/// Why the figure is judged as it is, from all figures.
[[nodiscard]] std::string why_text(const ClaimResult& result);

}  // namespace perwatt::report
