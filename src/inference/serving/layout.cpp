#include "perwatt/inference/serving/layout.hpp"

#include <algorithm>
#include <optional>

namespace perwatt::inference::serving {

namespace {

struct StatedPool {
  std::optional<int> gpus;
  std::optional<int> tp;
  std::optional<int> ep;
  std::optional<bool> dp_attention;
};

Pool pool_of(const StatedPool& stated) {
  Pool pool;
  pool.gpus = *stated.gpus;
  const int tp = stated.tp.value_or(1);
  const int ep = stated.ep.value_or(1);
  const bool is_data_parallel = stated.dp_attention.value_or(false);
  const bool spans_pool = is_data_parallel && tp == 1 && ep == 1;
  const int gpus = spans_pool ? pool.gpus : std::clamp(std::max(tp, ep), 1, pool.gpus);
  pool.instance.gpus = gpus;
  pool.instance.attention_dp = is_data_parallel ? gpus : 1;
  pool.instance.expert_parallel = std::clamp(ep, 1, gpus);
  pool.instances = std::max(1, pool.gpus / gpus);
  return pool;
}

std::string not_divided(std::string_view what, int count, std::string_view by, int degree) {
  return std::string{what} + " (" + std::to_string(count) + ") do not divide by " +
         std::string{by} + " " + std::to_string(degree);
}

}  // namespace

Result<ServingLayout> layout_of(const Layout& layout, Serving mode) {
  if (layout.num_gpus < 1) {
    return Failure{"no number of GPUs"};
  }
  ServingLayout result;
  result.mode = mode;
  result.num_gpus = layout.num_gpus;
  if (mode == Serving::aggregated) {
    result.decode.gpus = layout.num_gpus;
    result.decode.instance.gpus = layout.num_gpus;
    result.decode.instance.attention_dp =
        layout.decode_dp_attention.value_or(false) ? layout.num_gpus : 1;
    result.decode.instance.expert_parallel =
        std::clamp(layout.decode_ep.value_or(1), 1, layout.num_gpus);
    result.prefill = result.decode;
    return result;
  }
  if (!layout.prefill_gpus || !layout.decode_gpus || *layout.prefill_gpus < 1 ||
      *layout.decode_gpus < 1) {
    return Failure{"disaggregated without the GPUs of its prefill and decode pools"};
  }
  result.prefill = pool_of(
      {layout.prefill_gpus, layout.prefill_tp, layout.prefill_ep, layout.prefill_dp_attention});
  result.decode =
      pool_of({layout.decode_gpus, layout.decode_tp, layout.decode_ep, layout.decode_dp_attention});
  return result;
}

ServingLayout tensor_parallel_layout(int gpus) {
  ServingLayout layout;
  layout.num_gpus = gpus;
  layout.decode.gpus = gpus;
  layout.decode.instance.gpus = gpus;
  layout.prefill = layout.decode;
  return layout;
}

std::string layout_problem(const Instance& instance, const ModelShape& model,
                           const Hardware& hardware) {
  if (instance.gpus < 1 || instance.attention_dp < 1 || instance.expert_parallel < 1 ||
      instance.pipeline_stages < 1) {
    return "a degree below 1";
  }
  if (instance.gpus % instance.pipeline_stages != 0) {
    return not_divided("GPUs", instance.gpus, "pipeline stages", instance.pipeline_stages);
  }
  if (instance.pipeline_stages > model.layer_count()) {
    return std::to_string(instance.pipeline_stages) + " pipeline stages for " +
           std::to_string(model.layer_count()) + " layers";
  }
  const int stage = instance.stage_gpus();
  if (stage % instance.attention_dp != 0) {
    return not_divided("GPUs", stage, "attention data parallelism", instance.attention_dp);
  }
  if (stage % instance.expert_parallel != 0) {
    return not_divided("GPUs", stage, "expert parallelism", instance.expert_parallel);
  }
  if (instance.gpus > hardware.scale_up_gpus && !(hardware.scale_out_bytes_per_second > 0)) {
    return "an instance of " + std::to_string(instance.gpus) + " GPUs reaches beyond the " +
           std::to_string(hardware.scale_up_gpus) + " of a scale-up domain of " +
           hardware.accelerator + ", whose scale_out_gbit_per_s is not known";
  }
  for (const auto& group : model.layers) {
    if (!can_shard(group.attention, instance.attention_tp())) {
      return "heads of its " + std::string{kind_name(group.attention)} +
             " attention do not divide by tensor parallelism " +
             std::to_string(instance.attention_tp());
    }
    if (const auto* moe = std::get_if<ExpertFeedForward>(&group.feed_forward);
        moe != nullptr && moe->experts < instance.expert_parallel) {
      return "expert parallelism " + std::to_string(instance.expert_parallel) + " beyond its " +
             std::to_string(moe->experts) + " experts";
    }
  }
  return "";
}

}  // namespace perwatt::inference::serving
