// Private: from the frontier's mixtures to real settings.
#pragma once

#include "discrete_pipeline.hpp"
#include "parametric_flow.hpp"

namespace perwatt::training {

/// The cheapest choice found whose operations are all over at `end` (tail left out), or as soon
/// after it as the fastest settings allow. Several ways of rounding the frontier's solution at
/// `end` and slightly beyond it, each with its slack given back to the operations, then exchanges:
/// one operation faster, others slower, within `most_visits` visits of operations. The same input
/// gives the same choice.
[[nodiscard]] Choice round_at(const Pipeline& pipeline, const ScaledWorks& works,
                              const DiscretePipeline& discrete,
                              const std::vector<std::uint32_t>& topological, Picoseconds end,
                              double most_visits);

}  // namespace perwatt::training
