// Times of collectives between the GPUs of one scale-up domain, and beyond it.
// Method and errors: docs/model/operators.md#collectives. Schema: docs/reference/operators.md.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/result.hpp"
#include "perwatt/base/tag.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"

namespace perwatt::inference {

enum class Collective { all_reduce, all_gather, reduce_scatter, all_to_all };

[[nodiscard]] std::string_view to_string(Collective op);

/// latency = alpha + amount / rate, by least squares of the relative errors.
struct AlphaBeta {
  Seconds alpha;
  double rate_per_second = 0;  // bytes, or elements of payload
  double median_error = 0;     // relative, on the rows it was fitted to
  double p90_error = 0;
};

/// One curve: amounts moved and how long it took.
struct TransferPoint {
  double amount = 0;
  Seconds latency;
};

/// REQUIRES: at least one point, positive amounts and latencies.
[[nodiscard]] AlphaBeta fit_alpha_beta(std::span<const TransferPoint> points);

struct CollectiveEstimate {
  Seconds latency;
  /// measured, interpolated (between amounts or GPU counts), modelled (beyond either), assumed
  /// (beyond the scale-up domain).
  Tag tag = Tag::measured;
  double relative_half_width = 0;  // about 90 %
};

/// What an estimate beyond the scale-up domain needs.
struct ScaleOut {
  double bytes_per_second = 0;  // of one GPU's network port and direction
};

/// One collective of one library on one accelerator. Immutable.
class CollectiveFamily {
 public:
  struct Curve {
    int gpus = 0;
    std::vector<TransferPoint> points;  // rising bytes
    AlphaBeta fit;
  };

  /// `domain_gpus` share links of `link_bytes_per_second` per GPU and direction.
  /// REQUIRES: at least one curve; counts differ and are at least 2.
  CollectiveFamily(Collective op, int domain_gpus, double link_bytes_per_second,
                   std::vector<Curve> curves);

  [[nodiscard]] Collective op() const { return op_; }

  [[nodiscard]] std::span<const Curve> curves() const { return curves_; }

  /// `bytes` is the whole vector of an all-reduce, the result of an all-gather, the input of a
  /// reduce-scatter and what one GPU sends in an all-to-all. One GPU or no bytes take no time. A
  /// failure beyond the domain without `scale_out`. Throws Error(bad_input) for fewer than one GPU
  /// or bytes that are negative or not finite.
  [[nodiscard]] Result<CollectiveEstimate> estimate(
      int gpus, double bytes, std::optional<ScaleOut> scale_out = std::nullopt) const;

 private:
  [[nodiscard]] CollectiveEstimate in_domain(int gpus, double bytes) const;

  Collective op_;
  int domain_gpus_;
  double link_bytes_per_second_;
  std::vector<Curve> curves_;
  double alpha_slope_ = 0;  // seconds of the floor per doubling of the GPUs
};

/// Tokens of one GPU on their way to their experts or back.
struct ExpertExchange {
  int gpus = 0;
  double tokens = 0;  // of one GPU
  double hidden = 0;
  double topk = 0;
  double experts = 0;
};

/// Dispatch or combine of one library and format on one accelerator. Immutable.
class ExpertExchangeFamily {
 public:
  struct Curve {
    ExpertExchange shape;               // tokens unused
    std::vector<TransferPoint> points;  // amount: tokens
  };

  /// `sends_per_expert`: a token goes once to each of its experts (low latency), else once to each
  /// GPU that has one of them.
  ExpertExchangeFamily(bool sends_per_expert, std::vector<Curve> curves);

  [[nodiscard]] std::span<const Curve> curves() const { return curves_; }

  /// Elements of payload that one GPU sends.
  [[nodiscard]] double payload(const ExpertExchange& shape) const;

  /// The fit over all shapes of a GPU count, or null.
  [[nodiscard]] const AlphaBeta* fit(int gpus) const;

  /// A measured shape by its curve, another by the fit of its GPU count; a failure for a GPU count
  /// that was not measured. Throws Error(bad_input) for numbers that are not positive.
  [[nodiscard]] Result<CollectiveEstimate> estimate(const ExpertExchange& shape) const;

 private:
  struct Fit {
    int gpus;
    AlphaBeta line;
  };

  bool sends_per_expert_;
  std::vector<Curve> curves_;
  std::vector<Fit> fits_;
};

/// All collectives of a folder. Immutable; safe to use from many threads.
class CollectiveTable {
 public:
  /// Reads collectives.csv and expert_exchange.csv of `folder`. Throws Error(bad_input) with file,
  /// line and column, also for an accelerator whose scale-up domain the catalog lacks.
  static CollectiveTable load(const std::filesystem::path& folder, const catalog::Catalog& catalog);

  /// Libraries: "nccl"; all-reduce also "trtllm", "vllm" and "sglang". Null when not measured.
  [[nodiscard]] const CollectiveFamily* find(std::string_view accelerator, std::string_view library,
                                             Collective op) const;

  /// Libraries: "deepep_ll", "deepep_normal" (no dtype), "trtllm_nvlink" ("bf16", "fp8", "nvfp4").
  /// Phases: "dispatch", "combine". Null when not measured.
  [[nodiscard]] const ExpertExchangeFamily* find_exchange(std::string_view accelerator,
                                                          std::string_view library,
                                                          std::string_view dtype,
                                                          std::string_view phase) const;

  struct FamilyEntry {
    std::string accelerator;
    std::string library;
    CollectiveFamily family;
  };

  struct ExchangeEntry {
    std::string accelerator;
    std::string library;
    std::string dtype;
    std::string phase;
    ExpertExchangeFamily family;
  };

  [[nodiscard]] std::span<const FamilyEntry> families() const { return families_; }

  [[nodiscard]] std::span<const ExchangeEntry> exchanges() const { return exchanges_; }

 private:
  std::vector<FamilyEntry> families_;
  std::vector<ExchangeEntry> exchanges_;
};

}  // namespace perwatt::inference
