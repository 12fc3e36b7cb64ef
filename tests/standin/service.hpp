// The OpenAI-compatible server, its control endpoint and what it knows to be true.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "connection.hpp"
#include "ledger.hpp"
#include "settings.hpp"
#include "tokens.hpp"
#include <nlohmann/json_fwd.hpp>

namespace standin {

enum class Outcome { running, completed, faulted, cancelled, refused };

/// What happened to one request, by the server's clock.
struct Record {
  Nanos arrived = 0;
  Nanos admitted = 0;
  Nanos first = 0;  // first token handed to the kernel; 0: none
  Nanos last = 0;
  Nanos ended = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t cached_tokens = 0;
  std::uint64_t output_tokens = 0;
  Outcome outcome = Outcome::running;
  int status = 200;
  std::string key;
};

/// Counts of durations in buckets of 1/8 of an octave.
class Durations {
 public:
  void add(Nanos duration);
  /// Upper edge of the bucket that holds the share; 0 when empty.
  [[nodiscard]] double quantile_seconds(double share) const;

 private:
  std::array<std::uint64_t, 512> counts_{};
  std::uint64_t total_ = 0;
};

struct ServiceOptions {
  std::string model = "standin-model";
  std::vector<std::string> keys;  // accepted; empty: anyone
  std::uint64_t seed = 1;
};

class Generation;
struct GenerationRequest;

class Service final : public Handler {
 public:
  Service(Loop& loop, Ledger& ledger, ServiceOptions options, Settings settings);

  void on_request(Connection& connection, Request request) override;

  [[nodiscard]] const Settings& settings() const { return settings_; }

  /// For requests from now on; the faults' counts start again.
  void set_settings(Settings settings);

  [[nodiscard]] nlohmann::json truth(const Request& request);
  [[nodiscard]] nlohmann::json records_json() const;

  void forget_prefixes() { prefixes_.clear(); }

  // For Generation alone.
  [[nodiscard]] Loop& loop() { return loop_; }

  [[nodiscard]] Ledger& ledger() { return ledger_; }

  [[nodiscard]] Record& record(std::size_t index) { return records_[index]; }

  [[nodiscard]] int running() const { return running_; }

  [[nodiscard]] std::uint64_t seed() const { return options_.seed; }

  void count_chunk(Nanos due, Nanos sent);
  void release();

 private:
  struct Refusal {
    int status;
    std::string body;
    std::string headers;
  };

  void generate(Connection& connection, const Request& request, bool chat);
  void answer_tokenize(Connection& connection, const Request& request);
  void answer_models(Connection& connection);
  [[nodiscard]] std::string refuse_key(const Request& request, Record& record) const;
  /// Fills `wanted` and, where the request brings settings of its own, `own`. Returns whether these
  /// name faults. Throws what the JSON reader throws, and std::invalid_argument.
  bool read_request(const Request& request, bool chat, GenerationRequest& wanted,
                    std::optional<Settings>& own);
  [[nodiscard]] std::optional<Refusal> refusal(const Settings& settings,
                                               const GenerationRequest& wanted) const;
  /// The first of `faults` that hits the request; counts it in `hits`, which may be null.
  [[nodiscard]] Fault first_hit(const std::vector<Fault>& faults, std::uint64_t index,
                                std::vector<std::int64_t>* hits) const;
  void refuse(Connection& connection, std::size_t index, const Refusal& refusal);
  void admit_from_queue();

  Loop& loop_;
  Ledger& ledger_;
  ServiceOptions options_;
  Settings settings_;
  PrefixCache prefixes_;
  std::vector<Record> records_;
  std::deque<std::weak_ptr<Generation>> queue_;
  std::vector<std::int64_t> hits_;  // of settings_.faults, in order
  int running_ = 0;
  int most_running_ = 0;
  std::uint64_t chunks_ = 0;
  Durations late_;
};

}  // namespace standin
