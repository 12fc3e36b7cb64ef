#include "executive.hpp"

#include <algorithm>
#include <utility>

#include "figures.hpp"
#include "lever_tables.hpp"
#include "limits.hpp"
#include "text.hpp"
#include <fmt/format.h>

#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

const Figure& figure_of(const std::vector<Figure>& figures, std::string_view key) {
  return *std::find_if(figures.begin(), figures.end(),
                       [&](const Figure& figure) { return figure.key == key; });
}

/// "+1,234 USD/h (+10.8 M USD a year)", "nothing".
std::string hourly_and_yearly(UsdPerSecond rate) {
  const double hourly = in_usd_per_hour(rate);
  if (signed_text(hourly) == "0") {
    return "nothing";
  }
  return fmt::format("{} USD/h ({} M USD a year)", signed_text(hourly),
                     signed_text(hourly * kHoursPerYear / 1e6, 3));
}

std::string per_token_text(const plan::Totals& totals) {
  return totals.output > TokensPerSecond{}
             ? significant(in_joules_per_token(totals.joules_per_output_token())) + " J"
             : "no energy";
}

/// " It trains run with 12 tok/s (…), worth … of that revenue." Empty without training.
std::string training_sentence(const plan::SolvedSite& solved) {
  const auto& jobs = solved.site->training;
  if (jobs.empty()) {
    return {};
  }
  std::vector<std::string> rates;
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    rates.push_back(jobs[j].id + " at " + rate_text(solved.plan->trained[j]));
  }
  return fmt::format(
      " It trains {} (trained tokens, none of them in the output), worth {} of its revenue; output "
      "tokens are charged with the power beside training.",
      listed(rates), money_text(solved.plan->totals.training_value));
}

Statement plan_statement(const PlanReport& report, const std::vector<Figure>& figures) {
  const auto& totals = report.solved.plan->totals;
  const auto& profit = figure_of(figures, "profit");
  std::string text = fmt::format(
      "It sells {} of output at {} profit (90 %: {}), draws {} at the meter on average and "
      "reserves {} of {}; one output token takes {} at the meter.",
      rate_text(totals.output), money_text(totals.profit()), interval_text(profit),
      power_text(totals.meter), power_text(totals.provisioned),
      power_text(report.solved.site->envelope), per_token_text(totals));
  text += training_sentence(report.solved);
  if (totals.capital_cost > UsdPerSecond{}) {
    text += " Purchases cost " + money_text(totals.capital_cost) + ", in that profit.";
  }
  return {"Plan", text};
}

Statement gain_statement(const PlanReport& report) {
  if (!report.baseline) {
    return {"Gain", "Unknown: nothing to compare with. Give a [baseline] or --baseline."};
  }
  if (report.baseline->plan->status != plan::PlanStatus::optimal) {
    return {"Gain", "The baseline has no plan: " + report.baseline->plan->infeasible_because + "."};
  }
  const auto& now = report.solved.plan->totals;
  const auto& then = report.baseline->plan->totals;
  auto text =
      fmt::format("{} against the baseline's {}; {} output tok/s against {}",
                  hourly_and_yearly(now.profit() - then.profit()), money_text(then.profit()),
                  signed_text(in_tokens_per_second(now.output - then.output)),
                  significant(in_tokens_per_second(then.output)));
  if (then.output > TokensPerSecond{}) {
    text += fmt::format(" ({} times as many)", significant(now.output / then.output, 3));
  }
  return {"Gain", text + fmt::format("; {} per output token at the meter against {}.",
                                     per_token_text(now), per_token_text(then))};
}

std::string class_text(const ClassPart& sum) {
  const auto& best = *sum.levers.front();
  auto text = fmt::format(
      "{} USD/h, {} output tok/s and {} J per output token at the meter; most of it {} ({} USD/h, "
      "90 %: {} to {})",
      signed_text(in_usd_per_hour(sum.part.profit)),
      signed_text(in_tokens_per_second(sum.part.output)),
      signed_text(in_joules_per_token(sum.part.joules_per_output_token), 3), lever_name(best.lever),
      signed_text(in_usd_per_hour(best.part.profit)), significant(in_usd_per_hour(best.low.profit)),
      significant(in_usd_per_hour(best.high.profit)));
  if (in_usd(sum.outlay) > 1) {
    text += fmt::format(", on {} M USD of outlay", significant(in_usd(sum.outlay) / 1e6, 3));
  }
  return text + ".";
}

std::string class_label(plan::LeverClass lever_class, bool alone) {
  switch (lever_class) {
    case plan::LeverClass::operations:
      return alone ? "Operations, without buying anything" : "Operations";
    case plan::LeverClass::model:
      return "Model";
    case plan::LeverClass::facility:
      return "Facility";
    case plan::LeverClass::hardware:
      return "Hardware";
  }
  return {};
}

void add_levers(const PlanReport& report, std::vector<Statement>& statements) {
  if (!report.attribution) {
    return;
  }
  const auto& attribution = *report.attribution;
  if (!attribution.unavailable_because.empty()) {
    statements.push_back({"Levers", "Unknown: " + attribution.unavailable_because + "."});
    return;
  }
  const auto sums = class_parts(attribution);
  const bool is_alone =
      attribution.only || report.solved.plan->totals.capital_cost == UsdPerSecond{};
  for (const auto lever_class : {plan::LeverClass::operations, plan::LeverClass::model,
                                 plan::LeverClass::facility, plan::LeverClass::hardware}) {
    if (attribution.only && *attribution.only != lever_class) {
      continue;
    }
    const auto at = std::find_if(sums.begin(), sums.end(), [&](const ClassPart& sum) {
      return sum.lever_class == lever_class;
    });
    auto text = at == sums.end() ? std::string{"As in the baseline: no part."} : class_text(*at);
    if (!is_alone && at != sums.end() && lever_class == plan::LeverClass::operations) {
      text += " On the plan's racks, bought ones included; alone: --only operations.";
    }
    statements.push_back({class_label(lever_class, is_alone), text});
  }
}

