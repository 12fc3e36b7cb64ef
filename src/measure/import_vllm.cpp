// vLLM's `bench serve --save-result` (vllm-project/vllm vllm/benchmarks/serve.py) and the raw
// results of InferenceX, whose benchmark_serving.py is a fork of it.
//
// Units: arrays and "duration" are seconds, keys that end in _ms milliseconds. Where the arrays are
// (--save-detailed), requests are scored; "start_times" are of a clock without a date.
#include <cmath>
#include <limits>
#include <numeric>

#include "import_formats.hpp"
#include "utc_text.hpp"
#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

constexpr double kMillisecond = 1e-3;
constexpr double kLongestRun = 1e8;  // s

/// The arrays of --save-detailed, all of one length.
struct Details {
  std::vector<double> ttfts, input_lens, output_lens, starts, queue_times, latencies;
  std::vector<std::vector<double>> itls;
  std::vector<std::string> errors;
};

void require_length(const JsonNode& root, const char* key, std::size_t length,
                    std::size_t expected) {
  if (length != expected) {
    throw_bad_input(fmt::format("has {} elements where 'ttfts' has {}", length, expected),
                    root.place(key), kImportRemedy);
  }
}

std::vector<double> optional_array(const JsonNode& root, const char* key, std::size_t length) {
  if (!root.has(key)) {
    return {};
  }
  auto values = root.numbers(key);
  require_length(root, key, values.size(), length);
  return values;
}

Details details_of(const JsonNode& root) {
  Details details;
  details.ttfts = root.numbers("ttfts");
  const auto n = details.ttfts.size();
  details.itls = root.lists_of_numbers("itls");
  require_length(root, "itls", details.itls.size(), n);
  details.errors = root.texts("errors");
  require_length(root, "errors", details.errors.size(), n);
  (void)root.at("output_lens");
  details.output_lens = optional_array(root, "output_lens", n);
  details.input_lens = optional_array(root, "input_lens", n);
  details.starts = optional_array(root, "start_times", n);
  details.queue_times = optional_array(root, "queue_times", n);
  details.latencies = optional_array(root, "latencies", n);
  return details;
}

std::int64_t token_count(const JsonNode& root, const char* key, double value) {
  if (value > kMostRequestTokens || std::floor(value) != value) {
    root.fail(key, "a list of token counts");
  }
  return static_cast<std::int64_t>(value);
}

Seconds time_of(const JsonNode& root, const char* key, double value) {
  if (value > kLongestRun) {
    root.fail(key, "in seconds");
  }
  return seconds(value);
}

std::string last_line(const std::string& error) {
  const auto lines = split(trimmed(error), '\n');
  return printable(trimmed(lines.back()), 200);
}

/// When each request was sent; the clock's zero is the first send.
Instant sent_at(const JsonNode& root, const Details& details, std::size_t i, double first) {
  if (details.starts.empty()) {
    return {};
  }
  // A request that failed before it was sent has 0.
  const double start = std::max(details.starts[i] - first, 0.0);
  return Instant{} + time_of(root, "start_times", start);
}

void add_content(const JsonNode& root, const Details& details, std::size_t i,
                 RequestRecord& record) {
  const Seconds ttft = time_of(root, "ttfts", details.ttfts[i]);
  Seconds at = ttft;
  for (const double gap : details.itls[i]) {
    const Seconds length = time_of(root, "itls", gap);
    if (!record.second_content) {
      record.second_content = *record.sent + at + length;
    }
    at += length;
    record.content_gaps_seconds.push_back(static_cast<float>(gap));
    record.longest_gap = std::max(record.longest_gap, length);
  }
  at = time_of(root, "itls", in_seconds(at));
  if (!details.latencies.empty()) {
    at = time_of(root, "latencies", details.latencies[i]);
  }
  record.first_content = *record.sent + ttft;
  record.last_content = *record.sent + std::max(at, ttft);
  record.end = *record.last_content;
  record.content_chunks = static_cast<std::int64_t>(details.itls[i].size()) + 1;
  record.content_chunks_in_window = record.content_chunks;
}

RequestRecord record_of(const JsonNode& root, const Details& details, std::size_t i,
                        double first_start) {
  RequestRecord record;
  record.index = i;
  record.session = i;
  record.sent = sent_at(root, details, i, first_start);
  record.intended = *record.sent;
  if (!details.queue_times.empty()) {
    record.intended = *record.sent - time_of(root, "queue_times", details.queue_times[i]);
    record.held_back = details.queue_times[i] > 0;
  }
  record.end = *record.sent;
  record.output_source = TokenSource::tokenizer;
  record.output_tokens = token_count(root, "output_lens", details.output_lens[i]);
  if (!details.input_lens.empty()) {
    record.input_tokens = token_count(root, "input_lens", details.input_lens[i]);
  }
  if (details.errors[i].empty() && details.ttfts[i] > 0) {
    record.outcome = RequestOutcome::ok;
    add_content(root, details, i, record);
  } else {
    record.outcome = RequestOutcome::server_error;
    record.detail = details.errors[i].empty() ? "no answer" : last_line(details.errors[i]);
  }
  return record;
}

double first_start(const Details& details) {
  double first = std::numeric_limits<double>::max();
  for (std::size_t i = 0; i < details.starts.size(); ++i) {
    if (details.errors[i].empty()) {
      first = std::min(first, details.starts[i]);
    }
  }
  return first;
}

