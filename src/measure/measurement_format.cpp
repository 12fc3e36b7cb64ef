#include <fmt/format.h>

#include "perwatt/base/json_node.hpp"
#include "perwatt/measure/measurement_file.hpp"

namespace perwatt::measure {

namespace {

template <class T, class Convert>
Json or_null(const std::optional<T>& value, Convert convert) {
  return value ? Json(convert(*value)) : Json(nullptr);
}

template <class T>
Json unless(bool unknown, const T& value) {
  return unknown ? Json(nullptr) : Json(value);
}

Json plain_or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json quantiles_json(const std::optional<Quantiles>& q) {
  if (!q) {
    return nullptr;
  }
  return {{"mean", in_seconds(q->mean)},        {"p50", in_seconds(q->p50)},
          {"p75", or_null(q->p75, in_seconds)}, {"p90", or_null(q->p90, in_seconds)},
          {"p95", or_null(q->p95, in_seconds)}, {"p99", in_seconds(q->p99)},
          {"max", or_null(q->max, in_seconds)}, {"count", unless(q->count == 0, q->count)}};
}

Json estimate_json(const std::optional<Estimate>& estimate) {
  if (!estimate) {
    return nullptr;
  }
  return {{"value", estimate->value},
          {"ci_low", plain_or_null(estimate->low)},
          {"ci_high", plain_or_null(estimate->high)}};
}

Json energy_json(const EnergyResult& energy) {
  const auto& account = energy.account;
  Json json{
      {"boundary", to_string(account.boundary)},
      {"valid", account.valid},
      {"tag", to_string(energy.tag)},
      {"total", or_null(account.energy, [](Joules e) { return e.in_base(); })},
      {"half_width", account.half_width.in_base()},
      {"marginal", or_null(energy.marginal, [](Joules e) { return e.in_base(); })},
      {"idle_power_watts", or_null(energy.idle_power, in_watts)},
      {"method", to_string(account.method)},
      {"by_counter", or_null(account.by_counter, [](Joules e) { return e.in_base(); })},
      {"by_integral", or_null(account.by_integral, [](Joules e) { return e.in_base(); })},
      {"meters", account.meters},
      {"joules_per_output_token", estimate_json(energy.joules_per_output_token)},
      {"joules_per_total_token", estimate_json(energy.joules_per_total_token)},
      {"marginal_joules_per_output_token", estimate_json(energy.marginal_joules_per_output_token)},
      {"output_tokens_per_joule", plain_or_null(energy.output_tokens_per_joule)}};
  json["findings"] = Json::array();
  for (const auto& finding : account.findings) {
    json["findings"].push_back({{"code", to_string(finding.reason)},
                                {"fatal", finding.fatal},
                                {"detail", finding.detail}});
  }
  return json;
}

std::string_view name_of(RunEnd end) {
  switch (end) {
    case RunEnd::complete:
      return "complete";
    case RunEnd::interrupted:
      return "interrupted";
    case RunEnd::server_lost:
      return "server_lost";
    case RunEnd::output_failed:
      return "output_failed";
  }
  return "";
}

void add_load(const Measurement& m, Json& json) {
  json["load"] = {{"description", m.load},
                  {"request_rate_per_second", plain_or_null(m.request_rate_per_second)},
                  {"concurrency", or_null(m.concurrency, [](int c) { return c; })},
                  {"isl_tokens", or_null(m.isl_tokens, [](int n) { return n; })},
                  {"osl_tokens", or_null(m.osl_tokens, [](int n) { return n; })},
                  {"power_cap_watts", or_null(m.power_cap, in_watts)},
                  {"seed", m.seed}};
  json["slo"] = {{"ttft_seconds", or_null(m.slo.ttft, in_seconds)},
                 {"tpot_seconds", or_null(m.slo.tpot, in_seconds)},
                 {"itl_seconds", or_null(m.slo.itl, in_seconds)},
                 {"e2e_seconds", or_null(m.slo.e2e, in_seconds)}};
}

const char* output_source(const TokenCounts& tokens) {
  return tokens.output_by_usage ? "usage" : tokens.output_by_tokenizer ? "tokenizer" : "chunks";
}

void add_counts(const Measurement& m, Json& json) {
  const auto& unknown = m.unknown;
  json["window_start"] = m.window_start;
  json["window_seconds"] = unless(unknown.window, in_seconds(m.window));
  json["whole_run_seconds"] = unless(unknown.window, in_seconds(m.whole));
  const auto& requests = m.requests;
  json["requests"] = {{"sent", unless(unknown.requests, requests.sent)},
                      {"ok", unless(unknown.requests, requests.ok)},
                      {"failed", unless(unknown.requests, requests.failed)},
                      {"cancelled", unless(unknown.requests, requests.cancelled)},
                      {"failed_by_outcome", requests.failed_by_outcome}};
  json["tokens"] = {{"input", unless(unknown.tokens, m.tokens.input)},
                    {"output", unless(unknown.tokens, m.tokens.output)},
                    {"good", unless(unknown.goodput, m.tokens.good)},
                    {"input_known", m.tokens.input_known},
                    {"output_source", output_source(m.tokens)}};
  json["output_tokens_per_s"] = in_tokens_per_second(m.output_rate);
  json["input_tokens_per_s"] = or_null(m.input_rate, in_tokens_per_second);
  json["goodput_tokens_per_s"] = unless(unknown.goodput, in_tokens_per_second(m.goodput));
  json["good_request_ratio"] = unless(unknown.goodput, m.good_request_ratio);
  json["mean_concurrency"] = unless(unknown.mean_concurrency, m.mean_concurrency);
}

void add_latencies(const Latencies& latencies, Json& json) {
  json["ttft_seconds"] = quantiles_json(latencies.ttft);
  json["ttft_from_intended_seconds"] = quantiles_json(latencies.ttft_from_intended);
  json["ttfo_seconds"] = quantiles_json(latencies.ttfo);
  json["tpot_seconds"] = quantiles_json(latencies.tpot);
  json["itl_seconds"] = quantiles_json(latencies.itl);
  json["e2e_seconds"] = quantiles_json(latencies.e2e);
  json["e2e_from_intended_seconds"] = quantiles_json(latencies.e2e_from_intended);
  json["quantile_relative_error_ratio"] = latencies.relative_error_ratio;
  json["formulas"] = {
      {"ttft_seconds", "first content chunk (reasoning included) - sent"},
      {"ttft_from_intended_seconds", "first content chunk - intended send time"},
      {"ttfo_seconds", "first content chunk that is not reasoning - sent"},
      {"tpot_seconds",
       "(last content chunk - first) / (output tokens - 1), one value per request; "
       "AIPerf: inter_token_latency"},
      {"itl_seconds", "between content chunks, every gap; AIPerf: inter_chunk_latency"},
      {"e2e_seconds", "last content chunk - sent"},
      {"e2e_from_intended_seconds", "last content chunk - intended send time"},
      {"good", "ok, and within every limit of the SLO, TTFT and E2E from the intended time"},
      {"joules_per_output_token", "energy of the window / output tokens that arrived in it"},
      {"marginal", "energy - idle power x window"}};
}

/// The narrowest boundary at the top, where a script looks first; all of them in energy_boundaries.
void add_energy(const Measurement& m, Json& json) {
  static const EnergyResult kNone;
  const auto& first = m.energy.empty() ? kNone : m.energy.front();
  json["energy_joules"] = m.energy.empty() ? Json(nullptr) : energy_json(first);
  json["joules_per_output_token"] = estimate_json(first.joules_per_output_token);
  json["joules_per_total_token"] = estimate_json(first.joules_per_total_token);
  json["output_tokens_per_joule"] = plain_or_null(first.output_tokens_per_joule);
  json["energy_boundaries"] = Json::array();
  for (const auto& energy : m.energy) {
    json["energy_boundaries"].push_back(energy_json(energy));
  }
}

}  // namespace

std::string format_measurement(const Measurement& m) {
  Json json{{"schema_version", kSchemaVersion},
            {"valid", m.valid},
            {"power_valid", m.power_valid},
            {"reasons", m.reasons},
            {"end", name_of(m.end)},
            {"url", m.url},
            {"model", m.model},
            {"label", m.label},
            {"start", m.unix_start},
            {"imported_from", m.imported_from}};
  add_load(m, json);
  add_counts(m, json);
  add_latencies(m.latencies, json);
  add_energy(m, json);
  json["tenants"] = Json::array();
  for (const auto& use : m.tenants) {
    json["tenants"].push_back(
        {{"tenant", use.tenant},
         {"input_tokens", use.input_tokens},
         {"output_tokens", use.output_tokens},
         {"energy_joules", or_null(use.energy, [](Joules e) { return e.in_base(); })}});
  }
  json["tenant_basis"] = to_string(m.tenant_basis);
  json["quality_score"] = estimate_json(m.quality_score);
  json["joules_per_answer"] = plain_or_null(m.joules_per_answer);
  const bool unwatched = m.unknown.client;
  json["client"] = {
      {"valid", unless(unwatched, m.client.valid)},
      {"lag_p99_seconds", unless(unwatched, in_seconds(m.client.lag_p99))},
      {"schedule_error_p99_seconds", unless(unwatched, in_seconds(m.client.schedule_error_p99))},
      {"longest_stall_seconds", unless(unwatched, in_seconds(m.client.longest_stall))}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string format_requests(std::span<const RequestRecord> records, const WallClock& clock) {
  std::string lines;
  for (const auto& r : records) {
    const auto since_sent = [&](const std::optional<Instant>& at) {
      return r.sent && at ? Json(in_seconds(*at - *r.sent)) : Json(nullptr);
    };
    const auto unix_of = [&](const std::optional<Instant>& at) {
      return at ? Json(in_seconds(clock.unix_time(*at))) : Json(nullptr);
    };
    const auto count = [](std::int64_t n) { return n; };
    Json json{{"index", r.index},
              {"session", r.session},
              {"turn", r.turn},
              {"tenant", r.tenant},
              {"outcome", to_string(r.outcome)},
              {"http_status", r.http_status},
              {"detail", r.detail},
              {"unix_intended_seconds", in_seconds(clock.unix_time(r.intended))},
              {"unix_sent_seconds", unix_of(r.sent)},
              {"held_back", r.held_back},
              {"first_content_seconds", since_sent(r.first_content)},
              {"first_answer_seconds", since_sent(r.first_answer)},
              {"second_content_seconds", since_sent(r.second_content)},
              {"last_content_seconds", since_sent(r.last_content)},
              {"end_seconds", since_sent(r.end)},
              {"longest_gap_seconds", in_seconds(r.longest_gap)},
              {"input_tokens", or_null(r.input_tokens, count)},
              {"cached_input_tokens", or_null(r.cached_input_tokens, count)},
              {"output_tokens", r.output_tokens},
              {"output_source", to_string(r.output_source)},
              {"content_chunks", r.content_chunks},
              {"content_chunks_in_window", r.content_chunks_in_window},
              {"finish_reason", r.finish_reason}};
    if (!r.content_gaps_seconds.empty()) {
      json["content_gaps_seconds"] = r.content_gaps_seconds;
    }
    if (!r.expected.empty()) {
      json["prompt"] = r.prompt;
      json["expected"] = r.expected;
      json["text"] = r.text;
    }
    lines += json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  return lines;
}

}  // namespace perwatt::measure
