#include "perwatt/inference/attention_shape.hpp"

#include <algorithm>
#include <type_traits>

namespace perwatt::inference {

namespace {

// FLOP per element of the state and token: decay, read by the key, correction, write, read by the
// query (gated delta net); decay, write, read (Mamba-2). docs/model/model-shape.md#attention.
constexpr double kDeltaNetFlopsPerElement = 7;
constexpr double kMamba2FlopsPerElement = 5;
constexpr double kConvInputBytes = 2;

template <class... Kinds>
struct Overloaded : Kinds... {
  using Kinds::operator()...;
};

template <class... Kinds>
Overloaded(Kinds...) -> Overloaded<Kinds...>;

double attended(const Reach& reach, double context) {
  const double near = std::min(context, static_cast<double>(reach.tokens));
  switch (reach.kind) {
    case Reach::Kind::full:
      break;
    case Reach::Kind::sliding:
    case Reach::Kind::chunked:
      return near;
    case Reach::Kind::block_sparse:
      return near + (context - near) / reach.stride;
  }
  return context;
}

double kept(const Reach& reach, double context) {
  const bool is_capped = reach.kind == Reach::Kind::sliding || reach.kind == Reach::Kind::chunked;
  return is_capped ? attended(reach, context) : context;
}

double chosen(const std::optional<Indexer>& indexer, double entries) {
  return indexer ? std::min(entries, static_cast<double>(indexer->top_k)) : entries;
}

double index_key_bytes(const std::optional<Indexer>& indexer, double entries) {
  return indexer && indexer->is_own ? indexer->key_bytes * entries : 0;
}

double index_flops(const std::optional<Indexer>& indexer, double entries) {
  return indexer && indexer->is_own ? 2.0 * indexer->heads * indexer->head_dim * entries : 0;
}

/// Queries from `query_input`; one key and a weight for each head from the hidden state.
double index_parameters(const std::optional<Indexer>& indexer, double query_input, double hidden) {
  if (!indexer || !indexer->is_own) {
    return 0;
  }
  const double heads = indexer->heads;
  const double dim = indexer->head_dim;
  return query_input * heads * dim + hidden * (dim + heads);
}

double entry_size(const HeadAttention& a) {
  return static_cast<double>(a.kv_heads) * (a.head_dim + a.value_head_dim);
}

double entry_size(const LatentAttention& a) {
  return static_cast<double>(a.kv_lora_rank) + a.qk_rope_head_dim;
}

double compressed_entries(const CompressedAttention& a, double context) {
  return a.ratio > 0 ? context / a.ratio : 0;
}

double window_entries(const CompressedAttention& a, double context) {
  return std::min(context, static_cast<double>(a.window));
}

double conv_channels(const LinearAttention& a) {
  return 2.0 * a.key_heads * a.key_head_dim + static_cast<double>(a.value_heads) * a.value_head_dim;
}

double state_elements(const LinearAttention& a) {
  return static_cast<double>(a.value_heads) * a.value_head_dim * a.key_head_dim;
}

double inner_size(const Mamba2& a) {
  return static_cast<double>(a.heads) * a.head_dim;
}

double conv_channels(const Mamba2& a) {
  return inner_size(a) + 2.0 * a.groups * a.state_size;
}

double state_elements(const Mamba2& a) {
  return inner_size(a) * a.state_size;
}

double parameters_of(const HeadAttention& a, double hidden) {
  const double q = static_cast<double>(a.q_heads) * a.head_dim;
  const double output = static_cast<double>(a.q_heads) * a.value_head_dim;
  double index = 0;
  if (a.indexer && a.indexer->is_own) {  // keys of blocks are compared without weights per head
    index = hidden * a.indexer->head_dim * (a.indexer->heads + 1.0);
  }
  return hidden * (q + entry_size(a) + output * (a.has_output_gate ? 2 : 1)) + index;
}

double parameters_of(const LatentAttention& a, double hidden) {
  const double heads = a.q_heads;
  const double q_input = a.q_lora_rank > 0 ? a.q_lora_rank : hidden;
  const double q = q_input * heads * (a.qk_nope_head_dim + a.qk_rope_head_dim) +
                   (a.q_lora_rank > 0 ? hidden * a.q_lora_rank : 0);
  const double kv =
      hidden * entry_size(a) + a.kv_lora_rank * heads * (a.qk_nope_head_dim + a.value_head_dim);
  return q + kv + heads * a.value_head_dim * hidden + index_parameters(a.indexer, q_input, hidden);
}

double parameters_of(const CompressedAttention& a, double hidden) {
  const double heads_width = static_cast<double>(a.q_heads) * a.head_dim;
  const double q = hidden * a.q_lora_rank + a.q_lora_rank * heads_width;
  const double output = heads_width * a.output_lora_rank +
                        static_cast<double>(a.output_groups) * a.output_lora_rank * hidden;
  const double width = a.is_overlapping ? 2 : 1;
  const double compressor = a.ratio > 0 ? 2 * hidden * width * a.head_dim : 0;
  double index = index_parameters(a.indexer, a.q_lora_rank, hidden);
  if (a.indexer && a.indexer->is_own) {  // its keys come from a compressor, not from one matrix
    index += hidden * a.indexer->head_dim * (2 * width - 1);
  }
  return q + hidden * a.head_dim + output + compressor + index;
}

double parameters_of(const LinearAttention& a, double hidden) {
  const double values = static_cast<double>(a.value_heads) * a.value_head_dim;
  return hidden * (conv_channels(a) + values + 2.0 * a.value_heads) + values * hidden +
         conv_channels(a) * a.conv_kernel;
}

double parameters_of(const Mamba2& a, double hidden) {
  return hidden * (inner_size(a) + conv_channels(a) + a.heads) + inner_size(a) * hidden +
         conv_channels(a) * a.conv_kernel;
}

double parameters_of(std::monostate, double) {
  return 0;
}

}  // namespace

std::string_view kind_name(const Attention& attention) {
  return std::visit(
      Overloaded{[](std::monostate) -> std::string_view { return "none"; },
                 [](const HeadAttention& a) -> std::string_view {
                   if (a.indexer) {
                     return "full, indexed";
                   }
                   switch (a.reach.kind) {
                     case Reach::Kind::full:
                       break;
                     case Reach::Kind::sliding:
                       return "sliding window";
                     case Reach::Kind::chunked:
                       return "chunked";
                     case Reach::Kind::block_sparse:
                       return "block sparse";
                   }
                   return "full";
                 },
                 [](const LatentAttention& a) -> std::string_view {
                   return a.indexer ? "latent, indexed" : "latent";
                 },
                 [](const CompressedAttention&) -> std::string_view { return "compressed"; },
                 [](const LinearAttention&) -> std::string_view { return "linear"; },
                 [](const Mamba2&) -> std::string_view { return "mamba2"; }},
      attention);
}

double projection_parameters(const Attention& attention, double hidden_size) {
  return std::visit([&](const auto& kind) { return parameters_of(kind, hidden_size); }, attention);
}

double convolution_parameters(const Attention& attention) {
  return std::visit(
      Overloaded{[](const LinearAttention& a) { return conv_channels(a) * a.conv_kernel; },
                 [](const Mamba2& a) { return conv_channels(a) * a.conv_kernel; },
                 [](const auto&) { return 0.0; }},
      attention);
}

double attended_entries(const Attention& attention, double context_tokens) {
  return std::visit(
      Overloaded{[&](const HeadAttention& a) {
                   return chosen(a.indexer, attended(a.reach, context_tokens));
                 },
                 [&](const LatentAttention& a) { return chosen(a.indexer, context_tokens); },
                 [&](const CompressedAttention& a) {
                   return window_entries(a, context_tokens) +
                          chosen(a.indexer, compressed_entries(a, context_tokens));
                 },
                 [](const auto&) { return 0.0; }},
      attention);
}

double kv_bytes(const Attention& attention, double context_tokens, double element_bytes) {
  return std::visit(Overloaded{[&](const HeadAttention& a) {
                                 const double entries = kept(a.reach, context_tokens);
                                 return entries * entry_size(a) * element_bytes +
                                        index_key_bytes(a.indexer, entries);
                               },
                               [&](const LatentAttention& a) {
                                 return context_tokens * entry_size(a) * element_bytes +
                                        index_key_bytes(a.indexer, context_tokens);
                               },
                               [&](const CompressedAttention& a) {
                                 const double compressed = compressed_entries(a, context_tokens);
                                 return (window_entries(a, context_tokens) + compressed) *
                                            a.head_dim * element_bytes +
                                        index_key_bytes(a.indexer, compressed);
                               },
                               [](const auto&) { return 0.0; }},
                    attention);
}

double kv_read_bytes(const Attention& attention, double context_tokens, double element_bytes) {
  const double entries = attended_entries(attention, context_tokens);
  return std::visit(Overloaded{[&](const HeadAttention& a) {
                                 return entries * entry_size(a) * element_bytes +
                                        index_key_bytes(a.indexer, kept(a.reach, context_tokens));
                               },
                               [&](const LatentAttention& a) {
                                 return entries * entry_size(a) * element_bytes +
                                        index_key_bytes(a.indexer, context_tokens);
                               },
                               [&](const CompressedAttention& a) {
                                 return entries * a.head_dim * element_bytes +
                                        index_key_bytes(a.indexer,
                                                        compressed_entries(a, context_tokens));
                               },
                               [&](const auto&) { return state_bytes(attention); }},
                    attention);
}

double state_bytes(const Attention& attention) {
  const auto bytes = [](const auto& a) {
    return state_elements(a) * a.state_element_bytes +
           conv_channels(a) * (a.conv_kernel - 1.0) * kConvInputBytes;
  };
  return std::visit(
      Overloaded{[&](const LinearAttention& a) { return bytes(a); },
                 [&](const Mamba2& a) { return bytes(a); }, [](const auto&) { return 0.0; }},
      attention);
}

int cache_shards(const Attention& attention, int tensor_parallel) {
  return std::visit(
      Overloaded{[&](const HeadAttention& a) { return std::min(tensor_parallel, a.kv_heads); },
                 [&](const LinearAttention& a) { return std::min(tensor_parallel, a.value_heads); },
                 [&](const Mamba2& a) { return std::min(tensor_parallel, a.heads); },
                 [](const auto&) { return 1; }},
      attention);
}

bool can_shard(const Attention& attention, int tensor_parallel) {
  const auto divides_or_copies = [&](int heads) {
    return heads % tensor_parallel == 0 || tensor_parallel % heads == 0;
  };
  return std::visit(
      Overloaded{[&](const HeadAttention& a) {
                   return a.q_heads % tensor_parallel == 0 && divides_or_copies(a.kv_heads);
                 },
                 [&](const LatentAttention& a) { return a.q_heads % tensor_parallel == 0; },
                 [&](const CompressedAttention& a) {
                   return a.q_heads % tensor_parallel == 0 && divides_or_copies(a.output_groups);
                 },
                 [&](const LinearAttention& a) {
                   return a.value_heads % tensor_parallel == 0 && divides_or_copies(a.key_heads);
                 },
                 [&](const Mamba2& a) {
                   return a.heads % tensor_parallel == 0 && divides_or_copies(a.groups);
                 },
                 [](std::monostate) { return true; }},
      attention);
}

double core_flops(const Attention& attention, double context_tokens, Phase phase) {
  const double entries = attended_entries(attention, context_tokens);
  return std::visit(
      Overloaded{[&](const HeadAttention& a) {
                   return 2.0 * a.q_heads * (a.head_dim + a.value_head_dim) * entries +
                          index_flops(a.indexer, kept(a.reach, context_tokens));
                 },
                 [&](const LatentAttention& a) {
                   const double width = phase == Phase::decode
                                            ? entry_size(a) + a.kv_lora_rank
                                            : static_cast<double>(a.qk_nope_head_dim) +
                                                  a.qk_rope_head_dim + a.value_head_dim;
                   return 2.0 * a.q_heads * width * entries +
                          index_flops(a.indexer, context_tokens);
                 },
                 [&](const CompressedAttention& a) {
                   return 4.0 * a.q_heads * a.head_dim * entries +
                          index_flops(a.indexer, compressed_entries(a, context_tokens));
                 },
                 [&](const LinearAttention& a) {
                   return kDeltaNetFlopsPerElement * state_elements(a) +
                          2 * conv_channels(a) * a.conv_kernel;
                 },
                 [&](const Mamba2& a) {
                   return kMamba2FlopsPerElement * state_elements(a) +
                          2 * conv_channels(a) * a.conv_kernel;
                 },
                 [](std::monostate) { return 0.0; }},
      attention);
}

}  // namespace perwatt::inference
