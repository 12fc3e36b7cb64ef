// One line for how a deployment lays a model over GPUs and what it is.
#pragma once

#include <string>

#include "perwatt/inference/measured_point.hpp"

namespace perwatt::report {

/// "8 GPUs, TP8", "12 GPUs: prefill 4 TP4, decode 8 TP8 EP8 DP-attention".
[[nodiscard]] std::string layout_text(const inference::Layout& layout);

/// "fp4 sglang mtp disaggregated".
[[nodiscard]] std::string configuration_text(const inference::MeasuredPoint& point);

/// "1024/1024 tokens in/out", "task lm-arena-chat".
[[nodiscard]] std::string workload_text(const inference::Workload& workload);

/// "file.csv:12" of "/any/folder/file.csv:12": documents do not depend on where the data lie.
[[nodiscard]] std::string place_text(const std::string& read_at);

}  // namespace perwatt::report
