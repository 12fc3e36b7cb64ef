// The raw operator tables, every row, read apart from the code under test: for hold-outs on what
// tools/derive_operator_tables starts from. $PERWATT_OPS_DIR names their folder.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "shipped_catalog.hpp"

#include "perwatt/base/csv.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/inference/operator_table.hpp"

namespace perwatt::inference {

/// One raw file: name/value pairs of a row, and the row in perwatt's terms.
class RawTable {
 public:
  RawTable(Operator op, const std::filesystem::path& file)
      : op_{op}, table_{CsvTable::parse(read_file(file), file.string())} {}

  [[nodiscard]] const std::vector<CsvRow>& rows() const { return table_.rows(); }

  [[nodiscard]] std::string text(const CsvRow& row, const std::string& column,
                                 const std::string& otherwise) const {
    const auto index = table_.find(column);
    const auto value = index ? row.fields[*index] : otherwise;
    return value == "bfloat16" ? "bf16" : value;
  }

  [[nodiscard]] double number(const CsvRow& row, const std::string& column,
                              double otherwise = 0) const {
    const auto index = table_.find(column);
    return index ? parse_number(row.fields[*index]).value_or(otherwise) : otherwise;
  }

  [[nodiscard]] OperatorFormat format(const CsvRow& row) const {
    OperatorFormat f;
    switch (op_) {
      case Operator::gemm:
        f.dtype = text(row, "gemm_dtype", "");
        break;
      case Operator::context_attention:
      case Operator::generation_attention:
        f = {text(row, "attn_dtype", "bf16"), text(row, "kv_cache_dtype", ""),
             static_cast<int>(number(row, "head_dim")), ""};
        break;
      case Operator::context_mla:
      case Operator::generation_mla:
        f.dtype = text(row, "kv_cache_dtype", "");
        break;
      case Operator::mla_context_module:
      case Operator::mla_generation_module:
        f = {text(row, "gemm_type", ""), text(row, "kv_cache_dtype", "bf16"), 0, ""};
        break;
      case Operator::mla_bmm:
        f = {text(row, "bmm_dtype", "bf16"), "", 0,
             text(row, "op_name", "mla_gen_pre").substr(std::string{"mla_gen_"}.size())};
        break;
      case Operator::moe:
        f = {text(row, "moe_dtype", ""), "", 0, text(row, "distribution", "")};
        break;
    }
    return f;
  }

  [[nodiscard]] OperatorShape shape(const CsvRow& row) const {
    // `step` counts the cache before the new token, but in the modules the whole.
    const double new_token = op_ == Operator::mla_generation_module ? 0 : 1;
    const double sequence =
        table_.find("isl") ? number(row, "isl") : number(row, "step") + new_token;
    switch (op_) {
      case Operator::gemm:
        return GemmShape{number(row, "m"), number(row, "n"), number(row, "k")};
      case Operator::context_attention:
      case Operator::generation_attention: {
        const double heads = number(row, "num_heads");
        const double kv_heads = number(row, "num_key_value_heads");
        return AttentionKernelShape{number(row, "batch_size"), sequence, heads,
                                    kv_heads > 0 ? kv_heads : heads};
      }
      case Operator::context_mla:
      case Operator::generation_mla:
      case Operator::mla_context_module:
      case Operator::mla_generation_module:
        return MlaShape{number(row, "batch_size"), sequence, number(row, "num_heads")};
      case Operator::mla_bmm:
        return MlaBmmShape{number(row, "num_tokens"), number(row, "num_heads")};
      case Operator::moe:
        break;
    }
    // One table (GB200, vllm) has these four as constants of its index.
    return MoeShape{number(row, "num_tokens"),       number(row, "hidden_size", 6144),
                    number(row, "inter_size", 2560), number(row, "topk", 8),
                    number(row, "num_experts", 160), number(row, "moe_tp_size"),
                    number(row, "moe_ep_size")};
  }

 private:
  Operator op_;
  CsvTable table_;
};

struct RawFamilies {
  std::vector<OperatorFamilyEntry> families;
  std::size_t host_bound = 0;  // rows of vllm's fp8_block GEMM, all left out
  std::size_t at_idle = 0;     // low utilisation at idle power, longer than a launch
  double lowest_watts = 1e9;   // of any row with power
};

/// Lowest reading of any GEMM, docs/model/operators.md#gate.
inline double lowest_watts(std::string_view accelerator) {
  return accelerator == "h200" ? 126 : accelerator == "b200" ? 241 : 206;
}

inline bool is_at_idle_power(const OperatorFormat& format, Operator op,
                             std::string_view accelerator, const OperatorRates& rates,
                             const OperatorRow& row, double watts) {
  if (watts <= 0 || in_seconds(row.latency) < 30e-6 || watts >= 1.2 * lowest_watts(accelerator) ||
      (op != Operator::gemm && op != Operator::moe && op != Operator::context_attention &&
       op != Operator::generation_attention)) {
    return false;
  }
  return speed_of_light(operator_work(op, format, row.shape), rates) / row.latency < 0.1;
}

/// Every usable row of one raw file; of repeats the fastest.
inline RawFamilies raw_families(const std::filesystem::path& file, Operator op,
                                const std::string& accelerator, const std::string& engine) {
  const RawTable table{op, file};
  RawFamilies result;
  using Order = std::tuple<std::string, std::string, int, std::string>;
  std::map<Order, std::pair<OperatorFormat, std::vector<OperatorRow>>> by_format;
  for (const auto& raw : table.rows()) {
    const double power = table.number(raw, "power");
    result.lowest_watts = power > 0 ? std::min(result.lowest_watts, power) : result.lowest_watts;
    const auto format = table.format(raw);
    const auto rates = operator_rates(shipped_catalog().accelerator(accelerator, ""), format.dtype);
    if (!rates ||
        table.text(raw, "model", "deepseek-ai/DeepSeek-V3") != "deepseek-ai/DeepSeek-V3") {
      continue;
    }
    if (op == Operator::gemm && engine == "vllm" && format.dtype == "fp8_block") {
      ++result.host_bound;
      continue;
    }
    OperatorRow row{table.shape(raw), seconds(table.number(raw, "latency") * 1e-3), std::nullopt};
    if (is_at_idle_power(format, op, accelerator, *rates, row, power)) {
      ++result.at_idle;
      continue;
    }
    if (power > 0 && in_seconds(row.latency) >= 0.3e-3) {
      row.power = watts(power);
    }
    auto& family = by_format[{format.dtype, format.kv_dtype, format.head_dim, format.variant}];
    family.first = format;
    family.second.push_back(row);
  }
  for (auto& [order, family] : by_format) {
    auto& rows = family.second;
    std::sort(rows.begin(), rows.end(),
              [](const auto& a, const auto& b) { return a.latency > b.latency; });
    const auto rates =
        operator_rates(shipped_catalog().accelerator(accelerator, ""), family.first.dtype);
    result.families.push_back(
        {accelerator, engine, OperatorFamily{op, family.first, *rates, std::move(rows)}});
  }
  return result;
}

}  // namespace perwatt::inference
