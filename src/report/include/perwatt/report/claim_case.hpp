// A published claim as a case that can be run: what is said, and what it is compared with. Format:
// docs/reference/claims.md.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/facility/tco.hpp"
#include "perwatt/inference/measured_point.hpp"

namespace perwatt::report {

enum class Relation { at_least, at_most, equals, multiple_of };

[[nodiscard]] std::string_view to_string(Relation relation);

/// What a figure is held against. The tolerance is relative to `value` and stands for the rounding
/// of the claim as printed.
struct ClaimTarget {
  Relation relation = Relation::at_least;
  double value = 0;
  double tolerance_ratio = 0.02;
};

/// at_least: figure >= value (1 - tolerance); at_most: figure <= value (1 + tolerance); equals:
/// both; multiple_of: figure / value is whole to 1e-9.
[[nodiscard]] bool holds(double figure, const ClaimTarget& target);

enum class RatioBasis { gpu, provisioned_mw, cost };
enum class RateReading { pooled, rows };

/// A model under a workload, catalog ids.
struct Served {
  std::string model;
  inference::Workload workload;
};

struct InteractivityRange {
  TokensPerSecond from;
  TokensPerSecond to;
};

/// Total tokens/s of one accelerator over that of others at equal interactivity. Sides are
/// "gb300" or "gb300:fp4".
struct FrontierRatio {
  std::string numerator;
  std::vector<std::string> denominators;
  Served served;
  std::vector<TokensPerSecond> interactivities;
  RatioBasis basis = RatioBasis::gpu;
  RateReading line = RateReading::pooled;
  std::vector<std::string> price_tables;  // empty on the basis gpu
  // Where public rows of the numerator are not among the points: the ratio is a lower bound.
  std::optional<InteractivityRange> incomplete;
  facility::PriceBasis column = facility::PriceBasis::tco_hyperscaler;
};

/// Points that do not exist: should one appear, the case must be rewritten.
struct NoData {
  std::vector<std::string> sides;
  Served served;
};

/// The best row published by the end of a month over that of at most `months` earlier.
struct SoftwareOverTime {
  std::vector<std::string> sides;
  Served served;
  std::vector<TokensPerSecond> interactivities;
  int months = 2;
  bool same_configuration = false;  // engine, speculation and serving mode stay
};

/// Dense peak rates of the catalog: "b200:fp4" over "b200:fp8".
struct DenseRate {
  std::string numerator;
  std::string denominator;
};

enum class CostWhole { all_in, operating };

/// Energy in percent of a cost. Published: all-in kW of a table over its hourly price. Bottom up:
/// docs/model/tco.md with every board at its cap; operating cost is energy and maintenance.
struct EnergyShare {
  CostWhole of = CostWhole::all_in;
  std::vector<std::string> accelerators;  // with price_tables
  std::vector<std::string> price_tables;
  std::vector<std::string> systems;  // bottom up
  facility::PriceBasis column = facility::PriceBasis::tco_hyperscaler;
  std::vector<UsdPerJoule> energy_prices;
};

/// Rows of a shipped table (a file of data/claims) whose column holds a text.
struct TableCount {
  std::string file;
  std::string column;
  std::string contains;
};

struct ClaimInput {
  std::string name;
  double value = 0;
  std::string unit;
  std::string source;
};

struct ClaimStep {
  std::string name;
  std::string expression;
  std::string unit;
  std::string against;  // what it says the claim holds against
  std::optional<ClaimTarget> target;
  bool is_check = false;  // of the claimant's numbers against each other
  std::optional<double> expect;
  std::string where;
};

/// Published inputs and what follows from them.
struct Arithmetic {
  std::vector<ClaimInput> inputs;
  std::vector<ClaimStep> steps;
  bool is_of_claimant = true;  // inputs are the claimant's own numbers
};

using ComparisonKind = std::variant<FrontierRatio, NoData, SoftwareOverTime, DenseRate, EnergyShare,
                                    TableCount, Arithmetic>;

struct Comparison {
  ComparisonKind kind;
  std::optional<ClaimTarget> target;  // nothing: shown, not judged
  std::vector<double> expect;         // figures that have a value, in order; for tests only
  std::string where;
  std::map<std::string, std::string, std::less<>> places;  // of the keys that are there

  /// "file:line: comparison[1].key".
  [[nodiscard]] const std::string& place(std::string_view key) const;
};

struct ClaimCase {
  std::string id;
  std::string statement;
  std::string made_by;
  std::string source;
  std::string date;  // YYYY-MM or YYYY-MM-DD
  std::string unit;
  std::optional<ClaimTarget> target;  // the claimed value
  bool method_is_published = true;
  std::string note;  // context for people; never a verdict
  std::vector<Comparison> comparisons;
  std::string read_at;  // file
};

/// Parses a case; `name` stands for the file in messages. Throws Error(bad_input) naming file,
/// line, key, value and remedy. Names of the catalog are checked when the case is evaluated.
[[nodiscard]] ClaimCase parse_claim_case(std::string_view text, const std::string& name);

/// All .toml files of `folder` by name. Throws Error(bad_input) for a folder without one and for an
/// id in use twice.
[[nodiscard]] std::vector<ClaimCase> load_claim_cases(const std::filesystem::path& folder);

}  // namespace perwatt::report
