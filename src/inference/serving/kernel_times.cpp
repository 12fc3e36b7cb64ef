#include "perwatt/inference/serving/kernel_times.hpp"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

namespace perwatt::inference::serving {

namespace {

/// Names that tables give a number format, the likeliest first.
std::vector<std::string> dtypes_of(NumberType type) {
  switch (type) {
    case NumberType::bf16:
      return {"bf16"};
    case NumberType::fp8:
      return {"fp8", "fp8_block"};
    case NumberType::nvfp4:
      return {"nvfp4"};
    case NumberType::mxfp4:
      return {"w4a8_mxfp4_mxfp8", "w4a16_mxfp4"};
    case NumberType::mxfp8:
    case NumberType::int8:
    case NumberType::int4:
      break;
  }
  return {};
}

void miss(KernelTimes& times, std::string what) {
  if (std::find(times.misses.begin(), times.misses.end(), what) == times.misses.end()) {
    times.misses.push_back(std::move(what));
  }
}

void add(KernelTimes& times, double count, Seconds latency, double half_width,
         OperatorRelation relation) {
  const double before = in_seconds(times.total) * times.relative_half_width;
  times.kernels += count;
  times.total += latency * count;
  times.relative_half_width =
      (before + in_seconds(latency) * count * half_width) / in_seconds(times.total);
  times.weakest = std::max(times.weakest, relation);
}

class KernelCount {
 public:
  KernelCount(const Setup& setup, double sequences, double tokens_per_sequence,
              const OperatorTable& operators, StepKernels& result)
      : setup_{setup},
        instance_{setup.layout.decode.instance},
        hidden_{1.0 * setup.model->hidden_size},
        batch_{std::max(1.0, sequences / instance_.pipeline_stages)},
        tokens_{batch_ * tokens_per_sequence},
        context_{setup.input_tokens + setup.output_tokens / 2},
        engine_{to_string(setup.engine.family)},
        operators_{operators},
        result_{result} {}

  void count() {
    for (const auto& group : setup_.model->distinct_layers()) {
      std::visit([&](const auto& attention) { count_attention(group.count, attention); },
                 group.attention);
      std::visit([&](const auto& part) { count_feed_forward(group.count, part); },
                 group.feed_forward);
    }
    const double vocabulary = setup_.model->vocabulary_size;
    gemm(1, OperatorGroup::lm_head, ModelPart::lm_head,
         {tokens_, vocabulary / instance_.stage_gpus(), hidden_});
  }

 private:
  KernelTimes& of(OperatorGroup group) { return result_.groups[static_cast<std::size_t>(group)]; }

  /// The first of `formats` that has a table; a miss names the kernel.
  void kernel(double count, OperatorGroup group, Operator op,
              const std::vector<OperatorFormat>& formats, const OperatorShape& shape,
              const std::string& what) {
    for (const auto& format : formats) {
      const auto* family = operators_.find(setup_.hardware.accelerator, engine_, op, format);
      if (family == nullptr) {
        continue;
      }
      const auto estimate = family->estimate(shape);
      if (estimate) {
        const auto& value = estimate.value();
        add(of(group), count, value.latency, value.relative_half_width, value.relation);
      } else {
        miss(of(group), what + ": " + estimate.reason());
      }
      return;
    }
    miss(of(group), what + ": no table of " + engine_ + " on " + setup_.hardware.accelerator);
  }

  void gemm(double count, OperatorGroup group, ModelPart part, const GemmShape& shape) {
    const auto type = setup_.format.weights[part].type;
    std::vector<OperatorFormat> formats;
    for (const auto& dtype : dtypes_of(type)) {
      formats.push_back({dtype, "", 0, ""});
    }
    kernel(count, group, Operator::gemm, formats, shape, "GEMM in " + std::string{to_string(type)});
  }

  void feed_forward(double count, OperatorGroup group, ModelPart part, double width,
                    bool is_gated) {
    const double own = width / instance_.stage_gpus();
    gemm(count, group, part, {tokens_, (is_gated ? 2 : 1) * own, hidden_});
    gemm(count, group, part, {tokens_, hidden_, own});
  }

  [[nodiscard]] std::string kv_dtype() const {
    return setup_.kv_element_bytes < 2 ? "fp8" : "bf16";
  }

  void count_attention(double /*layers*/, const std::monostate& /*none*/) {}

  void count_attention(double layers, const HeadAttention& attention) {
    const double tp = instance_.attention_tp();
    const double heads = attention.q_heads / tp;
    const double kv_heads = std::max(1.0, attention.kv_heads / tp);
    const double tokens = tokens_ / instance_.attention_dp;
    const double gate = attention.has_output_gate ? heads * attention.value_head_dim : 0;
    const double wide =
        (heads + kv_heads) * attention.head_dim + kv_heads * attention.value_head_dim + gate;
    gemm(layers, OperatorGroup::projections, ModelPart::attention, {tokens, wide, hidden_});
    gemm(layers, OperatorGroup::projections, ModelPart::attention,
         {tokens, hidden_, heads * attention.value_head_dim});
    if (attention.reach.kind != Reach::Kind::full || attention.indexer) {
      miss(of(OperatorGroup::attention_core),
           std::string{kind_name(attention)} + " attention: only full attention was measured");
      return;
    }
    kernel(layers, OperatorGroup::attention_core, Operator::generation_attention,
           {{"bf16", kv_dtype(), attention.head_dim, ""}, {"bf16", "bf16", attention.head_dim, ""}},
           AttentionKernelShape{batch_ / instance_.attention_dp, context_, heads, kv_heads},
           "attention of heads of " + std::to_string(attention.head_dim));
  }

