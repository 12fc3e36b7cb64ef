// perwatt measure --compare A B: two live endpoints, or two saved results.
#include <algorithm>

#include "json_values.hpp"
#include "measure_runs.hpp"
#include "measure_text.hpp"
#include "table.hpp"
#include <fmt/format.h>

#include "perwatt/base/file.hpp"
#include "perwatt/measure/experiments.hpp"
#include "perwatt/measure/measurement_file.hpp"

namespace perwatt::cli {

namespace {

using measure::Comparison;
using measure::Estimate;
using measure::Measurement;

/// What is known of a comparison, however it was made.
struct Compared {
  std::string a;
  std::string b;
  std::optional<Comparison> comparison;
  std::optional<measure::QualityComparison> quality;
  std::optional<double> joules_per_answer_a;
  std::optional<double> joules_per_answer_b;
  std::optional<double> meter_gain;  // as stated; without it one meter is supposed to read both
  int pairs_left_out = 0;
  std::string failure;
};

bool is_url(const std::string& text) {
  return text.find("://") != std::string::npos;
}

measure::ComparisonRules rules_of(const MeasureOptions& options) {
  measure::ComparisonRules rules;
  rules.smallest_effect_ratio = options.smallest_effect;
  rules.meter_gain_ratio = options.meter_gain.value_or(0.0);
  return rules;
}

measure::QualityRules quality_rules_of(const MeasureOptions& options) {
  measure::QualityRules rules;
  if (options.quality_margin > 0) {
    rules.margin = options.quality_margin;
  }
  return rules;
}

// ---- saved results ------------------------------------------------------------------------------

/// A file, or the measurements of a folder and of the folders in it.
std::vector<std::filesystem::path> result_files(const std::string& place) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(place)) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator{place}) {
      if (entry.path().filename() == kMeasurementFile) {
        files.push_back(entry.path());
      }
    }
    std::sort(files.begin(), files.end());
  } else {
    files.emplace_back(place);
  }
  if (files.empty()) {
    throw_bad_input("holds no measurement.json", place, "give a folder that --output has written");
  }
  return files;
}

std::vector<Measurement> load_results(const std::vector<std::filesystem::path>& files) {
  std::vector<Measurement> runs;
  runs.reserve(files.size());
  for (const auto& file : files) {
    runs.push_back(measure::parse_measurement(read_file(file), file.string()));
  }
  return runs;
}

std::optional<double> mean_joules_per_answer(const std::vector<Measurement>& runs) {
  double joules = 0;
  double answers = 0;
  for (const auto& m : runs) {
    if (m.joules_per_answer && !m.energy.empty() && m.energy.front().account.energy) {
      const double energy = m.energy.front().account.energy->in_base();
      joules += energy;
      answers += energy / *m.joules_per_answer;
    }
  }
  return answers > 0 ? std::optional{joules / answers} : std::nullopt;
}

/// What runs must have in common to be repeats of one another.
std::string load_of(const Measurement& m) {
  return fmt::format("{}, isl {}, osl {}", m.load, m.isl_tokens.value_or(0),
                     m.osl_tokens.value_or(0));
}

measure::SavedSide saved_side(const std::vector<Measurement>& runs, const std::string& place,
                              std::string& boundary, std::string& load) {
  measure::SavedSide side;
  for (const auto& m : runs) {
    if (!load.empty() && load != load_of(m)) {
      throw_bad_input("was measured under '" + load_of(m) + "', another run under '" + load + "'",
                      place, "compare runs of one load");
    }
    load = load_of(m);
    if (m.url != runs.front().url || m.model != runs.front().model) {
      throw_bad_input("holds runs of several endpoints or models", place,
                      "give a folder with the runs of one side");
    }
    if (!m.valid || !m.power_valid || m.energy.empty() ||
        !m.energy.front().joules_per_output_token) {
      continue;
    }
    const auto& energy = m.energy.front();
    const std::string here{to_string(energy.account.boundary)};
    if (!boundary.empty() && boundary != here) {
      throw_bad_input(
          fmt::format("is metered at the {} boundary, another run at {}", here, boundary), place,
          "compare runs that are metered at one boundary");
    }
    boundary = here;
    const auto& estimate = *energy.joules_per_output_token;
    side.runs.push_back(joules_per_token(estimate.value));
    if (estimate.low && estimate.high) {
      side.half_width = joules_per_token((*estimate.high - *estimate.low) / 2);
    }
  }
  if (side.runs.empty()) {
    throw_bad_input("holds no valid run with valid power", place,
                    "measure again with --power; the runs' reasons say what was wrong");
  }
  if (side.runs.size() > 1) {
    side.half_width.reset();
  }
  return side;
}

