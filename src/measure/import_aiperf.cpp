// AIPerf's files of one run (ai-dynamo/aiperf): profile_export_aiperf.json (docs/reference/
// json-export-schema.md), profile_export.jsonl (docs/tutorials/working-with-profile-exports.md) and
// gpu_telemetry_export.jsonl. Every figure carries its unit, which is what it is read by.
//
// Words: AIPerf's inter_token_latency is our TPOT, its inter_chunk_latency our ITL. Output tokens
// are output_sequence_length: answer and reasoning.
#include <algorithm>
#include <cmath>

#include "import_formats.hpp"
#include "utc_text.hpp"
#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

constexpr double kLongestRequest = 1e7;  // s
constexpr const char* kPhaseWarmup = "warmup";

/// The figures of one request: metrics of the form {"value": 1680.5, "unit": "ms"}.
class RequestMetrics {
 public:
  explicit RequestMetrics(const JsonNode& line) {
    if (line.has("metrics")) {
      node_.emplace(line.node("metrics"));
    }
  }

  [[nodiscard]] bool has(const char* name) const { return node_ && node_->has(name); }

  [[nodiscard]] std::optional<Seconds> time(const char* name) const {
    if (!has(name)) {
      return std::nullopt;
    }
    const auto metric = node_->node(name);
    return time_of(metric, metric.not_negative("value"));
  }

  [[nodiscard]] std::optional<std::int64_t> tokens(const char* name) const {
    if (!has(name)) {
      return std::nullopt;
    }
    const auto metric = node_->node(name);
    const auto count = metric.count("value");
    if (count > kMostRequestTokens) {
      metric.fail("value", "the tokens of a request");
    }
    return count;
  }

  [[nodiscard]] std::vector<Seconds> times(const char* name) const {
    std::vector<Seconds> list;
    if (has(name)) {
      const auto metric = node_->node(name);
      for (const double value : metric.numbers("value")) {
        list.push_back(time_of(metric, value));
      }
    }
    return list;
  }

 private:
  static Seconds time_of(const JsonNode& metric, double value) {
    const double time = in_base_unit(value, metric.text("unit"), metric);
    if (time > kLongestRequest) {
      metric.fail("value", "the time of a request");
    }
    return seconds(time);
  }

  std::optional<JsonNode> node_;
};

/// The first of the names that is there: early versions said "ttft".
std::optional<Seconds> time_of(const RequestMetrics& metrics, const char* name, const char* early) {
  const auto time = metrics.time(name);
  return time ? time : metrics.time(early);
}

void add_content(const RequestMetrics& metrics, RequestRecord& record) {
  const auto ttft = time_of(metrics, "time_to_first_token", "ttft");
  const auto latency = metrics.time("request_latency");
  if (latency) {
    record.last_content = *record.sent + *latency;
    record.end = std::max(record.end, *record.last_content);
  }
  if (ttft) {
    record.first_content = *record.sent + *ttft;
    record.last_content =
        std::max(record.last_content.value_or(*record.first_content), *record.first_content);
    record.end = std::max(record.end, *record.last_content);
  }
  // AIPerf's TTFO: the first content that is no reasoning.
  if (const auto ttfo = metrics.time("time_to_first_output_token")) {
    record.first_answer = *record.sent + *ttfo;
  }
  const auto gaps = metrics.times("inter_chunk_latency");
  for (const auto gap : gaps) {
    record.content_gaps_seconds.push_back(static_cast<float>(in_seconds(gap)));
    record.longest_gap = std::max(record.longest_gap, gap);
  }
  if (!gaps.empty() && record.first_content) {
    record.second_content = *record.first_content + gaps.front();
  }
  record.content_chunks = static_cast<std::int64_t>(gaps.size()) + 1;
  record.content_chunks_in_window = record.content_chunks;
}

void set_failure(const JsonNode& line, bool cancelled, RequestRecord& record) {
  record.outcome = cancelled ? RequestOutcome::cancelled : RequestOutcome::server_error;
  if (!line.has("error")) {
    return;
  }
  const auto error = line.node("error");
  const auto type = error.optional_text("type");
  record.detail = printable(type + ": " + error.optional_text("message"), 200);
  const auto* code = error.find("code");
  if (code != nullptr && code->is_number_integer()) {
    record.http_status = error.optional_int("code").value_or(0);
  }
  if (type == "RequestCancellationError") {
    record.outcome = RequestOutcome::cancelled;
  } else if (type.find("Timeout") != std::string::npos) {
    record.outcome = RequestOutcome::timed_out;
  } else if (record.http_status >= 400) {
    record.outcome = RequestOutcome::http_error;
  }
}

