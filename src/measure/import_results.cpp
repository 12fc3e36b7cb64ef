#include "perwatt/measure/import_results.hpp"

#include <algorithm>
#include <cmath>

#include "import_formats.hpp"
#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/measure/load_results.hpp"

namespace perwatt::measure {

namespace {

constexpr double kLeastJoules = 1e-9;  // below it nothing was measured

/// The values of a file: one JSON value, a list of them, or one on each line.
std::vector<PlacedJson> values_of(const ResultFile& file) {
  if (trimmed(file.text).empty()) {
    throw_bad_input("is empty", file.name, kImportRemedy);
  }
  auto whole = Json::parse(file.text, nullptr, false);
  if (!whole.is_discarded()) {
    if (!whole.is_array()) {
      return {{std::move(whole), file.name}};
    }
    std::vector<PlacedJson> values;
    for (auto& element : whole) {
      values.push_back({std::move(element), file.name + "[" + std::to_string(values.size()) + "]"});
    }
    return values;
  }
  const auto lines = split(file.text, '\n');
  if (Json::parse(lines.front(), nullptr, false).is_discarded()) {
    (void)parse_json(file.text, file.name, kImportRemedy);  // says where it is broken
  }
  std::vector<PlacedJson> values;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!trimmed(lines[i]).empty()) {
      const auto where = file.name + ":" + std::to_string(i + 1);
      values.push_back({parse_json(lines[i], where, kImportRemedy), where});
    }
  }
  return values;
}

bool is_any_of_aiperf(const Json& json) {
  return is_aiperf_request(json) || is_aiperf_telemetry(json) || is_aiperf_summary(json);
}

void take_aiperf(PlacedJson value, AiperfFiles& files) {
  if (is_aiperf_request(value.json)) {
    files.requests.push_back(std::move(value));
  } else if (is_aiperf_telemetry(value.json)) {
    files.telemetry.push_back(std::move(value));
  } else if (files.summary) {
    throw_bad_input("is a second summary of AIPerf beside " + files.summary->where, value.where,
                    "give the files of one run at a time");
  } else {
    files.summary = std::move(value);
  }
}

/// From the first intended send, so that every request counts, to just after the last byte.
Window window_around(std::span<const RequestRecord> records) {
  Window window{records.front().intended, records.front().end};
  for (const auto& record : records) {
    window.begin = std::min(window.begin, record.intended);
    window.end = std::max(window.end, record.end);
  }
  window.end = window.end + seconds(1.0 / kNanosecondsPerSecond);
  return window;
}

/// Requests under way, mean over the window: Little's law, each for as long as it was seen.
double mean_concurrency(const LoadRun& run) {
  Seconds busy;
  for (const auto& record : run.records) {
    busy += record.sent ? record.end - *record.sent : Seconds{};
  }
  return busy / (run.window.end - run.window.begin);
}

LoadRun load_run_of(const ImportedRun& run, bool intended_known) {
  LoadRun load;
  load.records = run.requests;
  load.window = run.window;
  load.begin = run.window.begin;
  load.end = run.window.end;
  load.is_steady = false;
  load.end_reason = run.measurement.end;
  load.end_detail = "the run was cancelled";
  for (const auto& record : load.records) {
    for (const float gap : record.content_gaps_seconds) {
      load.content_gaps.add(seconds(static_cast<double>(gap)));
    }
    if (intended_known && record.sent) {
      load.schedule_error.add(*record.sent - record.intended);
    }
  }
  load.mean_concurrency = mean_concurrency(load);
  return load;
}

}  // namespace

void score_requests(bool intended_known, const ImportRules& rules, ImportedRun& run) {
  auto& m = run.measurement;
  const auto around = window_around(run.requests);
  run.window.begin = std::min(run.window.begin, around.begin);
  run.window.end = std::max(run.window.end, around.end);
  m.slo = rules.slo;
  m.requests = {};
  m.tokens = {};
  // Nothing is known of another tool's client, so that no bound can fail it.
  const ClientBounds unbounded{seconds(1e9), seconds(1e9)};
  add_load_results(load_run_of(run, intended_known), unbounded, m);
  m.unknown.client = true;
  m.client = {};
  for (auto& reason : m.reasons) {
    if (reason.starts_with("unfinished_requests")) {
      reason = "unfinished_requests: " + std::to_string(m.requests.cancelled) + " of " +
               std::to_string(m.requests.sent) +
               " were cancelled; their latencies are missing, and they count as not good";
    }
  }
  const auto is_other_reason = [](const std::string& reason) {
    return reason.starts_with("not_steady");  // of perwatt's own runs; "whole_run" below says why
  };
  m.reasons.erase(std::remove_if(m.reasons.begin(), m.reasons.end(), is_other_reason),
                  m.reasons.end());
  m.reasons.emplace_back(
      "client_not_watched: " + m.imported_from +
      " does not say how late its own client was; its latencies may hold that delay");
  m.reasons.emplace_back(
      "whole_run: the window is the whole run, its start and end included; a run of perwatt's own "
      "is scored on its steady part");
  if (!intended_known) {
    m.latencies.ttft_from_intended.reset();
    m.latencies.e2e_from_intended.reset();
    m.reasons.emplace_back(
        "no_intended_times: the file does not say when a request should have been sent; the SLO is "
        "judged from the send, which hides waiting in the client");
  }
  const bool by_tokenizer =
      std::any_of(run.requests.begin(), run.requests.end(),
                  [](const RequestRecord& r) { return r.output_source == TokenSource::tokenizer; });
  if (by_tokenizer) {
    m.tokens.output_by_usage = false;
    m.tokens.output_by_tokenizer = true;
  }
}

