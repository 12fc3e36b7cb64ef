// Private: plans with few changes of the frequency.
#pragma once

#include <optional>
#include <vector>

#include "perwatt/training/pipeline.hpp"

namespace perwatt::training {

/// FrequencyPlan::switches of a choice.
[[nodiscard]] int switches_of(const Pipeline& pipeline, const std::vector<const Option*>& chosen);

/// Settings by operation whose iteration takes at most `time` with at most `most_switches`, the
/// cheapest found in two ways: sequences that are cheapest for given prices of time (those of the
/// frontier) and of a switch, both prices searched; and `free`, a choice that ends in time, whose
/// runs of one frequency are merged one by one, the cheapest merger first.
[[nodiscard]] std::optional<std::vector<const Option*>> choose_with_switches(
    const Pipeline& pipeline, const std::vector<std::uint32_t>& topological,
    const Makespan& makespan, const std::vector<const Option*>& free, Seconds time,
    int most_switches);

}  // namespace perwatt::training
