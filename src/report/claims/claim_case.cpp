#include "perwatt/report/claim_case.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <system_error>

#include "expression.hpp"

#include "perwatt/base/config.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

constexpr std::array<std::string_view, 4> kRelations{"at_least", "at_most", "equals",
                                                     "multiple_of"};
constexpr int kMostTokens = 10000000;
constexpr int kMostMonths = 120;
constexpr double kDefaultTolerance = 0.02;

/// Index of the word at `key` in `words`; the first when the key is absent.
template <std::size_t N>
std::size_t word(const ConfigTable& table, std::string_view key,
                 const std::array<std::string_view, N>& words) {
  const auto text = table.optional_text(key);
  if (!text) {
    return 0;
  }
  const auto at = std::find(words.begin(), words.end(), *text);
  if (at == words.end()) {
    table.fail(key, "'" + printable(*text) + "' is not known here",
               suggestion(*text, std::vector<std::string>{words.begin(), words.end()}));
  }
  return static_cast<std::size_t>(at - words.begin());
}

std::vector<std::string> required_texts(const ConfigTable& table, std::string_view key) {
  auto values = table.texts(key);
  if (values.empty()) {
    table.fail(key, "is missing or empty", "write " + std::string{key} + " = [\"…\"]");
  }
  for (const auto& value : values) {
    if (trimmed(value).empty() || printable(value, value.size() + 1) != value) {
      table.fail(key, "holds '" + printable(value) + "'", "write names without control characters");
    }
  }
  return values;
}

Served read_served(const ConfigTable& table) {
  Served served;
  served.model = table.text("model");
  if (const auto task = table.optional_text("task")) {
    served.workload.task = *task;
  } else {
    served.workload.isl_tokens = static_cast<int>(table.integer("isl_tokens", 1, kMostTokens));
    served.workload.osl_tokens = static_cast<int>(table.integer("osl_tokens", 1, kMostTokens));
  }
  return served;
}

std::vector<TokensPerSecond> read_interactivities(const ConfigTable& table) {
  std::vector<TokensPerSecond> values;
  for (const auto& text : required_texts(table, "interactivity")) {
    values.push_back(parse_tokens_per_second(text, table.where("interactivity")));
  }
  return values;
}

facility::PriceBasis read_column(const ConfigTable& table) {
  const auto text = table.optional_text("price_basis");
  if (!text) {
    return facility::PriceBasis::tco_hyperscaler;
  }
  const auto column = facility::parse_price_basis(*text);
  if (!column) {
    table.fail("price_basis", "'" + printable(*text) + "' is no price basis",
               "use tco_hyperscaler, tco_neocloud or rental");
  }
  return *column;
}

double read_tolerance(const ConfigTable& table, double otherwise) {
  return table.optional_number("tolerance_ratio", kRatio).value_or(otherwise);
}

FrontierRatio read_frontier_ratio(const ConfigTable& table) {
  static constexpr std::array<std::string_view, 3> kBases{"gpu", "provisioned_mw", "cost"};
  static constexpr std::array<std::string_view, 2> kLines{"pooled", "rows"};
  FrontierRatio ratio;
  ratio.numerator = table.text("numerator");
  ratio.denominators = required_texts(table, "denominators");
  ratio.served = read_served(table);
  ratio.interactivities = read_interactivities(table);
  if (table.has("incomplete_between")) {
    const auto bounds = table.texts("incomplete_between");
    if (bounds.size() != 2) {
      table.fail("incomplete_between", "does not name two interactivities",
                 "write incomplete_between = [\"69tok/s\", \"237tok/s\"]");
    }
    const auto where = table.where("incomplete_between");
    ratio.incomplete = InteractivityRange{parse_tokens_per_second(bounds[0], where),
                                          parse_tokens_per_second(bounds[1], where)};
  }
  ratio.basis = static_cast<RatioBasis>(word(table, "basis", kBases));
  ratio.line = static_cast<RateReading>(word(table, "line", kLines));
  if (ratio.basis != RatioBasis::gpu) {
    ratio.price_tables = required_texts(table, "price_tables");
  }
  if (ratio.basis == RatioBasis::cost) {
    ratio.column = read_column(table);
  }
  return ratio;
}

SoftwareOverTime read_software(const ConfigTable& table) {
  SoftwareOverTime software;
  software.sides = required_texts(table, "accelerators");
  software.served = read_served(table);
  software.interactivities = read_interactivities(table);
  software.months = static_cast<int>(table.integer("months", 1, kMostMonths));
  software.same_configuration = table.optional_flag("same_configuration").value_or(false);
  return software;
}

EnergyShare read_energy_share(const ConfigTable& table) {
  static constexpr std::array<std::string_view, 2> kWholes{"all_in", "operating"};
  constexpr Range kUsdPerKwh{0.0, 100.0};
  EnergyShare share;
  share.of = static_cast<CostWhole>(word(table, "of", kWholes));
  share.systems = table.texts("systems");
  if (share.systems.empty()) {
    share.accelerators = required_texts(table, "accelerators");
    share.price_tables = required_texts(table, "price_tables");
    share.column = read_column(table);
    if (share.of == CostWhole::operating) {
      table.fail("of", "'operating' is not in a price table: its hours are all-in",
                 "name systems, or use all_in");
    }
  }
  for (const double price : table.numbers("energy_usd_per_kwh", kUsdPerKwh)) {
    share.energy_prices.push_back(usd_per_kwh(price));
  }
  if (share.energy_prices.empty()) {
    table.fail("energy_usd_per_kwh", "is empty", "write energy_usd_per_kwh = [0.08]");
  }
  return share;
}

