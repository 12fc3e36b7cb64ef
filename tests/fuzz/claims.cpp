// A claim case against the shipped catalog, without points: expressions, rules and the texts of
// the tables run too.
#include "perwatt/report/claims.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"
#include "point_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    const auto claim = report::parse_claim_case(text, "claims/case.toml");
    fuzz::demand(!claim.comparisons.empty(), "a case without comparisons");
    const auto result =
        report::evaluate_claim(claim, {&fuzz::shipped_catalog(), {}, PERWATT_BASE_CATALOG});
    fuzz::demand(!result.why.empty(), "a verdict without a reason");
    fuzz::demand(!report::short_text(result.verdict).empty() &&
                     !report::claimed_text(result).empty() &&
                     !report::computed_text(result).empty(),
                 "a row of the table of claims with an empty cell");
    for (const auto& figure : result.figures) {
      fuzz::demand(!report::label_text(figure).empty() && !report::value_text(figure).empty() &&
                       report::target_text(figure).empty() == !figure.target,
                   "a figure whose texts are not what it holds");
      fuzz::demand(figure.value ? std::isfinite(*figure.value) : !figure.missing.empty(),
                   "a figure without a finite value or a reason");
      fuzz::demand(
          figure.holds.has_value() == (figure.value && figure.target && !figure.is_lower_bound),
          "a figure that is not judged as its target asks");
    }
    fuzz::demand_one_line(to_string(result.verdict));
  });
  return 0;
}
