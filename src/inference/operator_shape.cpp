#include "perwatt/inference/operator_shape.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace perwatt::inference {

namespace {

constexpr std::array<std::string_view, 9> kNames = {"gemm",
                                                    "context_attention",
                                                    "generation_attention",
                                                    "context_mla",
                                                    "generation_mla",
                                                    "mla_context_module",
                                                    "mla_generation_module",
                                                    "mla_bmm",
                                                    "moe"};

/// Bytes per element of weights and the precision whose dense rate applies.
struct DtypeFacts {
  std::string_view name;
  double bytes;
  std::string_view compute;
};

// 9/16: 4 bits and one 8-bit scale per 16 elements; 17/32: per 32.
constexpr std::array<DtypeFacts, 6> kDtypes = {{{"bf16", 2, "bf16"},
                                                {"fp8", 1, "fp8"},
                                                {"fp8_block", 1, "fp8"},
                                                {"nvfp4", 9.0 / 16, "fp4"},
                                                {"w4a16_mxfp4", 17.0 / 32, "bf16"},
                                                {"w4a8_mxfp4_mxfp8", 17.0 / 32, "fp8"}}};

constexpr double kActivationBytes = 2;  // what leaves a kernel is bf16
constexpr double kLatentRank = 512;     // DeepSeek-V3
constexpr double kLatentRope = 64;
constexpr double kLatentHead = 128;
constexpr double kLatentHidden = 7168;
constexpr double kLatentQueryRank = 1536;

const DtypeFacts* facts_of(std::string_view dtype) {
  const auto* found = std::find_if(kDtypes.begin(), kDtypes.end(),
                                   [&](const DtypeFacts& facts) { return facts.name == dtype; });
  return found == kDtypes.end() ? nullptr : found;
}

double bytes_of(std::string_view dtype) {
  const auto* facts = facts_of(dtype);
  return facts == nullptr ? kActivationBytes : facts->bytes;
}

OperatorWork gemm_work(const OperatorFormat& format, const GemmShape& s) {
  const double weight = bytes_of(format.dtype);
  return {2 * s.m * s.n * s.k, (s.m * s.k + s.n * s.k) * weight + kActivationBytes * s.m * s.n};
}

OperatorWork attention_work(Operator op, const OperatorFormat& format,
                            const AttentionKernelShape& s) {
  const bool is_context = op == Operator::context_attention;
  const double queries = is_context ? s.sequence : 1;
  const double pairs = is_context ? s.sequence * s.sequence / 2 : s.sequence;
  const double dim = format.head_dim;
  const double cache = 2 * s.batch * s.sequence * s.kv_heads * dim * bytes_of(format.kv_dtype);
  return {4 * s.batch * s.heads * dim * pairs,
          cache + 2 * kActivationBytes * s.batch * queries * s.heads * dim};
}

OperatorWork mla_work(Operator op, std::string_view kv_dtype, const MlaShape& s) {
  const double cache = s.batch * s.sequence * (kLatentRank + kLatentRope) * bytes_of(kv_dtype);
  if (op == Operator::context_mla || op == Operator::mla_context_module) {
    // Expanded: keys of 128 + 64, values of 128.
    const double pairs = s.batch * s.heads * s.sequence * s.sequence / 2;
    const double io = s.batch * s.sequence * s.heads * kActivationBytes *
                      (2 * (kLatentHead + kLatentRope) + 2 * kLatentHead);
    return {2 * pairs * (2 * kLatentHead + kLatentRope), cache + io};
  }
  const double pairs = s.batch * s.heads * s.sequence;
  const double io = s.batch * s.heads * kActivationBytes * (2 * kLatentRank + kLatentRope);
  return {2 * pairs * (2 * kLatentRank + kLatentRope), cache + io};
}

/// The attention kernel plus the projections of a layer with `heads` of DeepSeek-V3's 128.
OperatorWork module_work(Operator op, const OperatorFormat& format, const MlaShape& s) {
  const auto attention = mla_work(op, format.kv_dtype, s);
  const double tokens = op == Operator::mla_context_module ? s.batch * s.sequence : s.batch;
  const double weights = kLatentHidden * (kLatentQueryRank + kLatentRank + kLatentRope) +
                         kLatentQueryRank * s.heads * (kLatentHead + kLatentRope) +
                         kLatentRank * s.heads * 2 * kLatentHead +
                         s.heads * kLatentHead * kLatentHidden;
  return {attention.flops + 2 * tokens * weights,
          attention.bytes + weights * bytes_of(format.dtype) +
              2 * tokens * kLatentHidden * kActivationBytes};
}

OperatorWork bmm_work(const OperatorFormat& format, const MlaBmmShape& s) {
  const double bytes = bytes_of(format.dtype);
  return {2 * s.tokens * s.heads * kLatentHead * kLatentRank,
          s.heads * kLatentHead * kLatentRank * bytes +
              s.tokens * s.heads * (kLatentHead + kLatentRank) * kActivationBytes};
}

OperatorWork moe_work(const OperatorFormat& format, const MoeShape& s) {
  const double slots = s.tokens * s.topk / s.expert_parallel;
  const double chosen = 1 - std::pow(1 - 1 / s.experts, s.tokens * s.topk);
  const double active = s.experts / s.expert_parallel * chosen;
  const double expert = 3 * s.hidden * s.inter / s.tensor_parallel;
  return {2 * slots * expert,
          active * expert * bytes_of(format.dtype) + 2 * kActivationBytes * slots * s.hidden};
}

}  // namespace

std::string_view to_string(Operator op) {
  return kNames.at(static_cast<std::size_t>(op));
}

std::optional<OperatorRates> operator_rates(const catalog::Accelerator& accelerator,
                                            std::string_view dtype) {
  const auto* facts = facts_of(dtype);
  if (facts == nullptr || !accelerator.memory_bytes_per_second) {
    return std::nullopt;
  }
  const auto flops = accelerator.peak_flops(facts->compute);
  if (!flops) {
    return std::nullopt;
  }
  return OperatorRates{*flops, *accelerator.memory_bytes_per_second};
}

OperatorWork operator_work(Operator op, const OperatorFormat& format, const OperatorShape& shape) {
  switch (op) {
    case Operator::gemm:
      return gemm_work(format, std::get<GemmShape>(shape));
    case Operator::context_attention:
    case Operator::generation_attention:
      return attention_work(op, format, std::get<AttentionKernelShape>(shape));
    case Operator::context_mla:
    case Operator::generation_mla:
      return mla_work(op, format.dtype, std::get<MlaShape>(shape));
    case Operator::mla_context_module:
    case Operator::mla_generation_module:
      return module_work(op, format, std::get<MlaShape>(shape));
    case Operator::mla_bmm:
      return bmm_work(format, std::get<MlaBmmShape>(shape));
    case Operator::moe:
      break;
  }
  return moe_work(format, std::get<MoeShape>(shape));
}

Seconds speed_of_light(const OperatorWork& work, const OperatorRates& rates) {
  return seconds(std::max(work.flops / rates.flops, work.bytes / rates.bytes_per_second));
}

}  // namespace perwatt::inference
