#include "measure_text.hpp"

#include "table.hpp"
#include <fmt/format.h>

#include "perwatt/measure/slo.hpp"

namespace perwatt::cli {

namespace {

using measure::Estimate;
using measure::Measurement;
using measure::Quantiles;

std::string milliseconds(Seconds time) {
  return significant(1e3 * in_seconds(time), 4);
}

std::string estimate_text(const std::optional<Estimate>& estimate) {
  if (!estimate) {
    return "unknown";
  }
  if (!estimate->low || !estimate->high) {
    return significant(estimate->value) + " (no interval: the run is too short for one)";
  }
  return fmt::format("{} (95 % {} .. {})", significant(estimate->value),
                     significant(*estimate->low), significant(*estimate->high));
}

void add_latency(TextTable& table, const char* name, const std::optional<Quantiles>& q) {
  if (!q) {
    table.add({name, "-", "-", "-", "-", "-", "0"});
    return;
  }
  const auto or_unknown = [](const std::optional<Seconds>& time) {
    return time ? milliseconds(*time) : std::string{"-"};
  };
  table.add({name, milliseconds(q->mean), milliseconds(q->p50), or_unknown(q->p90),
             milliseconds(q->p99), or_unknown(q->max),
             q->count > 0 ? significant(static_cast<double>(q->count)) : "-"});
}

std::string headline(const Measurement& m) {
  const std::string from =
      m.imported_from.empty() ? m.url : (m.url.empty() ? "" : m.url + ", ") + m.imported_from;
  return fmt::format("{}{} at {}: {} over {} s\n", m.valid ? "" : "NOT VALID: ", m.model, from,
                     m.load, m.unknown.window ? "unknown" : significant(in_seconds(m.window)));
}

std::string count_text(bool is_unknown, std::int64_t count) {
  return is_unknown ? "unknown" : significant(static_cast<double>(count));
}

const char* source_of_output(const measure::TokenCounts& counts) {
  if (counts.output_by_usage) {
    return "server's count";
  }
  return counts.output_by_tokenizer ? "the client's tokenizer" : "chunks counted here";
}

std::string counts_text(const Measurement& m) {
  const auto& r = m.requests;
  std::string text =
      m.unknown.requests
          ? "requests: unknown\n"
          : fmt::format("requests: {} sent, {} ok, {} failed{}\n", r.sent, r.ok, r.failed,
                        r.cancelled > 0 ? fmt::format(", {} not ended", r.cancelled) : "");
  text += fmt::format("tokens: {} input, {} output ({}), {} good; mean concurrency {}\n",
                      count_text(m.unknown.tokens || !m.tokens.input_known, m.tokens.input),
                      count_text(m.unknown.tokens, m.tokens.output), source_of_output(m.tokens),
                      count_text(m.unknown.goodput, m.tokens.good),
                      m.unknown.mean_concurrency ? "unknown" : significant(m.mean_concurrency));
  text += fmt::format("output {} tok/s; ", significant(in_tokens_per_second(m.output_rate)));
  const auto slo = to_string(m.slo);
  if (slo.empty()) {
    return text + "no SLO given: every ok request counts as good\n";
  }
  return text + (m.unknown.goodput ? "goodput unknown: the result holds no single requests\n"
                                   : fmt::format("goodput {} tok/s, {} % of requests within {}\n",
                                                 significant(in_tokens_per_second(m.goodput)),
                                                 significant(100 * m.good_request_ratio, 3), slo));
}

std::string latency_text(const Measurement& m) {
  TextTable table{{"latency (ms)", "mean", "p50", "p90", "p99", "max", "values"}};
  const auto& l = m.latencies;
  add_latency(table, "TTFT from send", l.ttft);
  add_latency(table, "TTFT from intended", l.ttft_from_intended);
  add_latency(table, "TPOT", l.tpot);
  add_latency(table, "ITL (chunk gaps)", l.itl);
  add_latency(table, "E2E from send", l.e2e);
  add_latency(table, "E2E from intended", l.e2e_from_intended);
  return table.text() +
         fmt::format("quantiles within {} %\n", significant(100 * l.relative_error_ratio, 2));
}

std::string energy_text(const measure::EnergyResult& energy) {
  const auto& account = energy.account;
  std::string text = fmt::format("energy at the {} boundary ({}): ", to_string(account.boundary),
                                 to_string(energy.tag));
  if (!account.energy) {
    return text + "unknown\n";
  }
  text +=
      fmt::format("{} J +- {}{}, by {}, {} meters\n", significant(account.energy->in_base(), 5),
                  significant(account.half_width.in_base(), 2), account.valid ? "" : " (NOT VALID)",
                  to_string(account.method), account.meters);
  if (!account.valid) {
    return text;
  }
  text += "  J per output token: " + estimate_text(energy.joules_per_output_token) + "\n";
  text += "  J per total token:  " + estimate_text(energy.joules_per_total_token) + "\n";
  if (energy.idle_power) {
    text += fmt::format("  above idle ({}): {}\n", power_text(*energy.idle_power),
                        estimate_text(energy.marginal_joules_per_output_token));
  }
  if (energy.output_tokens_per_joule) {
    text += fmt::format("  {} output tok/s per W\n", significant(*energy.output_tokens_per_joule));
  }
  return text;
}

}  // namespace

std::string measurement_text(const Measurement& m) {
  std::string text = headline(m) + "\n" + counts_text(m) + "\n" + latency_text(m) + "\n";
  for (const auto& energy : m.energy) {
    text += energy_text(energy);
  }
  if (!m.tenants.empty()) {
    TextTable table{{"tenant", "input", "output", "energy J"}};
    for (const auto& use : m.tenants) {
      table.add({use.tenant.empty() ? "(none)" : use.tenant,
                 significant(static_cast<double>(use.input_tokens)),
                 significant(static_cast<double>(use.output_tokens)),
                 use.energy ? significant(use.energy->in_base(), 5) : "-"});
    }
    text += "\n" + table.text();
  }
  if (!m.unknown.client) {
    text += fmt::format("client: lag p99 {} ms, schedule error p99 {} ms\n",
                        milliseconds(m.client.lag_p99), milliseconds(m.client.schedule_error_p99));
  }
  for (const auto& reason : m.reasons) {
    text += "note: " + reason + "\n";
  }
  return text;
}

std::string runs_text(std::span<const Measurement> runs) {
  TextTable table{{"load", "cap", "tok/s", "good tok/s", "TTFT p99 ms", "TPOT p99 ms", "tok/s/user",
                   "boundary", "W", "J/output tok", "tok/s/W", "valid"}};
  for (const auto& m : runs) {
    const auto* energy = m.energy.empty() ? nullptr : &m.energy.front();
    const bool has_power = energy != nullptr && m.power_valid;
    const auto& l = m.latencies;
    const double window = in_seconds(m.window);
    table.add({m.load, m.power_cap ? power_text(*m.power_cap) : "-",
               significant(in_tokens_per_second(m.output_rate)),
               significant(in_tokens_per_second(m.goodput)),
               l.ttft_from_intended ? milliseconds(l.ttft_from_intended->p99) : "-",
               l.tpot ? milliseconds(l.tpot->p99) : "-",
               l.tpot ? significant(1 / in_seconds(l.tpot->p50)) : "-",
               energy != nullptr ? std::string{to_string(energy->account.boundary)} : "-",
               has_power ? significant(energy->account.energy->in_base() / window) : "-",
               has_power && energy->joules_per_output_token
                   ? significant(energy->joules_per_output_token->value)
                   : "-",
               has_power ? or_dash(energy->output_tokens_per_joule) : "-", m.valid ? "yes" : "no"});
  }
  return table.text();
}

}  // namespace perwatt::cli
