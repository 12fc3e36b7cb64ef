#include "perwatt/base/json_node.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/measure/measurement_file.hpp"

namespace perwatt::measure {

namespace {

constexpr const char* kRemedy = "give the JSON that perwatt measure wrote";

using Node = JsonNode;

std::optional<Seconds> optional_seconds(const Node& node, const char* key) {
  const auto value = node.optional_number(key);
  return value ? std::optional{seconds(*value)} : std::nullopt;
}

std::optional<Joules> optional_joules(const Node& node, const char* key) {
  const auto value = node.optional_number(key);
  return value ? std::optional{Joules::from_base(*value)} : std::nullopt;
}

std::optional<Watts> optional_watts(const Node& node, const char* key) {
  const auto value = node.optional_number(key);
  return value ? std::optional{watts(*value)} : std::nullopt;
}

std::optional<Quantiles> quantiles_at(const Node& parent, const char* key) {
  if (parent.is_null(key)) {
    return std::nullopt;
  }
  const auto node = parent.node(key);
  const auto time = [&](const char* name) { return seconds(node.not_negative(name)); };
  const auto maybe = [&](const char* name) {
    const auto value = node.optional_not_negative(name);
    return value ? std::optional{seconds(*value)} : std::nullopt;
  };
  return Quantiles{
      time("mean"), time("p50"), maybe("p75"), maybe("p90"),
      maybe("p95"), time("p99"), maybe("max"), node.optional_count("count").value_or(0)};
}

std::optional<Estimate> estimate_at(const Node& parent, const char* key) {
  if (parent.is_null(key)) {
    return std::nullopt;
  }
  const auto node = parent.node(key);
  return Estimate{node.number("value"), node.optional_number("ci_low"),
                  node.optional_number("ci_high")};
}

template <class Enum>
Enum enum_at(const Node& node, const char* key, std::initializer_list<Enum> values) {
  const auto text = node.text(key);
  for (const auto value : values) {
    if (to_string(value) == text) {
      return value;
    }
  }
  node.fail(key, "a word this version knows");
}

RunEnd end_at(const Node& node) {
  const auto text = node.text("end");
  if (text == "complete") {
    return RunEnd::complete;
  }
  if (text == "interrupted") {
    return RunEnd::interrupted;
  }
  if (text == "server_lost") {
    return RunEnd::server_lost;
  }
  if (text == "output_failed") {
    return RunEnd::output_failed;
  }
  node.fail("end", "a word this version knows");
}

RequestOutcome outcome_at(const Node& node) {
  return enum_at(node, "outcome",
                 {RequestOutcome::ok, RequestOutcome::http_error, RequestOutcome::server_error,
                  RequestOutcome::connect_failed, RequestOutcome::tls_failed,
                  RequestOutcome::truncated, RequestOutcome::malformed, RequestOutcome::timed_out,
                  RequestOutcome::cancelled, RequestOutcome::empty});
}

EnergyFinding finding_of(const Node& node) {
  EnergyFinding finding;
  finding.reason = enum_at(
      node, "code",
      {EnergyReason::no_meter, EnergyReason::partial_fleet, EnergyReason::window_not_bracketed,
       EnergyReason::sampling_gap, EnergyReason::stale_readings, EnergyReason::counter_reset,
       EnergyReason::counter_unreliable, EnergyReason::counter_too_coarse,
       EnergyReason::missing_values, EnergyReason::implausible_power,
       EnergyReason::overlapping_meters, EnergyReason::clock_jump, EnergyReason::source_failed,
       EnergyReason::accuracy_unknown, EnergyReason::stated_by_source});
  finding.fatal = node.flag("fatal");
  finding.detail = node.text("detail");
  return finding;
}

EnergyResult energy_of(const Node& node) {
  EnergyResult energy;
  auto& account = energy.account;
  account.boundary = enum_at(node, "boundary", {Boundary::gpu, Boundary::it, Boundary::facility});
  account.valid = node.flag("valid");
  const auto tag = parse_tag(node.text("tag"));
  if (!tag) {
    node.fail("tag", "a tag");
  }
  energy.tag = *tag;
  account.energy = optional_joules(node, "total");
  account.half_width = Joules::from_base(node.not_negative("half_width"));
  energy.marginal = optional_joules(node, "marginal");
  energy.idle_power = optional_watts(node, "idle_power_watts");
  account.method = enum_at(node, "method", {EnergyMethod::counter, EnergyMethod::power_integral});
  account.by_counter = optional_joules(node, "by_counter");
  account.by_integral = optional_joules(node, "by_integral");
  account.meters = node.optional_int("meters").value_or(0);
  energy.joules_per_output_token = estimate_at(node, "joules_per_output_token");
  energy.joules_per_total_token = estimate_at(node, "joules_per_total_token");
  energy.marginal_joules_per_output_token = estimate_at(node, "marginal_joules_per_output_token");
  energy.output_tokens_per_joule = node.optional_number("output_tokens_per_joule");
  for (const auto& finding : node.nodes("findings")) {
    account.findings.push_back(finding_of(finding));
  }
  return energy;
}

void read_load(const Node& root, Measurement& m) {
  const auto load = root.node("load");
  m.load = load.text("description");
  m.request_rate_per_second = load.optional_number("request_rate_per_second");
  m.concurrency = load.optional_int("concurrency");
  m.isl_tokens = load.optional_int("isl_tokens");
  m.osl_tokens = load.optional_int("osl_tokens");
  m.power_cap = optional_watts(load, "power_cap_watts");
  if (!load.at("seed").is_number_unsigned()) {
    load.fail("seed", "a count");
  }
  m.seed = load.at("seed").get<std::uint64_t>();
  const auto slo = root.node("slo");
  m.slo = {optional_seconds(slo, "ttft_seconds"), optional_seconds(slo, "tpot_seconds"),
           optional_seconds(slo, "itl_seconds"), optional_seconds(slo, "e2e_seconds")};
}

TokenCounts tokens_of(const Node& node, Unknown& unknown) {
  TokenCounts tokens;
  unknown.tokens = !node.has("output");
  unknown.goodput = !node.has("good");
  tokens.input = node.optional_count("input").value_or(0);
  tokens.output = node.optional_count("output").value_or(0);
  tokens.good = node.optional_count("good").value_or(0);
  tokens.input_known = node.flag("input_known");
  const auto source = enum_at(node, "output_source",
                              {TokenSource::usage, TokenSource::chunks, TokenSource::tokenizer});
  tokens.output_by_usage = source == TokenSource::usage;
  tokens.output_by_tokenizer = source == TokenSource::tokenizer;
  return tokens;
}

RequestCounts requests_of(const Node& node, Unknown& unknown) {
  RequestCounts requests;
  unknown.requests = !node.has("sent");
  requests.sent = node.optional_count("sent").value_or(0);
  requests.ok = node.optional_count("ok").value_or(0);
  requests.failed = node.optional_count("failed").value_or(0);
  requests.cancelled = node.optional_count("cancelled").value_or(0);
  const auto by_outcome = node.node("failed_by_outcome");
  for (const auto& [outcome, count] : node.at("failed_by_outcome").items()) {
    requests.failed_by_outcome[outcome] = by_outcome.count(outcome.c_str());
  }
  return requests;
}

void read_counts(const Node& root, Measurement& m) {
  m.window_start = root.optional_text("window_start");
  m.unknown.window = !root.has("window_seconds");
  m.window = seconds(root.optional_not_negative("window_seconds").value_or(0));
  m.whole = seconds(root.optional_not_negative("whole_run_seconds").value_or(0));
  m.requests = requests_of(root.node("requests"), m.unknown);
  m.tokens = tokens_of(root.node("tokens"), m.unknown);
  m.output_rate = tokens_per_second(root.not_negative("output_tokens_per_s"));
  if (const auto rate = root.optional_not_negative("input_tokens_per_s")) {
    m.input_rate = tokens_per_second(*rate);
  }
  m.goodput = tokens_per_second(root.optional_not_negative("goodput_tokens_per_s").value_or(0));
  m.good_request_ratio = root.optional_not_negative("good_request_ratio").value_or(0);
  m.unknown.mean_concurrency = !root.has("mean_concurrency");
  m.mean_concurrency = root.optional_not_negative("mean_concurrency").value_or(0);
}

ClientHealth client_of(const Node& node, Unknown& unknown) {
  unknown.client = !node.has("valid");
  if (unknown.client) {
    return {};
  }
  return {seconds(node.number("schedule_error_p99_seconds")),
          seconds(node.number("lag_p99_seconds")), seconds(node.number("longest_stall_seconds")),
          node.flag("valid")};
}

void read_latencies(const Node& root, Latencies& latencies) {
  latencies.ttft = quantiles_at(root, "ttft_seconds");
  latencies.ttft_from_intended = quantiles_at(root, "ttft_from_intended_seconds");
  latencies.ttfo = quantiles_at(root, "ttfo_seconds");
  latencies.tpot = quantiles_at(root, "tpot_seconds");
  latencies.itl = quantiles_at(root, "itl_seconds");
  latencies.e2e = quantiles_at(root, "e2e_seconds");
  latencies.e2e_from_intended = quantiles_at(root, "e2e_from_intended_seconds");
  latencies.relative_error_ratio = root.not_negative("quantile_relative_error_ratio");
}

}  // namespace

Measurement parse_measurement(std::string_view text, const std::string& name) {
  const auto json = parse_json(text, name, kRemedy);
  const Node root{json, name, kRemedy};
  if (const auto version = root.count("schema_version"); version != kSchemaVersion) {
    root.fail("schema_version", std::to_string(kSchemaVersion) + ", the one this version reads");
  }
  Measurement m;
  m.valid = root.flag("valid");
  m.power_valid = root.flag("power_valid");
  m.reasons = root.texts("reasons");
  m.end = end_at(root);
  m.url = root.text("url");
  m.model = root.text("model");
  m.label = root.text("label");
  m.unix_start = root.text("start");
  m.imported_from = root.optional_text("imported_from");
  read_load(root, m);
  read_counts(root, m);
  read_latencies(root, m.latencies);
  for (const auto& energy : root.nodes("energy_boundaries")) {
    m.energy.push_back(energy_of(energy));
  }
  for (const auto& tenant : root.nodes("tenants")) {
    m.tenants.push_back({tenant.text("tenant"), tenant.count("input_tokens"),
                         tenant.count("output_tokens"), optional_joules(tenant, "energy_joules")});
  }
  if (root.has("tenant_basis")) {
    m.tenant_basis = enum_at(root, "tenant_basis",
                             {TenantBasis::phase_energy, TenantBasis::tokens, TenantBasis::none});
  }
  m.quality_score = estimate_at(root, "quality_score");
  m.joules_per_answer = root.optional_number("joules_per_answer");
  m.client = client_of(root.node("client"), m.unknown);
  return m;
}

std::vector<RequestRecord> parse_answers(std::string_view text, const std::string& name) {
  std::vector<RequestRecord> answers;
  std::size_t line_number = 0;
  for (const auto& line : split(text, '\n')) {
    ++line_number;
    if (trimmed(line).empty()) {
      continue;
    }
    const auto where = name + ":" + std::to_string(line_number);
    const auto json = parse_json(line, where, kRemedy);
    const Node node{json, where, kRemedy};
    if (!node.has("expected")) {
      continue;
    }
    RequestRecord answer;
    answer.outcome = outcome_at(node);
    answer.prompt = static_cast<std::size_t>(node.count("prompt"));
    answer.expected = node.text("expected");
    answer.text = node.text("text");
    answers.push_back(std::move(answer));
  }
  return answers;
}

}  // namespace perwatt::measure
