// The part of the frontier verb that asks the serving model instead of measured rows.
#pragma once

#include "modelled_question.hpp"

namespace perwatt::cli {

/// Prints the answer. REQUIRES: an accelerator.
void run_modelled_frontier(const ModelledFrontierOptions& options, const DataOptions& data);

}  // namespace perwatt::cli