bool is_warmup(const JsonNode& metadata) {
  return metadata.optional_text("benchmark_phase") == kPhaseWarmup ||
         metadata.optional_text("credit_phase") == kPhaseWarmup;
}

/// Nothing for a request of the warm-up.
std::optional<RequestRecord> record_of(const PlacedJson& value, std::uint64_t index,
                                       bool& intended_known) {
  const JsonNode line{value.json, value.where, kImportRemedy};
  const auto metadata = line.node("metadata");
  if (is_warmup(metadata)) {
    return std::nullopt;
  }
  RequestRecord record;
  record.index = index;
  record.session = static_cast<std::uint64_t>(
      metadata.optional_count("session_num").value_or(static_cast<std::int64_t>(index)));
  record.turn = static_cast<std::uint32_t>(metadata.optional_int("turn_index").value_or(0));
  const auto start = instant_of(metadata, "request_start_ns");
  record.sent = start ? start : instant_of(metadata, "timestamp_ns");
  if (!record.sent) {
    (void)metadata.at("request_start_ns");
    metadata.fail("request_start_ns", "a time in nanoseconds");
  }
  const auto issued = instant_of(metadata, "credit_issued_ns");
  intended_known = intended_known && issued.has_value();
  record.intended = issued ? std::min(*issued, *record.sent) : *record.sent;
  record.end =
      std::max(instant_of(metadata, "request_end_ns").value_or(*record.sent), *record.sent);
  const RequestMetrics metrics{line};
  record.input_tokens = metrics.tokens("input_sequence_length");
  record.output_tokens = metrics.tokens("output_sequence_length").value_or(0);
  record.output_source = TokenSource::tokenizer;
  const bool cancelled = metadata.has("was_cancelled") && metadata.flag("was_cancelled");
  if (line.has("error") || cancelled) {
    set_failure(line, cancelled, record);
    return record;
  }
  add_content(metrics, record);
  record.outcome = record.last_content ? RequestOutcome::ok : RequestOutcome::empty;
  return record;
}

void add_requests(const AiperfFiles& files, const ImportRules& rules, ImportedRun& run) {
  bool intended_known = true;
  for (const auto& line : files.requests) {
    if (auto record = record_of(line, run.requests.size(), intended_known)) {
      run.requests.push_back(std::move(*record));
    }
  }
  if (run.requests.empty()) {
    throw_bad_input("holds no request outside the warm-up", files.requests.front().where,
                    kImportRemedy);
  }
  std::stable_sort(run.requests.begin(), run.requests.end(),
                   [](const auto& a, const auto& b) { return a.intended < b.intended; });
  const Instant first = run.requests.front().sent.value_or(run.requests.front().intended);
  run.window = {first, first};
  score_requests(intended_known, rules, run);
  auto& m = run.measurement;
  if (m.unix_start.empty()) {
    m.unix_start = utc_text(run.window.begin - Instant{}, 0);
  }
  if (intended_known) {
    m.reasons.emplace_back(
        "intended_is_credit: the intended time is when AIPerf released the request; what waited "
        "for "
        "its concurrency cap before that does not show");
  }
  m.reasons.emplace_back(
      "tokens_by_tokenizer: AIPerf counts tokens with its own tokenizer unless it was told to use "
      "the server's counts");
}

/// The figures of the whole run: metrics of the form {"unit": "ms", "avg": …, "p50": …}.
class SummaryMetrics {
 public:
  /// Early versions kept them under "records".
  explicit SummaryMetrics(const JsonNode& root)
      : node_{root.has("records") ? root.node("records") : root} {}

  [[nodiscard]] std::optional<double> value(const char* name, const char* statistic) const {
    const auto* json = node_.find(name);
    if (json == nullptr || !json->is_object()) {
      return std::nullopt;
    }
    const auto metric = node_.node(name);
    const auto value = metric.optional_not_negative(statistic);
    return value ? std::optional{in_base_unit(*value, metric.text("unit"), metric)} : std::nullopt;
  }

  [[nodiscard]] std::optional<std::int64_t> count(const char* name) const {
    const auto number = value(name, "avg");
    return number && *number < kMostCount ? std::optional{std::llround(*number)} : std::nullopt;
  }

