// What published claims are worth: figures computed from the shipped points, catalog and published
// numbers, and a verdict computed from the figures. Rules: docs/model/claims.md.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/base/tag.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/measured_point.hpp"
#include "perwatt/report/claim_case.hpp"

namespace perwatt::report {

/// One computed value of a claim.
struct ClaimFigure {
  std::string label;
  std::string formula;          // of arithmetic, else empty
  std::string against;          // "h100, table 2026-04"
  std::optional<double> value;  // nothing: see `missing`
  std::string unit;
  std::string boundary;     // "per provisioned MW" …
  std::string price_table;  // empty: none is used
  Tag tag = Tag::published;
  std::string rests_on;  // rows, tables and sources
  std::optional<ClaimTarget> target;
  std::optional<bool> holds;     // nothing: not judged
  std::string missing;           // why there is no value
  bool is_of_claimant = false;   // rests on the claimant's own numbers only
  bool is_lower_bound = false;   // below its target, but rows are missing: not judged
  bool is_check = false;         // of the claimant's numbers against each other
  std::optional<double> expect;  // what the case file expects; for tests
  std::string where;             // in the case file
};

/// A ratio over interactivity.
struct ClaimCurve {
  struct Point {
    TokensPerSecond interactivity;
    double ratio = 0;
  };

  struct Range {
    TokensPerSecond from;
    TokensPerSecond to;
  };

  std::string label;    // "gb300 / h100, table 2026-04"
  std::string against;  // as in the figures
  std::string boundary;
  std::vector<Point> points;    // by rising interactivity
  std::vector<Range> holds_in;  // to 1 token/s; empty without a target
};

enum class VerdictKind { supported, supported_only_against, not_reproducible };

enum class VerdictReason {
  none,
  no_data,
  no_method,         // none published, and no figure to judge
  inconsistent,      // a check of the claimant's own numbers fails
  figures_disagree,  // computed, and no figure holds
  not_compared       // there are data, but the case judges none of them
};

struct Verdict {
  VerdictKind kind = VerdictKind::not_reproducible;
  VerdictReason reason = VerdictReason::none;
  std::vector<std::string> against;  // with supported_only_against
  bool by_own_numbers = false;       // what holds rests on the claimant's own numbers only
};

/// "supported", "supported only against h100, table 2026-04", "not reproducible: no data".
[[nodiscard]] std::string to_string(const Verdict& verdict);

/// The same with the first of several named: "supported only against h100, table 2026-04 and 3
/// more".
[[nodiscard]] std::string short_text(Verdict verdict);

struct ClaimResult {
  ClaimCase claim;
  std::vector<ClaimFigure> figures;
  std::vector<ClaimCurve> curves;
  Verdict verdict;
  std::string why;                  // from the figures
  std::size_t expected_beyond = 0;  // figures the case expects that have no value; for tests
};

/// What claims are computed from; all must outlive the call.
struct ClaimData {
  const catalog::Catalog* catalog = nullptr;
  std::span<const inference::MeasuredPoint> points;
  std::filesystem::path tables;  // the folder of TableCount files
};

/// The verdict that follows from the figures and from whether the claimant published a method.
[[nodiscard]] Verdict verdict_of(std::span<const ClaimFigure> figures, bool method_is_published);

/// Throws Error(bad_input) at the case's place for names the catalog lacks, broken expressions and
/// missing tables.
[[nodiscard]] ClaimResult evaluate_claim(const ClaimCase& claim, const ClaimData& data);

[[nodiscard]] std::vector<ClaimResult> evaluate_claims(std::span<const ClaimCase> claims,
                                                       const ClaimData& data);

/// "50 x", or "-" where the claim has no number.
[[nodiscard]] std::string claimed_text(const ClaimResult& result);

/// The label, with the formula of arithmetic: "gpu_ratio = gpus_managed / gpus_static".
[[nodiscard]] std::string label_text(const ClaimFigure& figure);

/// "at least 50 x", "" when not judged.
[[nodiscard]] std::string target_text(const ClaimFigure& figure);

/// The value with its unit, or why there is none.
[[nodiscard]] std::string value_text(const ClaimFigure& figure);

/// What perwatt computes in one line: the failed check, else the figure that holds and is nearest
/// to the claim, else the nearest judged one, else that there is none.
[[nodiscard]] std::string computed_text(const ClaimResult& result);

/// Documents: self-contained HTML, Markdown, and CSV with one row per figure.
[[nodiscard]] std::string claims_html(std::span<const ClaimResult> results,
                                      const std::string& version);
[[nodiscard]] std::string claims_markdown(std::span<const ClaimResult> results,
                                          const std::string& version);
[[nodiscard]] std::string claims_csv(std::span<const ClaimResult> results);

}  // namespace perwatt::report
