// A pipeline as a table of a configuration file describes it: [[pipeline]] of 'perwatt train
// serve' (docs/reference/training-server.md), [[training]] of a site (docs/reference/site.md).
//
// Keys: profile (a file, relative to `folder`), stages, microbatches, schedule ("1f1b" when
// absent), blocking_power, transfer, tail; or dag in place of stages, microbatches, schedule,
// transfer and tail, and then profile only where the graph needs it.
#pragma once

#include <filesystem>

#include "perwatt/base/config.hpp"
#include "perwatt/training/pipeline.hpp"
#include "perwatt/training/schedule.hpp"

namespace perwatt::training {

/// Reads these keys of `table` and no others. Throws Error(bad_input) naming the key of what is
/// missing, out of range or contradicts another, and as the readers of the files do.
[[nodiscard]] Pipeline read_pipeline_table(const ConfigTable& table,
                                           const std::filesystem::path& folder);

/// The shape in such a table. REQUIRES: it has no `dag`. Throws as read_pipeline_table() does.
[[nodiscard]] PipelineShape read_pipeline_shape(const ConfigTable& table);

}  // namespace perwatt::training
