// Private: the order of passes on each stage.
#pragma once

#include <vector>

#include "perwatt/training/schedule.hpp"

namespace perwatt::training {

enum class Pass { forward, recompute, backward, backward_input, backward_weight };

struct Slot {
  Pass pass = Pass::forward;
  int microbatch = 0;
  int chunk = 0;
};

/// What `stage` does, in order. REQUIRES: for interleaved, microbatches a multiple of stages.
[[nodiscard]] std::vector<Slot> order_of_stage(const PipelineShape& shape, int stage);

}  // namespace perwatt::training
