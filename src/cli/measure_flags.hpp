// Flags of perwatt measure that say nothing in the mode at hand.
#pragma once

#include "measure_options.hpp"

namespace perwatt::cli {

/// Throws Error(usage) for a flag that was given and would have no effect: a user who writes one
/// expects something of it.
void refuse_flags_without_effect(const CLI::App& verb, const MeasureOptions& options);

}  // namespace perwatt::cli