  [[nodiscard]] std::optional<Quantiles> quantiles(const char* name, const char* early) const {
    const auto* metric = node_.has(name) ? name : early;
    const auto at = [&](const char* statistic) -> std::optional<Seconds> {
      const auto time = value(metric, statistic);
      return time ? std::optional{seconds(*time)} : std::nullopt;
    };
    auto q = quantiles_by_name(at, "avg", "p50");
    if (!q) {
      return std::nullopt;
    }
    q->max = at("max");
    const auto count = node_.node(metric).optional_count("count");
    q->count = count.value_or(0);
    return q;
  }

 private:
  static constexpr double kMostCount = 9e15;

  JsonNode node_;
};

/// What was asked, from the parts of input_config that versions so far agree in.
void add_configuration(const JsonNode& root, Measurement& m) {
  if (!root.has("input_config")) {
    return;
  }
  const auto node_in = [](const JsonNode& parent, const char* key) -> std::optional<JsonNode> {
    const auto* json = parent.find(key);
    return json != nullptr && json->is_object() ? std::optional{parent.node(key)} : std::nullopt;
  };
  const auto config = node_in(root, "input_config");
  if (!config) {
    return;
  }
  if (const auto endpoint = node_in(*config, "endpoint")) {
    const auto* models = endpoint->find("model_names");
    if (models != nullptr && models->is_array() && !models->empty() && (*models)[0].is_string()) {
      m.model = (*models)[0].get<std::string>();
    }
    const auto* url = endpoint->find("url");
    m.url = url != nullptr && url->is_string() ? url->get<std::string>() : "";
  }
  if (const auto load = node_in(*config, "loadgen")) {
    m.concurrency = load->optional_int("concurrency");
    m.request_rate_per_second = load->optional_not_negative("request_rate");
    m.load = m.request_rate_per_second ? significant(*m.request_rate_per_second) + " req/s"
                                       : std::string{"closed loop"};
    m.load += m.concurrency ? ", concurrency " + std::to_string(*m.concurrency) : "";
  }
  const auto input = node_in(*config, "input");
  const auto prompt = input ? node_in(*input, "prompt") : std::nullopt;
  const auto nominal = [&](const char* key) -> std::optional<int> {
    const auto lengths = prompt ? node_in(*prompt, key) : std::nullopt;
    return lengths ? lengths->optional_int("mean") : std::nullopt;
  };
  m.isl_tokens = nominal("input_tokens");
  m.osl_tokens = nominal("output_tokens");
}

void add_summary_counts(const JsonNode& root, const SummaryMetrics& metrics, Measurement& m) {
  const auto duration = metrics.value("benchmark_duration", "avg");
  const auto ok = metrics.count("request_count");
  const auto output = metrics.count("total_osl");
  const auto input = metrics.count("total_isl");
  const auto rate = metrics.value("output_token_throughput", "avg");
  if (!rate) {
    throw_bad_input("lacks 'output_token_throughput'", root.where(), kImportRemedy);
  }
  m.output_rate = tokens_per_second(*rate);
  m.unknown.window = !duration || *duration < kShortestRun;
  m.window = seconds(m.unknown.window ? 0 : *duration);
  m.whole = m.window;
  m.unknown.requests = !ok;
  m.requests.ok = ok.value_or(0);
  m.requests.failed = metrics.count("error_request_count").value_or(0);
  m.requests.sent = m.requests.ok + m.requests.failed;
  m.unknown.tokens = !output;
  m.tokens.output = output.value_or(0);
  m.tokens.input = input.value_or(0);
  m.tokens.input_known = input && *input > 0;
  m.tokens.output_by_tokenizer = true;
  if (m.tokens.input_known && !m.unknown.window) {
    m.input_rate = tokens(static_cast<double>(m.tokens.input)) / m.window;
  }
}

