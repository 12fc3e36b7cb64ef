// The tables of the report of measurements.
#include <utility>

#include "measurement_parts.hpp"
#include "text.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

using measure::Measurement;

constexpr const char* kUnknown = "unknown";
constexpr const char* kReference = "https://docs.vllm.ai/en/latest/cli/bench/serve.html";
constexpr const char* kAiperf =
    "https://github.com/ai-dynamo/aiperf/blob/main/docs/metrics-reference.md";
constexpr const char* kMlEnergy = "https://github.com/ml-energy/benchmark";

std::string count_text(bool unknown, std::int64_t count) {
  return unknown ? kUnknown : significant(static_cast<double>(count), 12);
}

template <class Convert, class T>
std::string value_text(const std::optional<T>& value, Convert in_unit) {
  return value ? significant(in_unit(*value)) : kUnknown;
}

double in_joules(Joules energy) {
  return energy.in_base();
}

std::string yes_no(bool flag) {
  return flag ? "yes" : "NO";
}

/// A table with a row or more of each run.
template <class AddRows>
Table by_run(const MeasurementReport& report, Table table, AddRows add_rows) {
  const auto names = run_names(report);
  for (std::size_t i = 0; i < names.size(); ++i) {
    add_rows(names[i], report.runs[i].measurement, table);
  }
  return table;
}

Table runs_table(const MeasurementReport& report) {
  Table table{"runs",
              "Runs",
              "",
              {{"run", Align::prose},
               {"valid"},
               {"power valid"},
               {"model", Align::prose},
               {"load", Align::prose},
               {"start"},
               {"window, s", Align::right},
               {"measured by", Align::prose}},
              {}};
  return by_run(report, std::move(table),
                [](const std::string& name, const Measurement& m, Table& t) {
                  t.add({name, yes_no(m.valid), m.energy.empty() ? "none" : yes_no(m.power_valid),
                         m.model, m.load, m.unix_start,
                         m.unknown.window ? kUnknown : significant(in_seconds(m.window)),
                         m.imported_from.empty() ? "perwatt" : m.imported_from});
                });
}

Table reasons_table(const MeasurementReport& report) {
  Table table{
      "reasons",
      "What to know of each run",
      "Codes and what they mean; those that make a run or its power invalid stand on top of "
      "the page too.",
      {{"run", Align::prose}, {"where", Align::prose}, {"code"}, {"meaning", Align::prose}},
      {}};
  return by_run(
      report, std::move(table), [](const std::string& name, const Measurement& m, Table& t) {
        for (const auto& reason : m.reasons) {
          const auto colon = reason.find(": ");
          const bool has_code = colon != std::string::npos;
          t.add({name, "run", has_code ? reason.substr(0, colon) : "",
                 has_code ? reason.substr(colon + 2) : reason});
        }
        for (const auto& energy : m.energy) {
          for (const auto& finding : energy.account.findings) {
            t.add({name,
                   boundary_name(energy.account.boundary) + (finding.fatal ? ", not valid" : ""),
                   std::string{to_string(finding.reason)}, finding.detail});
          }
        }
      });
}

Table requests_table(const MeasurementReport& report) {
  Table table{"requests",
              "Requests and tokens of the window",
              "Output tokens are those that arrived inside the window. Good tokens are of requests "
              "that met every limit of the SLO, TTFT and E2E counted from the intended send.",
              {{"run", Align::prose},
               {"sent", Align::right},
               {"ok", Align::right},
               {"failed", Align::right},
               {"cancelled", Align::right},
               {"mean concurrency", Align::right},
               {"input tokens", Align::right},
               {"output tokens", Align::right},
               {"good tokens", Align::right},
               {"output tok/s", Align::right},
               {"goodput tok/s", Align::right},
               {"counted by"}},
              {}};
  return by_run(
      report, std::move(table), [](const std::string& name, const Measurement& m, Table& t) {
        const auto& r = m.requests;
        const bool no_requests = m.unknown.requests;
        t.add({name, count_text(no_requests, r.sent), count_text(no_requests, r.ok),
               count_text(no_requests, r.failed), count_text(no_requests, r.cancelled),
               m.unknown.mean_concurrency ? kUnknown : significant(m.mean_concurrency),
               count_text(!m.tokens.input_known, m.tokens.input),
               count_text(m.unknown.tokens, m.tokens.output),
               count_text(m.unknown.goodput, m.tokens.good),
               significant(in_tokens_per_second(m.output_rate)),
               m.unknown.goodput ? kUnknown : significant(in_tokens_per_second(m.goodput)),
               m.tokens.output_by_usage       ? "server"
               : m.tokens.output_by_tokenizer ? "tokenizer"
                                              : "chunks (lower bound)"});
      });
}

