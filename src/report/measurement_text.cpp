// The sentences of the report of measurements.
#include <algorithm>
#include <iterator>
#include <string_view>

#include "measurement_parts.hpp"
#include "text.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

using measure::Measurement;

std::string time_text(Seconds time) {
  constexpr double kShort = 1.0;  // s
  const double value = in_seconds(time);
  return value < kShort ? significant(1e3 * value, 4) + " ms" : significant(value, 4) + " s";
}

std::string slo_text(const measure::Slo& slo) {
  std::vector<std::string> limits;
  const auto add = [&](const char* name, const std::optional<Seconds>& limit) {
    if (limit) {
      limits.push_back(std::string{name} + " " + time_text(*limit));
    }
  };
  add("TTFT", slo.ttft);
  add("TPOT", slo.tpot);
  add("ITL", slo.itl);
  add("E2E", slo.e2e);
  return listed(limits);
}

std::string load_sentence(const Measurement& m) {
  auto text = fmt::format("{}{}: {} output tokens/s", m.model.empty() ? "the endpoint" : m.model,
                          m.load.empty() ? "" : ", " + m.load,
                          significant(in_tokens_per_second(m.output_rate)));
  if (m.latencies.tpot && m.latencies.tpot->p50 > Seconds{}) {
    text += fmt::format(", {} tokens/s per user (1 / median TPOT)",
                        significant(1 / in_seconds(m.latencies.tpot->p50)));
  }
  if (m.latencies.ttft) {
    text += fmt::format(", TTFT {} in the median and {} at p99", time_text(m.latencies.ttft->p50),
                        time_text(m.latencies.ttft->p99));
  }
  if (m.latencies.ttft_from_intended) {
    text += fmt::format(" ({} and {} from the intended send)",
                        time_text(m.latencies.ttft_from_intended->p50),
                        time_text(m.latencies.ttft_from_intended->p99));
  }
  return text + ".";
}

std::string energy_sentence(const measure::EnergyResult& energy) {
  const auto where = boundary_text(energy);
  if (!energy.account.valid) {
    return fmt::format("The energy at the {} is not valid: no joules per token.", where);
  }
  if (!energy.joules_per_output_token) {
    return fmt::format("At the {} no joules per output token are known.", where);
  }
  auto text = fmt::format("At the {} an output token cost {} J", where,
                          significant(energy.joules_per_output_token->value));
  const auto& estimate = *energy.joules_per_output_token;
  if (estimate.low && estimate.high) {
    text +=
        fmt::format(" (95 %: {} to {})", significant(*estimate.low), significant(*estimate.high));
  }
  if (const auto rate = tokens_per_joule(energy)) {
    text += fmt::format(", that is {} output tokens/s per W", significant(*rate));
  }
  if (energy.marginal_joules_per_output_token) {
    text += fmt::format("; above idle {} J",
                        significant(energy.marginal_joules_per_output_token->value));
  }
  return text + ".";
}

std::string goodput_sentence(const Measurement& m) {
  const auto limits = slo_text(m.slo);
  if (m.unknown.goodput || limits.empty()) {
    return "";
  }
  return fmt::format(
      " {} of the requests met the SLO ({}): {} good of {} output tokens, goodput {} tokens/s.",
      percent_text(m.good_request_ratio), limits, significant(static_cast<double>(m.tokens.good)),
      significant(static_cast<double>(m.tokens.output)),
      significant(in_tokens_per_second(m.goodput)));
}

/// The reasons that can make a run invalid; notes that never do stand in their table only.
std::string reasons_text(const Measurement& m) {
  static constexpr std::string_view kNotes[] = {
      "cached_prompts",      "client_not_watched", "count_mismatch", "intended_is_credit",
      "no_intended_times",   "no_power",           "no_start_times", "no_usage",
      "not_steady",          "short_answers",      "summary_only",   "tokens_by_tokenizer",
      "power_not_validated", "power_invalid",      "whole_run"};
  std::vector<std::string> reasons;
  for (const auto& reason : m.reasons) {
    const auto code = std::string_view{reason}.substr(0, reason.find(':'));
    if (std::find(std::begin(kNotes), std::end(kNotes), code) == std::end(kNotes)) {
      reasons.push_back(reason);
    }
  }
  return reasons.empty() ? "no reason is stated" : listed(reasons);
}

}  // namespace

std::vector<std::string> run_names(const MeasurementReport& report) {
  std::vector<std::string> names;
  for (const auto& run : report.runs) {
    const auto& m = run.measurement;
    auto name = !m.label.empty()   ? m.label
                : !m.model.empty() ? m.model
                                   : "run " + std::to_string(names.size() + 1);
    if (m.concurrency && report.runs.size() > 1) {
      name += fmt::format(", c {}", *m.concurrency);
    }
    if (!m.valid) {
      name += " (not valid)";
    }
    const auto base = name;
    for (int n = 2; std::find(names.begin(), names.end(), name) != names.end(); ++n) {
      name = fmt::format("{}, {}", base, n);
    }
    names.push_back(name);
  }
  return names;
}

std::string boundary_name(measure::Boundary boundary) {
  switch (boundary) {
    case measure::Boundary::gpu:
      return "GPU boards";
    case measure::Boundary::it:
      return "IT nodes";
    case measure::Boundary::facility:
      return "facility meter";
  }
  return "";
}

std::string boundary_text(const measure::EnergyResult& energy) {
  const bool is_metered = energy.tag == Tag::measured;
  return boundary_name(energy.account.boundary) + " (" +
         (is_metered ? std::string{"metered"} : std::string{to_string(energy.tag)}) + ")";
}

std::optional<double> tokens_per_joule(const measure::EnergyResult& energy) {
  if (energy.output_tokens_per_joule) {
    return energy.output_tokens_per_joule;
  }
  const auto& joules = energy.joules_per_output_token;
  return joules && joules->value > 0 ? std::optional{1 / joules->value} : std::nullopt;
}

std::string estimate_text(const std::optional<measure::Estimate>& estimate) {
  if (!estimate) {
    return "unknown";
  }
  auto text = significant(estimate->value);
  if (estimate->low && estimate->high) {
    text += fmt::format(" ({} to {})", significant(*estimate->low), significant(*estimate->high));
  }
  return text;
}

std::vector<std::string> verdicts(const MeasurementReport& report) {
  std::vector<std::string> sentences;
  const auto names = run_names(report);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto& m = report.runs[i].measurement;
    if (!m.valid) {
      sentences.push_back(fmt::format("{}: {}.", names[i], reasons_text(m)));
    }
    if (!m.power_valid && !m.energy.empty()) {
      std::vector<std::string> findings;
      for (const auto& finding : m.energy.front().account.findings) {
        if (finding.fatal) {
          findings.push_back(fmt::format("{}: {}", to_string(finding.reason), finding.detail));
        }
      }
      sentences.push_back(fmt::format("the power of {}: {}.", names[i],
                                      findings.empty() ? listed(m.reasons) : listed(findings)));
    }
  }
  return sentences;
}

std::vector<Headline> headlines(const MeasurementReport& report) {
  std::vector<Headline> lines;
  if (report.comparison) {
    lines.push_back({report.comparison->second + " against " + report.comparison->first,
                     report.comparison->verdict});
  }
  const auto names = run_names(report);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto& m = report.runs[i].measurement;
    auto text = load_sentence(m);
    for (const auto& energy : m.energy) {
      text += " " + energy_sentence(energy);
    }
    if (m.energy.empty()) {
      text += " No power was measured.";
    }
    lines.push_back({names[i], text + goodput_sentence(m)});
  }
  return lines;
}

}  // namespace perwatt::report