Statement next_step_statement(const PlanReport& report) {
  const auto& duals = report.solved.plan->duals;
  std::string text = "One more MW at the meter is worth " +
                     (duals.per_megawatt_up ? hourly_and_yearly(*duals.per_megawatt_up)
                                            : std::string{"an unknown amount"}) +
                     ", one less " +
                     (duals.per_megawatt_down ? "costs " + money_text(*duals.per_megawatt_down)
                                              : std::string{"is infeasible"}) +
                     ".";
  if (report.sensitivities) {
    text += " One percent more tokens from every joule is worth " +
            hourly_and_yearly(report.sensitivities->per_percent_tokens_per_joule) + ".";
  }
  return {"One more", text};
}

std::string provisioning_text(const plan::SolvedSite& solved) {
  const auto& provisioning = solved.site->provisioning;
  switch (provisioning.policy) {
    case plan::ProvisioningPolicy::nameplate:
      return "Provisioning is nameplate: every board is reserved at its cap, so the envelope "
             "cannot "
             "be passed.";
    case plan::ProvisioningPolicy::fixed:
      return fmt::format(
          "Provisioning is static: boards are capped at {} of TDP and reserved at that, so the "
          "envelope cannot be passed.",
          percent_text(provisioning.gpu_cap_ratio));
    case plan::ProvisioningPolicy::managed:
      break;
  }
  auto text = fmt::format(
      "Provisioning is managed: the envelope may be passed with a probability "
      "of at most {}",
      percent_text(provisioning.excursion_probability));
  if (const auto& check = solved.plan->excursion) {
    text += fmt::format(
        " (95 % confidence, {} independent samples); {} of the scenarios it was not planned with "
        "pass it, and throttling them costs {}, {}",
        significant(check->samples_effective, 3), percent_text(check->out_of_sample_ratio),
        money_text(check->throttled_revenue), to_string(check->tag));
  }
  return text + ".";
}

/// Share of the serving GPUs whose board power was measured in their own deployment.
double measured_power_ratio(const plan::SolvedSite& solved) {
  double all = 0;
  double measured = 0;
  for (const auto& assignment : solved.plan->assignments) {
    all += assignment.gpus;
    const auto tag = solved.set->candidates[assignment.candidate].gpu_power.tag;
    measured += tag <= Tag::interpolated ? assignment.gpus : 0.0;
  }
  return all > 0 ? measured / all : 1;
}

/// What stands behind output tokens and power.
std::string evidence_text(const PlanReport& report, const std::vector<Figure>& figures) {
  const auto& totals = report.solved.plan->totals;
  const auto& meter = figure_of(figures, "meter").tag;
  if (totals.output <= TokensPerSecond{}) {
    return fmt::format("No output token is served; the weakest evidence behind the power is {}.",
                       meter);
  }
  return fmt::format(
      "The 90 % interval of output tokens is {} per second. The weakest evidence behind them is "
      "{}, "
      "behind the power {}; of the serving GPUs {} have board power measured on their own "
      "deployment.",
      interval_text(figure_of(figures, "output")), to_string(totals.tag), meter,
      percent_text(measured_power_ratio(report.solved)));
}

Statement certainty_statement(const PlanReport& report, const std::vector<Figure>& figures) {
  auto text = evidence_text(report, figures) + " " + provisioning_text(report.solved);
  if (has_parts(report)) {
    std::vector<std::string> open;
    for (const auto& part : report.attribution->parts) {
      if (part.differs && part.low.profit < UsdPerSecond{} && part.high.profit > UsdPerSecond{}) {
        open.push_back(lever_name(part.lever));
      }
    }
    if (!open.empty()) {
      text += " Whether these levers gain at all is not sure: " + listed(open) + ".";
    }
  }
  return {"How sure", text};
}

Statement unknown_statement(const PlanReport& report) {
  const auto& solved = report.solved;
  std::vector<std::string> unknown{"the share of requests inside the SLO (rows give medians)",
                                   "taxes"};
  std::size_t without_ttft = 0;
  std::size_t without_power = 0;
  for (const auto& excluded : solved.set->excluded) {
    without_ttft += excluded.unknown_ttft;
    without_power += excluded.unknown_power;
  }
  if (without_ttft > 0) {
    unknown.push_back(fmt::format("the TTFT of {} measured rows (left out)", without_ttft));
  }
  if (without_power > 0) {
    unknown.push_back(fmt::format("the power of {} measured rows (left out)", without_power));
  }
  if (!solved.plan->totals.input) {
    unknown.emplace_back("input tokens of a chosen deployment");
  }
  if (!solved.plan->totals.carbon_grams_per_second) {
    unknown.emplace_back("the carbon of the grid's energy");
  }
  if (solved.site->availability_is_assumed) {
    unknown.emplace_back("the availability of the GPUs (none is ever down)");
  }
  return {"Unknown", "Not in these figures: " + listed(unknown) + "."};
}

}  // namespace

std::vector<Statement> executive_statements(const PlanReport& report) {
  const auto figures = headline_figures(report.solved, *report.catalog);
  std::vector<Statement> statements{plan_statement(report, figures), gain_statement(report)};
  add_levers(report, statements);
  statements.push_back(next_step_statement(report));
  statements.push_back({"Limits", join(limit_texts(report.solved), " ")});
  statements.push_back(certainty_statement(report, figures));
  statements.push_back(unknown_statement(report));
  return statements;
}

}  // namespace perwatt::report