void add_summary(const JsonNode& root, const SummaryMetrics& metrics, Measurement& m) {
  add_summary_counts(root, metrics, m);
  m.latencies.ttft = metrics.quantiles("time_to_first_token", "ttft");
  m.latencies.tpot = metrics.quantiles("inter_token_latency", "inter_token_latency");
  m.latencies.itl = metrics.quantiles("inter_chunk_latency", "inter_chunk_latency");
  m.latencies.e2e = metrics.quantiles("request_latency", "request_latency");
  m.unknown.goodput = true;
  m.unknown.client = true;
  m.unknown.mean_concurrency = !m.latencies.e2e || m.unknown.window || m.unknown.requests;
  if (!m.unknown.mean_concurrency) {  // Little's law
    m.mean_concurrency = static_cast<double>(m.requests.ok) * (m.latencies.e2e->mean / m.window);
  }
  m.valid = m.end == RunEnd::complete && (m.unknown.requests || m.requests.ok > 0) &&
            m.requests.failed <= m.requests.ok;
  if (m.end != RunEnd::complete) {
    m.reasons.emplace_back("interrupted: the run was cancelled; the result is partial");
  }
  if (m.requests.failed > 0) {
    m.reasons.push_back(
        fmt::format("failed_requests: {} of {} failed", m.requests.failed, m.requests.sent));
  }
  m.reasons.emplace_back(
      "summary_only: no single requests were given (profile_export.jsonl of the same run); goodput "
      "under another SLO and latencies from the intended send cannot be known");
}

/// AIPerf's own figure (since 2026): counter deltas of all GPUs.
void add_stated_energy(const SummaryMetrics& metrics, Measurement& m) {
  const auto energy = metrics.value("total_gpu_energy", "avg");
  if (!energy) {
    m.reasons.emplace_back(
        "no_power: the files state no energy of the run; give gpu_telemetry_export.jsonl too");
    return;
  }
  m.energy.push_back(energy_result(
      stated_energy(Joules::from_base(*energy), EnergyMethod::counter, 0,
                    "AIPerf's total_gpu_energy: from the last scrape before the run to up to two "
                    "scrape intervals after it; lost counter resets read as zero"),
      m));
  m.power_valid = m.energy.back().account.valid;
}

void add_telemetry(const AiperfFiles& files, const ImportRules& rules, ImportedRun& run) {
  run.power = telemetry_traces(files.telemetry);
  auto& m = run.measurement;
  auto account = energy_at(Boundary::gpu, run.power, run.window, rules.energy);
  for (const auto& finding : account.findings) {
    if (finding.fatal) {
      m.reasons.push_back(std::string{to_string(finding.reason)} + ": " + finding.detail);
    }
  }
  m.power_valid = account.valid;
  m.energy.push_back(energy_result(std::move(account), m));
}

}  // namespace

bool is_aiperf_summary(const Json& json) {
  if (!json.is_object()) {
    return false;
  }
  const auto& metrics =
      json.contains("records") && json["records"].is_object() ? json["records"] : json;
  const auto is_metric = [&](const char* name) {
    return metrics.contains(name) && metrics[name].is_object() && metrics[name].contains("unit");
  };
  return is_metric("request_latency") || is_metric("request_throughput") ||
         is_metric("output_token_throughput");
}

bool is_aiperf_request(const Json& json) {
  return json.is_object() && json.contains("metadata") && json["metadata"].is_object() &&
         (json.contains("metrics") || json.contains("error"));
}

ImportedRun import_aiperf(const AiperfFiles& files, const ImportRules& rules) {
  ImportedRun run;
  auto& m = run.measurement;
  m.imported_from = "AIPerf";
  if (files.summary) {
    const JsonNode root{files.summary->json, files.summary->where, kImportRemedy};
    if (const auto version = root.optional_text("aiperf_version"); !version.empty()) {
      m.imported_from += " " + version;
    }
    add_configuration(root, m);
    m.unix_start = root.optional_text("start_time");
    m.end = root.has("was_cancelled") && root.flag("was_cancelled") ? RunEnd::interrupted
                                                                    : RunEnd::complete;
    const SummaryMetrics metrics{root};
    if (files.requests.empty()) {
      add_summary(root, metrics, m);
    } else {
      add_requests(files, rules, run);
    }
    if (files.telemetry.empty()) {
      add_stated_energy(metrics, m);
    }
  } else if (!files.requests.empty()) {
    add_requests(files, rules, run);
    if (files.telemetry.empty()) {
      m.reasons.emplace_back("no_power: no gpu_telemetry_export.jsonl of the run was given");
    }
  }
  if (!files.telemetry.empty()) {
    if (files.requests.empty()) {
      throw_bad_input("is GPU telemetry alone: the window of the run is not known",
                      files.telemetry.front().where,
                      "give profile_export.jsonl of the same run too");
    }
    add_telemetry(files, rules, run);
  }
  return run;
}

}  // namespace perwatt::measure
