// The OpenAI-compatible server, its control endpoint and what it knows to be true.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
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

class Service final : public Handler {
 public:
  Service(Loop& loop, Ledger& ledger, ServiceOptions options, Settings settings);

  void on_request(Connection& connection, Request request) override;

  [[nodiscard]] Settings& settings() { return settings_; }

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
  void generate(Connection& connection, const Request& request, bool chat);
  void answer_tokenize(Connection& connection, const Request& request);
  void answer_models(Connection& connection);
  [[nodiscard]] std::string refuse_key(const Request& request, Record& record) const;
  [[nodiscard]] Fault choose_fault(Settings& settings, std::uint64_t index);
  void admit_from_queue();
  void refuse(Connection& connection, std::size_t index, int status, const std::string& body,
              const std::string& headers = {});

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
