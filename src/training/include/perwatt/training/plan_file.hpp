// Plans as files: which setting each operation of each stage gets, in order.
//
// Two forms are read: perwatt's JSON (docs/reference/training-profile.md) and the text of zeus and
// lowtime, freqs_pipeline_*.py: a Python list with one list per stage of ("forward", 1410), or of
// bare frequencies. The text is parsed, never evaluated.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "perwatt/training/frequency_plan.hpp"

namespace perwatt::training {

struct PlanEntry {
  std::string instruction;  // empty in lists of bare frequencies
  Knob knob;                // without `others` in the Python form
  std::optional<int> microbatch;
};

/// Entries of each stage in the order of execution.
struct PlanTable {
  std::string name;  // the file, for messages
  std::vector<std::vector<PlanEntry>> stages;
};

/// Throws Error(bad_input) naming the line or key of what is no plan.
[[nodiscard]] PlanTable read_plan(std::string_view text, const std::string& name);

/// The options that `table` gives the operations of `pipeline`. Operations with one option may be
/// missing from the table. Throws Error(bad_input) naming stage and place of an entry that does not
/// fit the pipeline, or whose setting the profile does not know.
[[nodiscard]] std::vector<const Option*> match(const PlanTable& table, const Pipeline& pipeline);

/// The JSON form.
[[nodiscard]] std::string plan_json(const FrequencyPlan& plan, const Pipeline& pipeline);

/// Instructions and MHz of each stage in the order of execution. Throws Error(bad_input) for a
/// pipeline with knobs other than the frequency, which such a list cannot hold. Operations without
/// a frequency are left out.
[[nodiscard]] std::vector<std::vector<std::pair<std::string, int>>> frequencies_by_stage(
    const FrequencyPlan& plan, const Pipeline& pipeline);

/// The Python form. Throws as frequencies_by_stage() does.
[[nodiscard]] std::string plan_python(const FrequencyPlan& plan, const Pipeline& pipeline);

}  // namespace perwatt::training