void add_latency(const char* name, const std::optional<measure::Quantiles>& q, Table& table) {
  const auto in_milliseconds = [](Seconds time) { return 1e3 * in_seconds(time); };
  if (!q) {
    table.add({name, kUnknown, "", "", "", "", "", "", ""});
    return;
  }
  table.add({name, significant(in_milliseconds(q->mean)), significant(in_milliseconds(q->p50)),
             value_text(q->p75, in_milliseconds), value_text(q->p90, in_milliseconds),
             value_text(q->p95, in_milliseconds), significant(in_milliseconds(q->p99)),
             value_text(q->max, in_milliseconds), count_text(q->count == 0, q->count)});
}

Table latency_table(const MeasurementReport& report) {
  Table table{"latencies",
              "Latencies, ms",
              "Of successful requests of the window. From the intended send is what a user waits "
              "who comes at the time of the schedule; from the send leaves out waiting in the "
              "client.",
              {{"latency", Align::prose},
               {"mean", Align::right},
               {"p50", Align::right},
               {"p75", Align::right},
               {"p90", Align::right},
               {"p95", Align::right},
               {"p99", Align::right},
               {"max", Align::right},
               {"count", Align::right}},
              {}};
  return by_run(report, std::move(table),
                [](const std::string& name, const Measurement& m, Table& t) {
                  t.add_heading(name);
                  const auto& l = m.latencies;
                  add_latency("TTFT, from the send", l.ttft, t);
                  add_latency("TTFT, from the intended send", l.ttft_from_intended, t);
                  add_latency("TTFO, from the send", l.ttfo, t);
                  add_latency("TPOT", l.tpot, t);
                  add_latency("ITL, every gap", l.itl, t);
                  add_latency("E2E, from the send", l.e2e, t);
                  add_latency("E2E, from the intended send", l.e2e_from_intended, t);
                });
}

std::string account_text(const measure::EnergyResult& energy) {
  const auto& account = energy.account;
  if (!account.energy) {
    return kUnknown;
  }
  auto text = significant(in_joules(*account.energy));
  if (account.half_width > Joules{}) {
    text += " ± " + significant(in_joules(account.half_width), 3);
  }
  return account.valid ? text : text + " (not valid)";
}

Table energy_table(const MeasurementReport& report) {
  Table table{
      "energy",
      "Energy of the window, by boundary",
      "± and parentheses are 95 % intervals: meters' accuracy and window edges. Marginal is "
      "above the idle power measured before the load. Boundaries are never added: the wider "
      "contains the narrower.",
      {{"run", Align::prose},
       {"boundary", Align::prose},
       {"energy, J", Align::right},
       {"mean power, W", Align::right},
       {"method"},
       {"by counter, J", Align::right},
       {"by integral, J", Align::right},
       {"meters", Align::right},
       {"idle, W", Align::right},
       {"marginal, J", Align::right},
       {"J per output token", Align::right},
       {"marginal J per output token", Align::right},
       {"J per total token", Align::right},
       {"output tok/s per W", Align::right}},
      {}};
  return by_run(
      report, std::move(table), [](const std::string& name, const Measurement& m, Table& t) {
        for (const auto& energy : m.energy) {
          const auto& account = energy.account;
          const bool has_power = account.energy && !m.unknown.window && m.window > Seconds{};
          const auto rate = tokens_per_joule(energy);
          t.add({name, boundary_text(energy), account_text(energy),
                 has_power ? significant(in_watts(*account.energy / m.window)) : kUnknown,
                 std::string{to_string(account.method)}, value_text(account.by_counter, in_joules),
                 value_text(account.by_integral, in_joules),
                 account.meters == 0 ? kUnknown : std::to_string(account.meters),
                 value_text(energy.idle_power, in_watts), value_text(energy.marginal, in_joules),
                 estimate_text(energy.joules_per_output_token),
                 estimate_text(energy.marginal_joules_per_output_token),
                 estimate_text(energy.joules_per_total_token),
                 rate ? significant(*rate) : kUnknown});
        }
      });
}

Table client_table(const MeasurementReport& report) {
  Table table{"client",
              "The client that made the load",
              "How late it was itself: what is added to every latency. Beyond its bound the run is "
              "not valid.",
              {{"run", Align::prose},
               {"valid"},
               {"lag p99, ms", Align::right},
               {"schedule error p99, ms", Align::right},
               {"longest stall, ms", Align::right}},
              {}};
  return by_run(report, std::move(table),
                [](const std::string& name, const Measurement& m, Table& t) {
                  if (m.unknown.client) {
                    t.add({name, "not watched", kUnknown, kUnknown, kUnknown});
                    return;
                  }
                  const auto ms = [](Seconds s) { return significant(1e3 * in_seconds(s), 3); };
                  t.add({name, yes_no(m.client.valid), ms(m.client.lag_p99),
                         ms(m.client.schedule_error_p99), ms(m.client.longest_stall)});
                });
}

