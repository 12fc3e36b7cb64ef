// The result of one measured run: what was asked, what came back, what it cost in joules, and how
// far to trust it. docs/reference/measurement.md has the same as JSON.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/base/tag.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/measure/energy.hpp"
#include "perwatt/measure/request_record.hpp"

namespace perwatt::measure {

/// Raised when a name or a meaning in the JSON changes.
inline constexpr int kSchemaVersion = 1;

struct Quantiles {
  Seconds mean;
  Seconds p50;
  std::optional<Seconds> p75;  // these four are absent where another tool's summary lacks them
  std::optional<Seconds> p90;
  std::optional<Seconds> p95;
  Seconds p99;
  std::optional<Seconds> max;
  std::int64_t count = 0;  // 0: not known
};

/// A figure with its 95 % interval.
struct Estimate {
  double value = 0.0;
  std::optional<double> low;  // absent where the run cannot support an interval
  std::optional<double> high;
};

struct RequestCounts {
  std::int64_t sent = 0;
  std::int64_t ok = 0;
  std::int64_t failed = 0;     // without the cancelled ones
  std::int64_t cancelled = 0;  // still running when the run ended
  std::map<std::string, std::int64_t> failed_by_outcome;
};

/// Tokens inside the window, events counted when they arrived.
struct TokenCounts {
  std::int64_t input = 0;            // of requests whose first content came inside the window
  std::int64_t output = 0;           // that arrived inside the window
  std::int64_t good = 0;             // output tokens of requests that met the SLO
  bool input_known = false;          // the server reported usage
  bool output_by_usage = false;      // else content chunks, a lower bound, or:
  bool output_by_tokenizer = false;  // counted by the client's tokenizer (imported results)
};

/// What an imported result does not say; the fields named are then without meaning, and null in
/// the JSON. A run of perwatt's own knows all of them.
struct Unknown {
  bool window = false;    // window, whole
  bool requests = false;  // requests
  bool tokens = false;    // tokens.input, tokens.output
  bool goodput = false;   // tokens.good, goodput, good_request_ratio
  bool mean_concurrency = false;
  bool client = false;  // nothing watched the client that made the load
};

struct Slo {
  std::optional<Seconds> ttft;
  std::optional<Seconds> tpot;
  std::optional<Seconds> itl;  // each request's longest gap between content chunks
  std::optional<Seconds> e2e;
};

struct Latencies {
  std::optional<Quantiles> ttft;
  std::optional<Quantiles> ttft_from_intended;
  std::optional<Quantiles> ttfo;
  std::optional<Quantiles> tpot;  // one value per request; AIPerf calls it inter-token latency
  std::optional<Quantiles> itl;   // every gap between content chunks; AIPerf: inter-chunk latency
  std::optional<Quantiles> e2e;
  std::optional<Quantiles> e2e_from_intended;
  double relative_error_ratio = 0.0;  // of every quantile, by the histogram's buckets
};

/// Joules of the window at one boundary and per token.
struct EnergyResult {
  BoundaryEnergy account;
  Tag tag = Tag::measured;          // modelled: made from a narrower boundary by the power chain
  std::optional<Watts> idle_power;  // measured before the load
  std::optional<Joules> marginal;   // energy - idle_power x window
  std::optional<Estimate> joules_per_output_token;
  std::optional<Estimate> joules_per_total_token;
  std::optional<Estimate> marginal_joules_per_output_token;
  std::optional<double> output_tokens_per_joule;
};

struct TenantUse {
  std::string tenant;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  std::optional<Joules> energy;  // its share of the window's energy
};

enum class TenantBasis {
  phase_energy,  // input and output tokens weighted by the joules of prefill and decode
  tokens,        // every token alike
  none           // no tokens or no energy: nothing was shared out
};

[[nodiscard]] std::string_view to_string(TenantBasis basis);

struct ClientHealth {
  /// Handed over - intended, of requests that no concurrency limit held back. Handed over: to the
  /// kernel, or to a connection that had to be opened first; what the server takes to accept it is
  /// in ttft_from_intended.
  Seconds schedule_error_p99;
  Seconds lag_p99;  // how long arrived bytes waited for the client's thread
  Seconds longest_stall;
  bool valid = true;  // both within the bound
};

enum class RunEnd { complete, interrupted, server_lost, output_failed };

struct Measurement {
  std::string url;
  std::string model;
  std::string label;       // the user's name for the run
  std::string load;        // "poisson 10 req/s, cap 64", for people
  std::string unix_start;  // RFC 3339, UTC
  std::optional<double> request_rate_per_second;
  std::optional<int> concurrency;
  std::optional<int> isl_tokens;  // nominal
  std::optional<int> osl_tokens;
  std::optional<Watts> power_cap;  // set for this run
  std::uint64_t seed = 0;
  Slo slo;
  std::string imported_from;  // "AIPerf: profile_export.jsonl"; empty for a run of perwatt's own
  Unknown unknown;

  bool valid = false;                // the load side
  bool power_valid = false;          // the energy at the first boundary of `energy`
  std::vector<std::string> reasons;  // codes, then what they mean: "client_lag: …"
  RunEnd end = RunEnd::complete;

  std::string window_start;  // RFC 3339, UTC; empty where not known
  Seconds window;            // steady part
  Seconds whole;             // first send to last byte
  RequestCounts requests;
  TokenCounts tokens;
  TokensPerSecond output_rate;
  std::optional<TokensPerSecond> input_rate;  // absent when the input tokens are not known
  TokensPerSecond goodput;
  double good_request_ratio = 0.0;
  double mean_concurrency = 0.0;
  Latencies latencies;
  std::vector<EnergyResult> energy;  // the narrowest metered boundary first
  std::vector<TenantUse> tenants;
  TenantBasis tenant_basis = TenantBasis::none;
  std::optional<Estimate> quality_score;  // of a scored prompt set
  std::optional<double> joules_per_answer;
  ClientHealth client;
};

}  // namespace perwatt::measure