  /// The module's table holds its projections too.
  void count_attention(double layers, const LatentAttention& attention) {
    const bool is_deepseek = attention.kv_lora_rank == 512 && attention.qk_rope_head_dim == 64 &&
                             attention.qk_nope_head_dim == 128;
    if (!is_deepseek || attention.indexer) {
      miss(of(OperatorGroup::attention_core),
           std::string{kind_name(attention)} + " attention: only DeepSeek-V3's was measured");
      return;
    }
    std::vector<OperatorFormat> formats;
    for (const auto& dtype :
         {std::string{"fp8_block"}, std::string{"nvfp4"}, std::string{"bf16"}}) {
      const auto dtypes = dtypes_of(setup_.format.weights[ModelPart::attention].type);
      if (std::find(dtypes.begin(), dtypes.end(), dtype) != dtypes.end()) {
        formats.push_back({dtype, kv_dtype(), 0, ""});
        formats.push_back({dtype, "bf16", 0, ""});
      }
    }
    kernel(layers, OperatorGroup::attention_core, Operator::mla_generation_module, formats,
           MlaShape{batch_ / instance_.attention_dp, context_,
                    1.0 * attention.q_heads / instance_.attention_tp()},
           "latent attention with its projections");
  }

  template <class Other>
  void count_attention(double /*layers*/, const Other& attention) {
    miss(of(OperatorGroup::attention_core),
         std::string{kind_name(attention)} + " layers: no kernel of theirs was measured");
  }

  void count_feed_forward(double /*layers*/, const std::monostate& /*none*/) {}

  void count_feed_forward(double layers, const DenseFeedForward& part) {
    feed_forward(layers, OperatorGroup::dense_ffn, ModelPart::dense_ffn, part.intermediate_size,
                 part.is_gated);
  }

  void count_feed_forward(double layers, const ExpertFeedForward& part) {
    const auto type = setup_.format.weights[ModelPart::routed_experts].type;
    std::vector<OperatorFormat> formats;
    for (const auto& dtype : dtypes_of(type)) {
      for (const char* routing : {"power_law_1.2", "balanced"}) {
        formats.push_back({dtype, "", 0, routing});
      }
    }
    const double ep = instance_.expert_parallel;
    kernel(layers, OperatorGroup::experts, Operator::moe, formats,
           MoeShape{tokens_, hidden_, 1.0 * part.intermediate_size, 1.0 * part.experts_per_token,
                    1.0 * part.experts, instance_.stage_gpus() / ep, ep},
           "experts in " + std::string{to_string(type)});
    gemm(layers, OperatorGroup::experts, ModelPart::router, {tokens_, 1.0 * part.experts, hidden_});
    if (part.shared_intermediate_size > 0) {
      feed_forward(layers, OperatorGroup::experts, ModelPart::shared_experts,
                   part.shared_intermediate_size, part.is_gated);
    }
  }

  const Setup& setup_;
  const Instance& instance_;
  double hidden_;
  double batch_;   // sequences that pass a layer at once
  double tokens_;  // theirs
  double context_;
  std::string engine_;
  const OperatorTable& operators_;
  StepKernels& result_;
};

/// All-reduces of the engine's own kernel, else of NCCL.
void count_collectives(const Setup& setup, double tokens, const CollectiveTable& table,
                       KernelTimes& times) {
  const Instance& instance = setup.layout.decode.instance;
  const double count = count_work(setup).decode.collectives;
  if (count == 0) {
    return;
  }
  if (instance.attention_dp > 1) {
    miss(times, "exchange between data-parallel attention and experts: not counted here");
    return;
  }
  const auto engine = to_string(setup.engine.family);
  for (const std::string_view library : {engine, std::string_view{"nccl"}}) {
    const auto* family = table.find(setup.hardware.accelerator, library, Collective::all_reduce);
    if (family == nullptr) {
      continue;
    }
    const auto estimate = family->estimate(instance.stage_gpus(),
                                           tokens * setup.model->hidden_size * kActivationBytes,
                                           ScaleOut{setup.hardware.scale_out_bytes_per_second});
    if (!estimate) {
      miss(times, "all-reduce: " + estimate.reason());
      return;
    }
    const auto& value = estimate.value();
    const auto relation = value.tag == Tag::measured       ? OperatorRelation::measured
                          : value.tag == Tag::interpolated ? OperatorRelation::interpolated
                                                           : OperatorRelation::held;
    add(times, count, value.latency, value.relative_half_width, relation);
    return;
  }
  miss(times, "all-reduce: no table on " + setup.hardware.accelerator);
}

}  // namespace

StepKernels kernels_of_step(const Setup& setup, double sequences, double tokens_per_sequence,
                            const OperatorTable& operators, const CollectiveTable& collectives) {
  StepKernels result;
  KernelCount{setup, sequences, tokens_per_sequence, operators, result}.count();
  const double batch = std::max(1.0, sequences / setup.layout.decode.instance.pipeline_stages);
  count_collectives(setup, batch * tokens_per_sequence, collectives, result.collectives);
  return result;
}

}  // namespace perwatt::inference::serving
