// Private: plans with few changes of the setting.
#pragma once

#include <optional>
#include <vector>

#include "perwatt/training/pipeline.hpp"

namespace perwatt::training {

/// FrequencyPlan::switches of a choice. Operations with one setting leave the device as it is.
[[nodiscard]] int switches_of(const Pipeline& pipeline, const std::vector<const Option*>& chosen);

/// Settings by operation whose iteration takes at most `time` with at most `most_switches`
/// (FrequencyPlan::switches), the cheapest found. Per stage the cheapest sequence of settings is
/// found exactly for given prices of time (those of the frontier) and of a switch; both prices are
/// searched.
[[nodiscard]] std::optional<std::vector<const Option*>> choose_with_switches(
    const Pipeline& pipeline, const std::vector<std::uint32_t>& topological, Seconds time,
    int most_switches);

}  // namespace perwatt::training
