#include "layout_text.hpp"

#include <fmt/format.h>

namespace perwatt::report {

namespace {

std::string parallelism(const std::optional<int>& tensor, const std::optional<int>& expert,
                        const std::optional<bool>& dp_attention) {
  std::string text;
  if (tensor && *tensor > 1) {
    text += fmt::format(" TP{}", *tensor);
  }
  if (expert && *expert > 1) {
    text += fmt::format(" EP{}", *expert);
  }
  if (dp_attention.value_or(false)) {
    text += " DP-attention";
  }
  return text;
}

}  // namespace

std::string layout_text(const inference::Layout& layout) {
  const auto prefill =
      parallelism(layout.prefill_tp, layout.prefill_ep, layout.prefill_dp_attention);
  const auto decode = parallelism(layout.decode_tp, layout.decode_ep, layout.decode_dp_attention);
  const auto gpus = fmt::format("{} GPU{}", layout.num_gpus, layout.num_gpus == 1 ? "" : "s");
  if (layout.prefill_gpus && layout.decode_gpus && *layout.prefill_gpus > 0) {
    return fmt::format("{}: prefill {}{}, decode {}{}", gpus, *layout.prefill_gpus, prefill,
                       *layout.decode_gpus, decode);
  }
  return gpus + (decode.empty() ? prefill : decode);
}

std::string configuration_text(const inference::MeasuredPoint& point) {
  std::string text = point.precision + ' ' + point.engine;
  if (point.spec_decode != "none" && !point.spec_decode.empty()) {
    text += ' ' + point.spec_decode;
  }
  return text + ' ' + to_string(point.serving);
}

std::string workload_text(const inference::Workload& workload) {
  return workload.task.empty() ? to_string(workload) + " tokens in/out" : "task " + workload.task;
}

std::string place_text(const std::string& read_at) {
  return read_at.substr(read_at.find_last_of('/') + 1);  // npos + 1 is 0
}

}  // namespace perwatt::report