std::optional<Instant> instant_of(const JsonNode& node, const char* key) {
  const auto at = node.find(key);
  if (at == nullptr) {
    return std::nullopt;
  }
  constexpr std::int64_t kLatest = 8'000'000'000'000'000'000;  // of 2223
  if (!at->is_number_integer() || at->get<std::int64_t>() < 0 ||
      at->get<std::int64_t>() > kLatest ||
      (at->is_number_unsigned() && at->get<std::uint64_t>() > kLatest)) {
    node.fail(key, "a time in nanoseconds");
  }
  return Instant::from_nanoseconds(at->get<std::int64_t>());
}

EnergyResult energy_result(BoundaryEnergy account, const Measurement& m) {
  EnergyResult result;
  const auto per = [&](std::int64_t tokens) {
    const auto count = static_cast<double>(tokens);
    const double joules = account.energy->in_base() / count;
    const double half = account.half_width.in_base() / count;
    return Estimate{joules, half > 0 ? std::optional{joules - half} : std::nullopt,
                    half > 0 ? std::optional{joules + half} : std::nullopt};
  };
  if (account.valid && account.energy && !m.unknown.tokens && m.tokens.output > 0) {
    result.joules_per_output_token = per(m.tokens.output);
    if (m.tokens.input_known) {
      result.joules_per_total_token = per(m.tokens.input + m.tokens.output);
    }
    if (account.energy->in_base() > kLeastJoules) {
      result.output_tokens_per_joule =
          static_cast<double>(m.tokens.output) / account.energy->in_base();
    }
  }
  result.account = std::move(account);
  return result;
}

BoundaryEnergy stated_energy(Joules energy, EnergyMethod method, int gpus,
                             const std::string& detail) {
  BoundaryEnergy account;
  account.valid = true;
  account.energy = energy;
  account.method = method;
  account.meters = gpus;
  account.findings.push_back({EnergyReason::stated_by_source, false, detail});
  return account;
}

std::optional<Quantiles> quantiles_by_name(const TimeOf& at, const char* mean, const char* median) {
  const auto mean_time = at(mean);
  const auto median_time = at(median);
  const auto p99 = at("p99");
  if (!mean_time || !median_time || !p99) {
    return std::nullopt;
  }
  Quantiles q;
  q.mean = *mean_time;
  q.p50 = *median_time;
  q.p75 = at("p75");
  q.p90 = at("p90");
  q.p95 = at("p95");
  q.p99 = *p99;
  return q;
}

std::optional<Quantiles> stated_quantiles(const JsonNode& root, const std::string& metric,
                                          const char* suffix, double unit_seconds) {
  const auto quantiles = quantiles_by_name(
      [&](const char* statistic) -> std::optional<Seconds> {
        const auto key = fmt::format("{}_{}{}", statistic, metric, suffix);
        const auto value = root.optional_not_negative(key.c_str());
        return value ? std::optional{seconds(*value * unit_seconds)} : std::nullopt;
      },
      "mean", "median");
  return quantiles && quantiles->p50 > Seconds{} ? quantiles : std::nullopt;
}

double in_base_unit(double value, const std::string& unit, const JsonNode& node) {
  struct Scale {
    const char* unit;
    double in_base;
  };

  static constexpr Scale kScales[] = {{"ns", 1.0 / kNanosecondsPerSecond},
                                      {"us", 1e-6},
                                      {"ms", 1e-3},
                                      {"s", 1},
                                      {"sec", 1},
                                      {"seconds", 1},
                                      {"mJ/token", 1e-3},
                                      {"J/token", 1},
                                      {"mJ", 1e-3},
                                      {"J", 1},
                                      {"kJ", 1e3},
                                      {"MJ", 1e6},
                                      {"mW", 1e-3},
                                      {"W", 1},
                                      {"kW", 1e3},
                                      {"tokens", 1},
                                      {"requests", 1},
                                      {"tokens/sec", 1},
                                      {"requests/sec", 1},
                                      {"count", 1}};
  for (const auto& scale : kScales) {
    if (unit == scale.unit) {
      return value * scale.in_base;
    }
  }
  throw_bad_input("has the unit '" + printable(unit) + "', which this version does not know",
                  node.place("unit"), kImportRemedy);
}

std::vector<ImportedRun> import_results(std::span<const ResultFile> files,
                                        const ImportRules& rules) {
  std::vector<ImportedRun> runs;
  AiperfFiles aiperf;
  for (const auto& file : files) {
    for (auto& value : values_of(file)) {
      if (is_inferencex_result(value.json)) {
        runs.push_back(import_inferencex(value, rules));
      } else if (is_vllm_result(value.json)) {
        runs.push_back(import_vllm(value, rules));
      } else if (is_any_of_aiperf(value.json)) {
        take_aiperf(std::move(value), aiperf);
      } else {
        throw_bad_input(
            "is no result of AIPerf (keys 'request_latency', 'metadata', 'telemetry_data'), vLLM "
            "bench serve ('completed', 'duration') or InferenceX ('hw', 'tput_per_gpu')",
            value.where, kImportRemedy);
      }
    }
  }
  if (aiperf.summary || !aiperf.requests.empty() || !aiperf.telemetry.empty()) {
    runs.push_back(import_aiperf(aiperf, rules));
  }
  return runs;
}

}  // namespace perwatt::measure