Table tenants_table(const MeasurementReport& report) {
  Table table{"tenants",
              "Energy by tenant",
              "Shares of the energy of the window, for billing.",
              {{"run", Align::prose},
               {"tenant", Align::prose},
               {"input tokens", Align::right},
               {"output tokens", Align::right},
               {"energy, J", Align::right}},
              {}};
  return by_run(
      report, std::move(table), [](const std::string& name, const Measurement& m, Table& t) {
        for (const auto& use : m.tenants) {
          t.add({name, use.tenant, count_text(false, use.input_tokens),
                 count_text(false, use.output_tokens), value_text(use.energy, in_joules)});
        }
      });
}

Table quality_table(const MeasurementReport& report) {
  Table table{"quality",
              "Quality of the answers",
              "Score of a fixed prompt set, 0 to 1, beside what an answer cost.",
              {{"run", Align::prose}, {"score", Align::right}, {"J per answer", Align::right}},
              {}};
  return by_run(report, std::move(table),
                [](const std::string& name, const Measurement& m, Table& t) {
                  if (m.quality_score) {
                    t.add({name, estimate_text(m.quality_score),
                           m.joules_per_answer ? significant(*m.joules_per_answer) : kUnknown});
                  }
                });
}

Table comparison_table(const MeasuredComparison& comparison) {
  Table table{"comparison",
              comparison.second + " against " + comparison.first,
              comparison.verdict + " " + comparison.method,
              {{"figure", Align::prose},
               {comparison.first, Align::right},
               {comparison.second, Align::right},
               {"ratio", Align::right},
               {"verdict", Align::prose}},
              {}};
  for (const auto& figure : comparison.figures) {
    const auto text = [](const std::optional<double>& value) {
      return value ? significant(*value) : std::string{kUnknown};
    };
    table.add({figure.name, text(figure.first), text(figure.second), estimate_text(figure.ratio),
               figure.verdict});
  }
  return table;
}

Table formulas_table() {
  Table table{"formulas",
              "Formulas and sources",
              "",
              {{"figure", Align::prose}, {"formula", Align::prose}, {"as in", Align::prose}},
              {}};
  table.add({"TTFT", "first content chunk (reasoning included) - sent",
             Cell{"AIPerf time_to_first_token", kAiperf}});
  table.add({"TTFT from the intended send", "first content chunk - intended send time", ""});
  table.add({"TTFO", "first content chunk that is not reasoning - sent",
             Cell{"AIPerf time_to_first_output_token", kAiperf}});
  table.add({"TPOT", "(last content chunk - first) / (output tokens - 1), per request",
             Cell{"vLLM TPOT, AIPerf inter_token_latency", kReference}});
  table.add({"ITL", "between content chunks, every gap",
             Cell{"vLLM ITL, AIPerf inter_chunk_latency", kAiperf}});
  table.add({"E2E", "last content chunk - sent", Cell{"AIPerf request_latency", kAiperf}});
  table.add({"tokens/s per user", "1 / median TPOT", ""});
  table.add({"output tok/s", "output tokens that arrived in the window / window", ""});
  table.add({"goodput", "output tokens of requests inside the SLO / window", ""});
  table.add({"window", "the steady part, without ramp, warm-up and drain",
             Cell{"ML.ENERGY benchmark", kMlEnergy}});
  table.add({"J per output token", "energy of the window / output tokens that arrived in it", ""});
  table.add({"marginal energy", "energy - idle power x window", ""});
  table.add({"output tok/s per W", "output tokens / energy, at the same boundary", ""});
  return table;
}

}  // namespace

std::vector<Table> measurement_tables(const MeasurementReport& report) {
  std::vector<Table> tables;
  const auto add = [&](Table table) {
    if (!table.rows.empty()) {
      tables.push_back(std::move(table));
    }
  };
  if (report.comparison) {
    add(comparison_table(*report.comparison));
  }
  add(runs_table(report));
  add(energy_table(report));
  add(requests_table(report));
  add(latency_table(report));
  add(quality_table(report));
  add(tenants_table(report));
  add(client_table(report));
  add(reasons_table(report));
  add(formulas_table());
  return tables;
}

}  // namespace perwatt::report
