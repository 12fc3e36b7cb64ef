// The kinds of attention layers, and what one of them computes, keeps and reads.
//
// Formulas and their sources: docs/model/model-shape.md#attention. Counts of parameters, elements
// and floating-point operations are of one layer, and of one sequence or one token where said so.
#pragma once

#include <optional>
#include <string_view>
#include <variant>

namespace perwatt::inference {

/// Which of the earlier tokens a query looks at, and which the cache must keep.
struct Reach {
  enum class Kind {
    full,          // all
    sliding,       // the last `tokens`
    chunked,       // those in its own chunk of `tokens` (Llama 4); counted as a full chunk
    block_sparse,  // the last `tokens` and every `stride`-th before them; all are kept
  };

  Kind kind = Kind::full;
  int tokens = 0;
  int stride = 1;

  bool operator==(const Reach&) const = default;
};

/// Scores all earlier entries with small heads, so that attention reads the best `top_k` only.
struct Indexer {
  int heads = 0;  // of queries; one key head
  int head_dim = 0;
  int top_k = 0;         // entries chosen
  bool is_own = true;    // false: the choice of an earlier layer is reused; no weights, no keys
  double key_bytes = 0;  // one cached key with its scale

  bool operator==(const Indexer&) const = default;
};

/// Multi-head, grouped-query and multi-query attention.
struct HeadAttention {
  int q_heads = 0;
  int kv_heads = 0;
  int head_dim = 0;  // of queries and keys
  int value_head_dim = 0;
  Reach reach;
  bool has_output_gate = false;  // a gate as wide as the output, from the input (Qwen3-Next)
  std::optional<Indexer> indexer;

  bool operator==(const HeadAttention&) const = default;
};

/// Multi-head latent attention (DeepSeek-V2 and later): keys and values from one latent vector.
struct LatentAttention {
  int q_heads = 0;
  int q_lora_rank = 0;  // 0: queries straight from the input
  int kv_lora_rank = 0;
  int qk_nope_head_dim = 0;
  int qk_rope_head_dim = 0;
  int value_head_dim = 0;
  std::optional<Indexer> indexer;

  bool operator==(const LatentAttention&) const = default;
};

/// DeepSeek-V4: one key-value head that is both key and value, exact in a sliding window, and
/// before it one compressed entry for every `ratio` tokens.
struct CompressedAttention {
  int q_heads = 0;
  int head_dim = 0;
  int q_lora_rank = 0;
  int output_groups = 0;  // the output projection is low-rank, group by group
  int output_lora_rank = 0;
  int window = 0;
  int ratio = 0;                   // 0: the window only
  bool is_overlapping = false;     // compressed entries overlap: twice the compressor's width
  std::optional<Indexer> indexer;  // over compressed entries

  bool operator==(const CompressedAttention&) const = default;
};

/// Gated delta net (Qwen3-Next, Qwen3.5): a state of fixed size instead of a cache.
struct LinearAttention {
  int key_heads = 0;
  int value_heads = 0;
  int key_head_dim = 0;
  int value_head_dim = 0;
  int conv_kernel = 0;
  double state_element_bytes = 4;

  bool operator==(const LinearAttention&) const = default;
};

/// Mamba-2 mixer (Nemotron-H).
struct Mamba2 {
  int heads = 0;
  int head_dim = 0;
  int groups = 0;
  int state_size = 0;
  int conv_kernel = 0;
  double state_element_bytes = 4;

  bool operator==(const Mamba2&) const = default;
};

/// The first alternative: a layer without attention.
using Attention = std::variant<std::monostate, HeadAttention, LatentAttention, CompressedAttention,
                               LinearAttention, Mamba2>;

/// "full", "sliding window", "chunked", "block sparse", "latent", "latent, indexed", "compressed",
/// "linear", "mamba2" or "none".
[[nodiscard]] std::string_view kind_name(const Attention& attention);

/// Weights of all matrices and convolutions, without biases and norms.
[[nodiscard]] double projection_parameters(const Attention& attention, double hidden_size);

/// Of them, the weights of the convolutions, which take no matrix product.
[[nodiscard]] double convolution_parameters(const Attention& attention);

/// Entries a query attends to when `context_tokens` are before and with it; rises with the context
/// to its bound. An entry is a token, or in a compressed layer a token of the window or a
/// compressed entry. 0 for layers with a state.
[[nodiscard]] double attended_entries(const Attention& attention, double context_tokens);

/// Bytes of the cache that one sequence of `context_tokens` holds in this layer, without the state
/// of state_bytes(). `element_bytes` is of a cached element (1 for fp8, 2 for bf16); index keys
/// keep their own size. Windows cap it.
[[nodiscard]] double kv_bytes(const Attention& attention, double context_tokens,
                              double element_bytes);

/// Bytes of the cache that one decoded token reads in this layer: attended entries, index keys,
/// and a state in full.
[[nodiscard]] double kv_read_bytes(const Attention& attention, double context_tokens,
                                   double element_bytes);

/// Bytes of recurrent and convolution state of one sequence, whatever its length; 0 for layers
/// with a cache. Convolution inputs are kept in 16 bit.
[[nodiscard]] double state_bytes(const Attention& attention);

/// Among how many of `tensor_parallel` GPUs the cache or state of this layer is split; the others
/// hold copies. min(TP, KV heads), and 1 for latent and compressed layers.
[[nodiscard]] int cache_shards(const Attention& attention, int tensor_parallel);

/// Whether the heads can be split over `tensor_parallel` GPUs: query heads divide, and KV heads
/// divide or are fewer and divide it.
[[nodiscard]] bool can_shard(const Attention& attention, int tensor_parallel);

/// Floating-point operations of one query token beyond its projections, `context_tokens` being
/// before and with it: scores, weighted sums, indexer, convolution, state update. In decode latent
/// attention works on the latent itself (absorbed); in prefill on keys and values made from it.
enum class Phase { prefill, decode };

[[nodiscard]] double core_flops(const Attention& attention, double context_tokens, Phase phase);

}  // namespace perwatt::inference
