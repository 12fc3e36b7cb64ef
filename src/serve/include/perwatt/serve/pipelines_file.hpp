// The pipelines a training server plans for, as a TOML file (docs/reference/training-server.md).
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "perwatt/serve/planned_pipeline.hpp"

namespace perwatt::serve {

/// Reads the file and the profiles it names, and finds every frontier. Throws Error(bad_input)
/// naming file, line and key.
[[nodiscard]] std::vector<std::unique_ptr<PlannedPipeline>> read_pipelines(
    const std::filesystem::path& file);

}  // namespace perwatt::serve