/// Mean scores without their prompts: a lower one of B is no proof, but enough to withhold
/// "saves".
void withhold_on_lower_scores(const Measurement& a, const Measurement& b, Comparison& comparison) {
  const bool is_lower =
      a.quality_score && b.quality_score && b.quality_score->value < a.quality_score->value;
  if (is_lower && comparison.verdict == measure::Verdict::saves) {
    comparison.verdict = measure::Verdict::not_shown;
    comparison.reason = measure::VerdictReason::quality_not_shown;
  }
}

/// Scores by prompt of the answers beside a measurement; empty where none were kept.
std::map<std::size_t, double> saved_scores(const std::filesystem::path& measurement,
                                           const std::string& scorer) {
  const auto file = measurement.parent_path() / kRequestsFile;
  return std::filesystem::exists(file)
             ? measure::prompt_scores(measure::parse_answers(read_file(file), file.string()),
                                      scorer)
             : std::map<std::size_t, double>{};
}

/// Puts the scores of both sides into the verdict.
void judge_quality(const std::map<std::size_t, double>& scores_a,
                   const std::map<std::size_t, double>& scores_b, const MeasureOptions& options,
                   Compared& compared) {
  if (scores_a.empty() || scores_b.empty()) {
    return;
  }
  compared.quality = measure::compare_prompt_scores(scores_a, scores_b, quality_rules_of(options));
  if (compared.comparison) {
    compared.comparison = measure::guard_quality(*compared.comparison, *compared.quality);
  }
}

Compared compare_saved_results(const MeasureOptions& options) {
  Compared compared;
  compared.a = options.compare[0];
  compared.b = options.compare[1];
  compared.meter_gain = options.meter_gain;
  const auto files_a = result_files(compared.a);
  const auto files_b = result_files(compared.b);
  const auto runs_a = load_results(files_a);
  const auto runs_b = load_results(files_b);
  std::string boundary;
  std::string load;
  const auto a = saved_side(runs_a, compared.a, boundary, load);
  const auto b = saved_side(runs_b, compared.b, boundary, load);
  compared.comparison = measure::compare_saved(a, b, rules_of(options));
  // As on live endpoints the set is scored once.
  judge_quality(saved_scores(files_a.front(), options.scorer),
                saved_scores(files_b.front(), options.scorer), options, compared);
  if (!compared.quality) {
    withhold_on_lower_scores(runs_a.front(), runs_b.front(), *compared.comparison);
  }
  compared.joules_per_answer_a = mean_joules_per_answer(runs_a);
  compared.joules_per_answer_b = mean_joules_per_answer(runs_b);
  return compared;
}

// ---- live endpoints -----------------------------------------------------------------------------

measure::MeasureSpec side_spec(const MeasureOptions& options, std::size_t side,
                               FacilityParts& facility) {
  auto own = options;
  own.url = options.compare[side];
  own.power.insert(own.power.end(), (side == 0 ? options.power_a : options.power_b).begin(),
                   (side == 0 ? options.power_a : options.power_b).end());
  if (own.power.empty()) {
    throw Error{ErrorCode::usage, "a comparison of energy needs meters", "--compare",
                "add --power, or --power-a and --power-b"};
  }
  return measure_spec(own, facility);
}