TableCount read_table_count(const ConfigTable& table) {
  TableCount count{table.text("table"), table.text("column"), table.text("contains")};
  if (count.file.find('/') != std::string::npos) {
    table.fail("table", "'" + printable(count.file) + "' names a folder",
               "name a file of data/claims");
  }
  return count;
}

/// The one of at_least, at_most, equals and multiple_of that is there.
std::optional<ClaimTarget> read_step_target(const ConfigTable& table, double tolerance) {
  std::optional<ClaimTarget> target;
  for (std::size_t i = 0; i < kRelations.size(); ++i) {
    const auto relation = static_cast<Relation>(i);
    const auto value = table.optional_number(
        kRelations[i], relation == Relation::multiple_of ? kPositive : Range{});
    if (value && target) {
      table.fail(kRelations[i], "stands beside " + std::string{to_string(target->relation)},
                 "keep one of them");
    }
    if (value) {
      target = ClaimTarget{relation, *value, tolerance};
    }
  }
  if (target) {
    target->tolerance_ratio = read_tolerance(table, tolerance);
  }
  return target;
}

std::string value_name(const ConfigTable& table, std::set<std::string>& taken) {
  auto name = table.text("name");
  if (!is_value_name(name)) {
    table.fail("name", "'" + printable(name) + "' is no name of a value",
               "use letters, digits and underscores, a letter first");
  }
  if (!taken.insert(name).second) {
    table.fail("name", "'" + name + "' is in use twice", "give every input and step its own name");
  }
  return name;
}

Arithmetic read_arithmetic(const ConfigTable& table, const ClaimCase& claim) {
  static constexpr std::array<std::string_view, 2> kOwners{"claimant", "others"};
  Arithmetic arithmetic;
  arithmetic.is_of_claimant = word(table, "inputs_of", kOwners) == 0;
  std::set<std::string> names;
  for (const auto& input : table.tables("input")) {
    arithmetic.inputs.push_back({value_name(input, names), input.number("value", Range{}),
                                 input.optional_text("unit").value_or(""),
                                 input.optional_text("source").value_or(claim.source)});
    input.reject_unknown_keys();
  }
  const double tolerance = claim.target ? claim.target->tolerance_ratio : kDefaultTolerance;
  for (const auto& table_of_step : table.tables("step")) {
    ClaimStep step;
    step.name = value_name(table_of_step, names);
    step.expression = table_of_step.text("expression");
    step.unit = table_of_step.optional_text("unit").value_or("");
    step.target = read_step_target(table_of_step, tolerance);
    step.against = table_of_step.optional_text("against").value_or(step.name);
    std::replace(step.against.begin(), step.against.end(), '_', ' ');
    step.is_check = table_of_step.optional_flag("check").value_or(false);
    if (step.is_check && (!step.target || !arithmetic.is_of_claimant)) {
      table_of_step.fail("check", "needs a target and inputs of the claimant",
                         "add equals, at_least, at_most or multiple_of, or remove check");
    }
    step.expect = table_of_step.optional_number("expect", Range{});
    step.where = table_of_step.where("expression");
    table_of_step.reject_unknown_keys();
    arithmetic.steps.push_back(std::move(step));
  }
  if (arithmetic.steps.empty()) {
    table.fail("step", "is missing", "add [[comparison.step]] with name and expression");
  }
  return arithmetic;
}

ComparisonKind read_kind(const ConfigTable& table, const ClaimCase& claim) {
  const auto kind = table.text("kind");
  if (kind == "frontier_ratio") {
    return read_frontier_ratio(table);
  }
  if (kind == "no_data") {
    return NoData{required_texts(table, "accelerators"), read_served(table)};
  }
  if (kind == "software_over_time") {
    return read_software(table);
  }
  if (kind == "dense_rate") {
    return DenseRate{table.text("numerator"), table.text("denominator")};
  }
  if (kind == "energy_share") {
    return read_energy_share(table);
  }
  if (kind == "table_count") {
    return read_table_count(table);
  }
  if (kind == "arithmetic") {
    return read_arithmetic(table, claim);
  }
  table.fail("kind", "'" + printable(kind) + "' is no kind of comparison",
             suggestion(kind, std::vector<std::string>{
                                  "frontier_ratio", "no_data", "software_over_time", "dense_rate",
                                  "energy_share", "table_count", "arithmetic"}));
}

Relation read_relation(const ConfigTable& table, Relation otherwise) {
  return table.has("relation") ? static_cast<Relation>(word(table, "relation", kRelations))
                               : otherwise;
}

