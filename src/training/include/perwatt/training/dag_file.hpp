// Any iteration as a graph of operations, from JSON (docs/reference/training-profile.md):
//   {"operations": [{"name": "f0", "stage": 0, "instruction": "forward",
//                    "options": [{"frequency_mhz": 1410, "time_seconds": 0.05,
//                                 "energy_joules": 23.8}]}],
//    "dependencies": [{"before": "f0", "after": "b0", "delay_seconds": 0.001}]}
// An operation without options takes those of its stage and instruction in the profile. Operations
// of a stage run one after the other in the order of the file: each waits for the one before. Other
// knobs than the frequency are named in "other_knobs" (default: the profile's) and stand in each
// option by name.
#pragma once

#include <string>
#include <string_view>

#include "perwatt/training/pipeline.hpp"

namespace perwatt::training {

/// `profile` may have no rows. Throws Error(bad_input) naming the key, the operation, or the
/// circle.
[[nodiscard]] Pipeline read_dag(std::string_view text, const std::string& name,
                                const Profile& profile, Watts blocking_power);

}  // namespace perwatt::training