Compared compare_endpoints(const MeasureOptions& options, RunStore& store) {
  Compared compared;
  compared.a = options.compare[0];
  compared.b = options.compare[1];
  compared.meter_gain = options.meter_gain;
  FacilityParts facility_a;
  FacilityParts facility_b;
  if (options.power_a != options.power_b && !options.meter_gain) {
    throw Error{
        ErrorCode::usage,
        "A and B have meters of their own, and a difference of the meters looks like one of "
        "the endpoints",
        "--meter-gain", "say how much they may differ: 0.02, or 0 for meters known as equal"};
  }
  measure::Session a{side_spec(options, 0, facility_a), stop_flag()};
  measure::Session b{side_spec(options, 1, facility_b), stop_flag()};
  measure::PairPlan plan;
  plan.rules = rules_of(options);
  plan.most_pairs = options.most_pairs;
  plan.fewest_pairs = std::min(plan.fewest_pairs, plan.most_pairs);
  plan.seed = options.seed;
  std::array<std::vector<measure::RequestRecord>, 2> answers;
  std::array<std::vector<Measurement>, 2> runs;
  const auto result = measure::compare_live(
      a, b, plan, store.progress(),
      [&](measure::Side side, measure::RunResult& run) {
        const auto index = side == measure::Side::a ? 0U : 1U;
        store.add(run);
        runs[index].push_back(run.measurement);
        auto& kept = answers[index];
        if (kept.empty()) {  // the set is scored once: scoring it again is no new evidence
          kept = std::move(run.load.records);
        }
      },
      [&](const Comparison& look) {
        fmt::print(stderr, "pair {}: B/A {}, {}\n", look.runs_a, significant(look.ratio.value),
                   to_string(look.verdict));
      });
  compared.comparison = result.comparison;
  compared.pairs_left_out = result.pairs_left_out;
  compared.failure = result.failure.value_or("");
  std::map<std::size_t, double> scores_a;
  std::map<std::size_t, double> scores_b;
  try {
    scores_a = measure::prompt_scores(answers[0], options.scorer);
    scores_b = measure::prompt_scores(answers[1], options.scorer);
  } catch (const Error& error) {  // the user's scorer: the pairs that were measured stand
    compared.failure = error.what();
    if (compared.comparison && compared.comparison->verdict == measure::Verdict::saves) {
      compared.comparison->verdict = measure::Verdict::not_shown;
      compared.comparison->reason = measure::VerdictReason::quality_not_shown;
    }
  }
  judge_quality(scores_a, scores_b, options, compared);
  compared.joules_per_answer_a = mean_joules_per_answer(runs[0]);
  compared.joules_per_answer_b = mean_joules_per_answer(runs[1]);
  return compared;
}

// ---- output -------------------------------------------------------------------------------------

Json estimate_json(const Estimate& estimate) {
  return {{"value", estimate.value},
          {"ci_low", number_or_null(estimate.low)},
          {"ci_high", number_or_null(estimate.high)}};
}

Json compared_json(const Compared& compared) {
  Json json{{"a", compared.a}, {"b", compared.b}};
  if (const auto& c = compared.comparison) {
    json["verdict"] = to_string(c->verdict);
    json["reason"] = to_string(c->reason);
    json["paired"] = c->paired;
    json["runs_a"] = c->runs_a;
    json["runs_b"] = c->runs_b;
    json["joules_per_output_token_ratio"] = estimate_json(c->ratio);
    json["joules_per_output_token_difference"] = estimate_json(c->difference);
    json["meter_gain_ratio"] = number_or_null(compared.meter_gain);
    json["pairs_needed"] = c->pairs_needed ? Json(*c->pairs_needed) : Json(nullptr);
  } else {
    json["verdict"] = to_string(measure::Verdict::not_shown);
    json["reason"] = to_string(measure::VerdictReason::too_few_runs);
  }
  json["pairs_left_out"] = compared.pairs_left_out;
  json["failure"] = compared.failure;
  json["joules_per_answer_a"] = number_or_null(compared.joules_per_answer_a);
  json["joules_per_answer_b"] = number_or_null(compared.joules_per_answer_b);
  json["quality"] = nullptr;
  if (const auto& q = compared.quality) {
    json["quality"] = {{"prompts", q->prompts},
                       {"mean_score_a", q->mean_a},
                       {"mean_score_b", q->mean_b},
                       {"difference", estimate_json(q->difference)},
                       {"significantly_lower", q->significantly_lower},
                       {"p_lower", q->p_lower}};
  }
  return {{"comparison", json}};
}

std::string interval_text(const Estimate& estimate, double scale, const char* unit) {
  std::string text = significant(scale * estimate.value) + unit;
  if (estimate.low && estimate.high) {
    text += fmt::format(" (95 % {} .. {}{})", significant(scale * *estimate.low),
                        significant(scale * *estimate.high), unit);
  }
  return text;
}

std::string sentence_of(const Comparison& c) {
  switch (c.verdict) {
    case measure::Verdict::saves:
      return "B saves energy";
    case measure::Verdict::costs:
      return "B costs energy";
    case measure::Verdict::not_shown:
      break;
  }
  switch (c.reason) {
    case measure::VerdictReason::quality_lower:
      return "not shown: B takes less energy, but answers significantly worse";
    case measure::VerdictReason::quality_not_shown:
      return "not shown: B takes less energy, but is not shown to answer within the margin";
    case measure::VerdictReason::effect_too_small:
      return "shown to differ by less than the smallest effect of interest";
    case measure::VerdictReason::no_run_to_run_spread:
      return "not shown: single runs do not say how much runs differ; measure with --runs 5";
    case measure::VerdictReason::too_few_runs:
      return "not shown: too few runs for an interval";
    case measure::VerdictReason::interval_holds_one:
    case measure::VerdictReason::shown:
      break;
  }
  return "not shown: the interval of B/A holds 1";
}

