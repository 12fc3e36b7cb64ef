// The measured operator tables: one family of rows per accelerator, engine, operator and format.
// Schema: docs/reference/operators.md. Method: docs/model/operators.md.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/operator_family.hpp"

namespace perwatt::inference {

/// The families that one accelerator and engine have.
struct OperatorFamilyEntry {
  std::string accelerator;  // catalog id
  std::string engine;       // "trtllm", "vllm"
  OperatorFamily family;
};

/// Immutable; safe to use from many threads.
class OperatorTable {
 public:
  explicit OperatorTable(std::vector<OperatorFamilyEntry> families);

  /// Reads the operator files of `folder` (gemm.csv, moe.csv, ...); files that are absent are
  /// skipped, others ignored. Throws Error(bad_input) with file, line and column for a folder
  /// without any, a missing column, an unknown accelerator, dtype or variant, a number out of
  /// range, a curve given twice and a curve without a latency.
  static OperatorTable load(const std::filesystem::path& folder, const catalog::Catalog& catalog);

  [[nodiscard]] std::span<const OperatorFamilyEntry> families() const { return families_; }

  /// The family, or null. Keep it when many shapes are asked for.
  [[nodiscard]] const OperatorFamily* find(std::string_view accelerator, std::string_view engine,
                                           Operator op, const OperatorFormat& format) const;

  /// OperatorFamily::estimate of the family; a failure when there is none lists what there is.
  [[nodiscard]] Result<OperatorEstimate> estimate(std::string_view accelerator,
                                                  std::string_view engine, Operator op,
                                                  const OperatorFormat& format,
                                                  const OperatorShape& shape) const;

 private:
  std::vector<OperatorFamilyEntry> families_;
};

/// Reads one operator's file; `name` stands for it in messages. Errors as in OperatorTable::load.
[[nodiscard]] std::vector<OperatorFamilyEntry> parse_operator_rows(Operator op,
                                                                   std::string_view text,
                                                                   const std::string& name,
                                                                   const catalog::Catalog& catalog);

}  // namespace perwatt::inference
