// The truth: tokens served and the energy they cost, an exact function of both and of time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "loop.hpp"
#include <nlohmann/json_fwd.hpp>

namespace standin {

/// Joules since the start = gpus x idle_watts x t
///   + joules_per_prompt_token x computed prompt tokens + joules_per_output_token x output tokens
///   + the integral of batch_watts x batch^batch_exponent over time,
/// where batch is the number of requests in their slots. All of it is the sum over the GPUs.
struct EnergyModel {
  int gpus = 1;
  double idle_watts = 100.0;  // of each GPU
  double joules_per_prompt_token = 0.0;
  double joules_per_output_token = 0.0;
  double batch_watts = 0.0;
  double batch_exponent = 0.5;
  double host_watts = 0.0;  // of the node beside its GPUs; not in joules, but in node_joules
};

struct Entry {
  Nanos at = 0;
  double joules = 0.0;       // all GPUs
  double host_joules = 0.0;  // the rest of the node
  std::uint64_t prompt_tokens = 0;
  std::uint64_t cached_tokens = 0;
  std::uint64_t output_tokens = 0;
};

class Ledger final : public Timed, public std::enable_shared_from_this<Ledger> {
 public:
  Ledger(Loop& loop, EnergyModel model);

  /// Starts the history. Called once.
  void start();

  /// A prefill is done. Cached tokens cost no energy.
  void add_prompt(std::uint64_t prompt_tokens, std::uint64_t cached_tokens);
  /// Tokens were handed to the kernel.
  void add_output(std::uint64_t tokens);
  void set_batch(int batch);
  void set_model(const EnergyModel& model);

  [[nodiscard]] const EnergyModel& model() const { return model_; }

  [[nodiscard]] Nanos started() const { return started_; }

  /// Exact.
  [[nodiscard]] Entry present();

  /// At a time since the start, not later than now: interpolated over at most kHistoryStep.
  [[nodiscard]] Entry at(Nanos time);

  /// Mean watts of all GPUs in the `window` that ends at `time`.
  [[nodiscard]] double watts(Nanos time, Nanos window);

  void on_due(Nanos due, std::uint64_t ticket) override;

  static constexpr Nanos kHistoryStep = kNanosPerSecond / 100;

 private:
  void advance();

  Loop& loop_;
  EnergyModel model_;
  Nanos started_ = 0;
  int batch_ = 0;
  Entry total_;
  std::vector<Entry> history_;
};

/// Overwrites what `json` names. Throws std::invalid_argument.
void apply_json(const nlohmann::json& json, EnergyModel& model);

[[nodiscard]] nlohmann::json to_json(const Entry& entry, int gpus);

}  // namespace standin