void add_requests(const JsonNode& root, const ImportRules& rules, ImportedRun& run) {
  const auto details = details_of(root);
  if (details.ttfts.empty()) {
    throw_bad_input("holds no request", root.place("ttfts"), kImportRemedy);
  }
  const double first = first_start(details);
  for (std::size_t i = 0; i < details.ttfts.size(); ++i) {
    run.requests.push_back(record_of(root, details, i, first));
  }
  run.window = {Instant{}, Instant{} + run.measurement.window};
  const auto stated = run.measurement;
  score_requests(!details.queue_times.empty(), rules, run);
  auto& m = run.measurement;
  if (details.starts.empty()) {
    m.reasons.emplace_back(
        "no_start_times: the file does not say when requests were sent; rates are over its "
        "'duration'");
  }
  m.reasons.emplace_back(
      "tokens_by_tokenizer: output tokens are the server's count where it gave one, else counted "
      "with the client's tokenizer, which may count a few more; input tokens are the client's");
  if (m.requests.ok != stated.requests.ok || m.tokens.output != stated.tokens.output) {
    m.reasons.push_back(fmt::format(
        "count_mismatch: the file states {} requests and {} output tokens, its lists hold {} and "
        "{}; the lists were taken",
        stated.requests.ok, stated.tokens.output, m.requests.ok, m.tokens.output));
  }
}

void add_summary(const JsonNode& root, ImportedRun& run) {
  auto& m = run.measurement;
  m.latencies.ttft = stated_quantiles(root, "ttft", "_ms", kMillisecond);
  m.latencies.tpot = stated_quantiles(root, "tpot", "_ms", kMillisecond);
  m.latencies.itl = stated_quantiles(root, "itl", "_ms", kMillisecond);
  m.latencies.e2e = stated_quantiles(root, "e2el", "_ms", kMillisecond);
  m.unknown.goodput = true;
  m.unknown.mean_concurrency = !m.latencies.e2e;
  if (m.latencies.e2e) {  // Little's law
    m.mean_concurrency = static_cast<double>(m.requests.ok) * (m.latencies.e2e->mean / m.window);
  }
  m.unknown.client = true;
  m.valid = m.requests.ok > 0 && m.requests.failed <= m.requests.ok;
  m.reasons.emplace_back(
      "summary_only: the file has no single requests (vLLM: --save-detailed); goodput under "
      "another SLO and latencies from the intended send cannot be known");
  if (m.requests.ok == 0) {
    m.reasons.emplace_back("no_answers: no request succeeded");
  } else if (m.requests.failed > 0) {
    m.reasons.push_back(
        fmt::format("failed_requests: {} of {} failed", m.requests.failed, m.requests.sent));
  }
}

void add_counts(const JsonNode& root, Measurement& m) {
  const double duration = root.not_negative("duration");
  if (duration < kShortestRun || duration > kLongestRun) {
    root.fail("duration", "a time in seconds");
  }
  m.window = seconds(duration);
  m.whole = m.window;
  m.requests.ok = root.count("completed");
  const auto failed = root.optional_count("failed");
  const auto asked = root.optional_count("num_prompts");
  m.requests.failed =
      failed ? *failed : std::max<std::int64_t>(asked.value_or(m.requests.ok) - m.requests.ok, 0);
  m.requests.sent = m.requests.ok + m.requests.failed;
  m.tokens.input = root.count("total_input_tokens");
  m.tokens.output = root.count("total_output_tokens");
  m.tokens.input_known = m.tokens.input > 0;
  m.tokens.output_by_tokenizer = true;
  m.output_rate = tokens(static_cast<double>(m.tokens.output)) / m.window;
  if (m.tokens.input_known) {
    m.input_rate = tokens(static_cast<double>(m.tokens.input)) / m.window;
  }
}

/// "20260819-101530", by the local clock of the machine, as a date without a time.
std::string start_text(const JsonNode& root) {
  if (const auto unix_start = root.optional_not_negative("benchmark_start_time_unix");
      unix_start && *unix_start < kLongestRun * 1000) {
    return utc_text(seconds(*unix_start), 0);
  }
  const auto date = root.optional_text("date");
  if (date.size() < 8) {
    return "";
  }
  const auto iso = date.substr(0, 4) + "-" + date.substr(4, 2) + "-" + date.substr(6, 2);
  return is_iso_date(iso) ? iso : "";
}

void add_load(const JsonNode& root, Measurement& m) {
  const auto* rate = root.find("request_rate");
  if (rate != nullptr && rate->is_number()) {
    m.request_rate_per_second = root.not_negative("request_rate");
  }
  m.concurrency = root.optional_int("max_concurrency");
  m.load = m.request_rate_per_second ? significant(*m.request_rate_per_second) + " req/s"
                                     : std::string{m.concurrency ? "closed loop" : "all at once"};
  if (m.concurrency) {
    m.load += ", concurrency " + std::to_string(*m.concurrency);
  }
}

}  // namespace

bool is_vllm_result(const Json& json) {
  return json.is_object() && json.contains("completed") && json.contains("duration") &&
         json.contains("request_throughput") && json["request_throughput"].is_number();
}

ImportedRun import_vllm(const PlacedJson& result, const ImportRules& rules) {
  const JsonNode root{result.json, result.where, kImportRemedy};
  if (root.has("total_input_sequences")) {
    throw_bad_input("is a result of an embedding endpoint, which makes no output tokens",
                    root.place("total_input_sequences"), "give a result of text generation");
  }
  ImportedRun run;
  auto& m = run.measurement;
  m.imported_from =
      root.has("benchmark_start_time_unix") ? "InferenceX benchmark_serving" : "vLLM bench serve";
  m.model = root.optional_text("model_id");
  m.label = root.optional_text("label");
  m.unix_start = start_text(root);
  add_load(root, m);
  add_counts(root, m);
  if (root.has("ttfts")) {
    add_requests(root, rules, run);
  } else {
    add_summary(root, run);
  }
  m.reasons.emplace_back("no_power: the file holds no power");
  return run;
}

}  // namespace perwatt::measure