std::string compared_text(const Compared& compared) {
  std::string text = fmt::format("A: {}\nB: {}\n", compared.a, compared.b);
  if (!compared.comparison) {
    return text + "not shown: no pair of runs was valid\n";
  }
  const auto& c = *compared.comparison;
  text += sentence_of(c) + fmt::format(" ({} and {} runs{})\n", c.runs_a, c.runs_b,
                                       c.paired ? ", paired, looked at after every pair" : "");
  text += "joules per output token, B/A: " + interval_text(c.ratio, 100, " %") + "\n";
  if (!c.paired && !compared.meter_gain) {  // saved results do not name their meters
    text += "as if one meter had read both: say with --meter-gain how much two may differ\n";
  }
  text += "difference B - A: " + interval_text(c.difference, 1, " J") + "\n";
  if (c.ratio_within_runs) {
    text += "as if runs did not differ: " + interval_text(*c.ratio_within_runs, 100, " %") + "\n";
  }
  if (c.pairs_needed && *c.pairs_needed > 0) {
    text += fmt::format("a verdict would need about {} pairs more\n", *c.pairs_needed);
  }
  if (compared.joules_per_answer_a && compared.joules_per_answer_b) {
    text +=
        fmt::format("joules per answer: A {}, B {}\n", significant(*compared.joules_per_answer_a),
                    significant(*compared.joules_per_answer_b));
  }
  if (const auto& q = compared.quality) {
    text += fmt::format("score over {} prompts: A {}, B {}; B - A {}{}\n", q->prompts,
                        significant(q->mean_a), significant(q->mean_b),
                        interval_text(q->difference, 1, ""),
                        q->significantly_lower ? ": significantly lower" : "");
  }
  if (compared.pairs_left_out > 0) {
    text += fmt::format("{} pairs left out: a run or its power was not valid\n",
                        compared.pairs_left_out);
  }
  if (!compared.failure.empty()) {
    text += "ended early: " + compared.failure + "\n";
  }
  return text;
}

report::MeasuredComparison report_of(const Compared& compared) {
  report::MeasuredComparison comparison;
  comparison.first = "A " + compared.a;
  comparison.second = "B " + compared.b;
  if (!compared.comparison) {
    comparison.verdict = "not shown: no pair of runs was valid";
    return comparison;
  }
  const auto& c = *compared.comparison;
  comparison.verdict = sentence_of(c);
  comparison.method =
      "Joules per output token of paired, interleaved runs; the interval is a confidence sequence "
      "that may be looked at after every pair (docs/model/comparison.md).";
  comparison.figures.push_back({"J per output token, B over A", std::nullopt, std::nullopt, c.ratio,
                                std::string{to_string(c.verdict)}});
  comparison.figures.push_back({"J per answer", compared.joules_per_answer_a,
                                compared.joules_per_answer_b, std::nullopt, ""});
  if (const auto& q = compared.quality) {
    comparison.figures.push_back({"mean score", q->mean_a, q->mean_b, std::nullopt,
                                  q->significantly_lower ? "significantly lower" : ""});
  }
  return comparison;
}

}  // namespace

bool compares_saved_results(const MeasureOptions& options) {
  if (options.compare.empty()) {
    return false;
  }
  const bool are_urls = is_url(options.compare[0]);
  if (are_urls != is_url(options.compare[1])) {
    throw Error{ErrorCode::usage, "one of the two is a URL, the other is not", "--compare",
                "compare two endpoints or two saved results"};
  }
  return !are_urls;
}

void run_compare(const MeasureOptions& options) {
  if (!options.url.empty()) {
    throw Error{ErrorCode::usage, "'" + options.url + "' is a third endpoint", "URL",
                "give --compare A B alone"};
  }
  const bool are_urls = !compares_saved_results(options);
  RunStore store{are_urls ? options.output_dir : std::string{}, true};
  if (are_urls) {
    begin_live();
  }
  const auto compared =
      are_urls ? compare_endpoints(options, store) : compare_saved_results(options);
  store.write_report(report_of(compared));
  if (options.json) {
    const auto json = compared_json(compared);
    fmt::print("{}", are_urls ? runs_json(store.measurements(), json.dump()) : json.dump(2) + "\n");
  } else {
    if (are_urls) {
      fmt::print("{}\n", runs_text(store.measurements()));
    }
    fmt::print("{}", compared_text(compared));
  }
  if (are_urls) {
    store.throw_if_failed();
  }
}

}  // namespace perwatt::cli
