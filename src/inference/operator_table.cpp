#include "perwatt/inference/operator_table.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <utility>
#include <variant>

#include "curve_table.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::inference {

namespace {

constexpr std::array kOperators = {Operator::gemm,
                                   Operator::context_attention,
                                   Operator::generation_attention,
                                   Operator::context_mla,
                                   Operator::generation_mla,
                                   Operator::mla_context_module,
                                   Operator::mla_generation_module,
                                   Operator::mla_bmm,
                                   Operator::moe};
constexpr std::array<std::string_view, 6> kDtypeNames = {
    "bf16", "fp8", "fp8_block", "nvfp4", "w4a16_mxfp4", "w4a8_mxfp4_mxfp8"};
constexpr std::array<std::string_view, 2> kKvDtypeNames = {"bf16", "fp8"};
constexpr std::array<std::string_view, 2> kHalves = {"pre", "post"};
constexpr std::array<std::string_view, 2> kDistributions = {"balanced", "power_law_1.2"};

OperatorFormat format_of(Operator op, const CurveTable& table, const CsvRow& row) {
  OperatorFormat format;
  format.dtype = table.one_of(row, "dtype", kDtypeNames);
  if (op == Operator::context_attention || op == Operator::generation_attention) {
    format.kv_dtype = table.one_of(row, "kv_dtype", kKvDtypeNames);
    format.head_dim = static_cast<int>(table.size(row, "head_dim"));
  } else if (op == Operator::mla_context_module || op == Operator::mla_generation_module) {
    format.kv_dtype = table.one_of(row, "kv_dtype", kKvDtypeNames);
  } else if (op == Operator::mla_bmm) {
    format.variant = table.one_of(row, "half", kHalves);
  } else if (op == Operator::moe) {
    format.variant = table.one_of(row, "distribution", kDistributions);
  }
  return format;
}

/// The shape of the row's curve at place 1.
OperatorShape shape_of(Operator op, const CurveTable& table, const CsvRow& row) {
  const auto size = [&](std::string_view column) { return table.size(row, column); };
  switch (op) {
    case Operator::gemm:
      return GemmShape{1, size("n"), size("k")};
    case Operator::context_attention:
    case Operator::generation_attention:
      return AttentionKernelShape{size("batch"), 1, size("heads"), size("kv_heads")};
    case Operator::context_mla:
    case Operator::generation_mla:
    case Operator::mla_context_module:
    case Operator::mla_generation_module:
      return MlaShape{size("batch"), 1, size("heads")};
    case Operator::mla_bmm:
      return MlaBmmShape{1, size("heads")};
    case Operator::moe:
      break;
  }
  return MoeShape{1,          size("hidden"), size("inter"), size("topk"), size("experts"),
                  size("tp"), size("ep")};
}

struct SetPlace {
  double place;

  void operator()(GemmShape& s) const { s.m = place; }

  void operator()(AttentionKernelShape& s) const { s.sequence = place; }

  void operator()(MlaShape& s) const { s.sequence = place; }

  void operator()(MlaBmmShape& s) const { s.tokens = place; }

  void operator()(MoeShape& s) const { s.tokens = place; }
};

/// Accelerator, engine and format in an order for maps.
auto order_of(const std::string& accelerator, const std::string& engine,
              const OperatorFormat& format) {
  return std::tuple{accelerator,     engine,          format.dtype,
                    format.kv_dtype, format.head_dim, format.variant};
}

}  // namespace

std::vector<OperatorFamilyEntry> parse_operator_rows(Operator op, std::string_view text,
                                                     const std::string& name,
                                                     const catalog::Catalog& catalog) {
  CurveTable table{text, name};

  struct Collected {
    OperatorFormat format;
    OperatorRates rates;
    std::vector<OperatorRow> rows;
  };

  std::map<decltype(order_of({}, {}, {})), Collected> families;
  for (const auto& row : table.rows()) {
    const auto where = table.where(row, "accelerator");
    const auto& accelerator = catalog.accelerator(table.name(row, "accelerator"), where);
    const auto engine = table.name(row, "engine");
    const auto format = format_of(op, table, row);
    const auto rates = operator_rates(accelerator, format.dtype);
    if (!rates) {
      throw_bad_input("the catalog has no rates of '" + accelerator.id + "' for " + format.dtype,
                      where, "add them to the catalog or remove the line");
    }
    table.check_new(row);
    auto& family = families[order_of(accelerator.id, engine, format)];
    family.format = format;
    family.rates = *rates;
    auto shape = shape_of(op, table, row);
    for (const auto& point : table.curve(row)) {
      std::visit(SetPlace{point.place}, shape);
      family.rows.push_back({shape, point.latency, point.power});
    }
  }
  std::vector<OperatorFamilyEntry> result;
  result.reserve(families.size());
  for (auto& [order, family] : families) {
    result.push_back({std::get<0>(order), std::get<1>(order),
                      OperatorFamily{op, family.format, family.rates, std::move(family.rows)}});
  }
  return result;
}

OperatorTable::OperatorTable(std::vector<OperatorFamilyEntry> families)
    : families_{std::move(families)} {}

OperatorTable OperatorTable::load(const std::filesystem::path& folder,
                                  const catalog::Catalog& catalog) {
  std::vector<OperatorFamilyEntry> families;
  bool is_any = false;
  for (const auto op : kOperators) {
    const auto file = folder / (std::string{to_string(op)} + ".csv");
    if (!std::filesystem::exists(file)) {
      continue;
    }
    is_any = true;
    auto some = parse_operator_rows(op, read_file(file), file.string(), catalog);
    std::move(some.begin(), some.end(), std::back_inserter(families));
  }
  if (!is_any) {
    throw_bad_input("no operator table", folder.string(),
                    "name a folder with gemm.csv, moe.csv, ...");
  }
  return OperatorTable{std::move(families)};
}

const OperatorFamily* OperatorTable::find(std::string_view accelerator, std::string_view engine,
                                          Operator op, const OperatorFormat& format) const {
  const auto found = std::find_if(families_.begin(), families_.end(), [&](const auto& entry) {
    return entry.family.op() == op && entry.accelerator == accelerator && entry.engine == engine &&
           entry.family.format() == format;
  });
  return found == families_.end() ? nullptr : &found->family;
}

Result<OperatorEstimate> OperatorTable::estimate(std::string_view accelerator,
                                                 std::string_view engine, Operator op,
                                                 const OperatorFormat& format,
                                                 const OperatorShape& shape) const {
  if (const auto* family = find(accelerator, engine, op, format)) {
    return family->estimate(shape);
  }
  std::vector<std::string> known;
  for (const auto& entry : families_) {
    if (entry.family.op() == op && entry.accelerator == accelerator) {
      const auto& f = entry.family.format();
      known.push_back(entry.engine + " " + f.dtype + (f.kv_dtype.empty() ? "" : "/" + f.kv_dtype) +
                      (f.head_dim == 0 ? "" : " head " + std::to_string(f.head_dim)) +
                      (f.variant.empty() ? "" : " " + f.variant));
    }
  }
  return Failure{
      std::string{to_string(op)} + " was not measured on " + std::string{accelerator} + " for " +
      std::string{engine} + " " + format.dtype +
      (known.empty() ? std::string{"; nothing was"} : "; measured: " + join(known, ", "))};
}

}  // namespace perwatt::inference