/// The claim's own target with what the comparison says otherwise; nothing when not judged.
std::optional<ClaimTarget> comparison_target(const ConfigTable& table, const ClaimCase& claim) {
  auto target = claim.target;
  if (const auto value = table.optional_number("claimed", Range{})) {
    target = target.value_or(ClaimTarget{});
    target->value = *value;
  }
  if (target) {
    target->relation = read_relation(table, target->relation);
    target->tolerance_ratio = read_tolerance(table, target->tolerance_ratio);
    if (target->relation == Relation::multiple_of && target->value <= 0) {
      table.fail("relation", "'multiple_of' needs a claimed value above 0", "correct the value");
    }
  }
  return table.optional_flag("judged").value_or(true) ? target : std::nullopt;
}

Comparison read_comparison(const ConfigTable& table, const ClaimCase& claim) {
  Comparison comparison{read_kind(table, claim), std::nullopt, {}, table.where("kind"), {}};
  for (const auto* key : {"numerator", "denominator", "denominators", "accelerators", "systems",
                          "model", "price_tables", "table", "column"}) {
    if (table.has(key)) {
      comparison.places[key] = table.where(key);
    }
  }
  const bool has_own_targets = std::holds_alternative<Arithmetic>(comparison.kind);
  if (!has_own_targets && !std::holds_alternative<NoData>(comparison.kind)) {
    comparison.target = comparison_target(table, claim);
    if (table.has("expect")) {
      comparison.expect = table.numbers("expect", Range{});
    }
  }
  table.reject_unknown_keys();
  return comparison;
}

ClaimCase read_claim(const ConfigTable& table) {
  ClaimCase claim;
  claim.id = table.text("id");
  const auto is_of_id = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (!std::all_of(claim.id.begin(), claim.id.end(), is_of_id)) {
    table.fail("id", "'" + printable(claim.id) + "' is no id",
               "use lower-case letters, digits and hyphens");
  }
  claim.statement = table.text("statement");
  claim.made_by = table.text("made_by");
  claim.source = table.text("source");
  claim.date = table.text("date");
  if (!is_iso_date(claim.date)) {
    table.fail("date", "'" + printable(claim.date) + "' is no date", "write YYYY-MM or YYYY-MM-DD");
  }
  claim.unit = table.optional_text("unit").value_or("");
  if (const auto value = table.optional_number("value", Range{})) {
    claim.target = ClaimTarget{read_relation(table, Relation::at_least), *value,
                               read_tolerance(table, kDefaultTolerance)};
    if (claim.target->relation == Relation::multiple_of) {
      table.fail("relation", "'multiple_of' is no relation of a claim", "use it in a step");
    }
  }
  claim.method_is_published = table.optional_flag("method_published").value_or(true);
  claim.note = table.optional_text("note").value_or("");
  table.reject_unknown_keys();
  return claim;
}

}  // namespace

std::string_view to_string(Relation relation) {
  return kRelations[static_cast<std::size_t>(relation)];
}

const std::string& Comparison::place(std::string_view key) const {
  const auto at = places.find(key);
  return at == places.end() ? where : at->second;
}

bool holds(double figure, const ClaimTarget& target) {
  const double slack = std::abs(target.value) * target.tolerance_ratio;
  constexpr double kWhole = 1e-9;
  switch (target.relation) {
    case Relation::at_least:
      return figure >= target.value - slack;
    case Relation::at_most:
      return figure <= target.value + slack;
    case Relation::equals:
      return std::abs(figure - target.value) <= slack;
    case Relation::multiple_of: {
      const double count = figure / target.value;
      return std::abs(count - std::round(count)) <= kWhole * std::max(1.0, std::abs(count));
    }
  }
  return false;
}

ClaimCase parse_claim_case(std::string_view text, const std::string& name) {
  const auto document = ConfigTable::parse(text, name);
  const auto table = document.optional_table("claim");
  if (!table) {
    document.fail("claim", "is missing", "add a [claim] table");
  }
  auto claim = read_claim(*table);
  for (const auto& comparison : document.tables("comparison")) {
    claim.comparisons.push_back(read_comparison(comparison, claim));
  }
  if (claim.comparisons.empty()) {
    document.fail("comparison", "is missing", "add [[comparison]] with a kind");
  }
  document.reject_unknown_keys();
  claim.read_at = name;
  return claim;
}

std::vector<ClaimCase> load_claim_cases(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code status;
  for (const auto& entry : std::filesystem::directory_iterator{folder, status}) {
    if (entry.path().extension() == ".toml") {
      files.push_back(entry.path());
    }
  }
  if (files.empty()) {
    throw_bad_input("holds no case (.toml)", folder.string(), "name a folder of claim cases");
  }
  std::sort(files.begin(), files.end());
  std::vector<ClaimCase> claims;
  for (const auto& file : files) {
    auto claim = parse_claim_case(read_file(file), file.string());
    for (const auto& other : claims) {
      if (other.id == claim.id) {
        throw_bad_input("the id '" + claim.id + "' is also in " + other.read_at, file.string(),
                        "give every claim its own id");
      }
    }
    claims.push_back(std::move(claim));
  }
  return claims;
}

}  // namespace perwatt::report
