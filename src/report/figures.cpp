#include "figures.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "text.hpp"

namespace perwatt::report {

namespace {

/// Totals of the plan at both ends of the intervals, where the plan does not carry them itself.
struct Ends {
  Interval input;    // tok/s
  Interval gpu;      // W
  Interval it;       // W
  Interval revenue;  // USD/h
};

Ends ends_of(const plan::SolvedSite& solved) {
  const auto& totals = solved.plan->totals;
  const double gpu = in_watts(totals.gpu);
  const double it = in_watts(totals.it);
  Ends ends{{0, 0}, {gpu, gpu}, {it, it}, {0, 0}};
  for (const auto& assignment : solved.plan->assignments) {
    const auto& candidate = solved.set->candidates[assignment.candidate];
    const auto& service = solved.site->services[candidate.service];
    const auto& chain = solved.set->racks[candidate.rack].chain;
    const auto& power = candidate.gpu_power;
    const double serving = assignment.gpus * solved.site->availability_ratio;
    const auto rate = inference::rate_interval(candidate.point);
    if (const auto input = candidate.point.input_per_gpu()) {
      ends.input.low += in_tokens_per_second(*input) * serving * rate.low_factor;
      ends.input.high += in_tokens_per_second(*input) * serving * rate.high_factor;
    }
    const double revenue = in_usd_per_hour(candidate.revenue_per_gpu) * assignment.gpus;
    const bool by_energy = service.it_energy_price > UsdPerJoule{};  // then it follows the draw
    const auto it_ratio = [&](Watts board) {
      return chain.it_per_gpu(board).value / candidate.it_per_gpu.value;
    };
    ends.revenue.low += revenue * (by_energy ? it_ratio(power.low) : rate.low_factor);
    ends.revenue.high += revenue * (by_energy ? it_ratio(power.high) : rate.high_factor);
    ends.gpu.low += in_watts(power.low - power.mean) * serving;
    ends.gpu.high += in_watts(power.high - power.mean) * serving;
    const Watts mean_it = candidate.it_per_gpu.value;
    ends.it.low += in_watts(chain.it_per_gpu(power.low).value - mean_it) * serving;
    ends.it.high += in_watts(chain.it_per_gpu(power.high).value - mean_it) * serving;
  }
  for (const auto& assignment : solved.plan->training) {
    const auto& column = solved.set->training[assignment.column];
    const double value = in_usd_per_hour(column.value_per_gpu) * assignment.gpus;
    const auto rate = rate_interval(solved.site->training[column.job]);
    ends.revenue.low += value * rate.low_factor;
    ends.revenue.high += value * rate.high_factor;
  }
  return ends;
}

/// The interval of numerator / denominator at the same ratio of their means, both independent.
Interval quotient(double value, double top, const Interval& tops, double bottom,
                  const Interval& bottoms) {
  const double down = std::hypot(std::log(tops.low / top), std::log(bottoms.high / bottom));
  const double up = std::hypot(std::log(tops.high / top), std::log(bottoms.low / bottom));
  return {value * std::exp(-down), value * std::exp(up)};
}

Interval scaled(const Interval& interval, double factor) {
  return {interval.low * factor, interval.high * factor};
}

Interval less(const Interval& interval, Watts power) {
  return {interval.low - in_watts(power), interval.high - in_watts(power)};
}

struct Tags {
  Tag gpu = Tag::measured;
  Tag it = Tag::measured;
  Tag meter = Tag::measured;
  Tag reserved = Tag::measured;
  std::string capital;
};

/// What powers and capital rest on beyond the board: power chains, cooling plants, the price table.
Tags tags_of(const plan::SolvedSite& solved, const catalog::Catalog& catalog) {
  const auto& plan = *solved.plan;
  const auto& table = catalog.price_table(solved.site->price_table, "");
  Tags tags;
  tags.gpu = tags.it = tags.meter = plan.totals.power_tag;
  bool buys = false;
  for (std::size_t k = 0; k < solved.set->racks.size(); ++k) {
    if (plan.racks[k].powered <= 0) {
      continue;
    }
    const auto& rack = solved.set->racks[k];
    const auto& accelerator = catalog.accelerator(rack.system->accelerator, "");
    tags.it = weaker(tags.it, rack.system->chain_tag);
    tags.meter = weaker(tags.meter, rack.plant->pue.tag);
    tags.reserved = weaker(tags.reserved, weaker(accelerator.tdp.tag, rack.system->chain_tag));
    if (plan.racks[k].bought > 0) {
      buys = true;
    }
  }
  for (const auto& load : solved.site->loads) {
    tags.meter = weaker(tags.meter, catalog.cooling_plant(load.cooling_plant, "").pue.tag);
  }
  tags.meter = weaker(tags.meter, tags.it);
  tags.reserved = weaker(tags.reserved, tags.meter);
  tags.capital = buys ? std::string{to_string(weaker(table.tag, table.electricity.tag))} : "";
  return tags;
}

/// Collects the figures of one plan; each add_… is one group.
class HeadlineFigures {
 public:
  HeadlineFigures(const plan::SolvedSite& solved, const catalog::Catalog& catalog)
      : solved_{solved},
        totals_{solved.plan->totals},
        ends_{ends_of(solved)},
        tags_{tags_of(solved, catalog)},
        output_{in_tokens_per_second(totals_.output)},
        outputs_{in_tokens_per_second(totals_.output_low),
                 in_tokens_per_second(totals_.output_high)},
        meters_{in_watts(totals_.meter_low), in_watts(totals_.meter_high)} {}

  std::vector<Figure> figures() {
    add_tokens();
    add_power();
    add_efficiency();
    add_money();
    add_marginal();
    return std::move(figures_);
  }

 private:
  void add(std::string key, std::string group, std::string name, std::string unit,
           std::optional<double> value, std::optional<Interval> interval, std::string_view tag,
           std::string remark = {}) {
    figures_.push_back({std::move(key), std::move(group), std::move(name), std::move(unit), value,
                        value ? interval : std::nullopt, std::string{value ? tag : ""},
                        std::move(remark)});
  }

  void add_tokens() {
    const auto tag = output_ > 0 ? to_string(totals_.tag) : std::string_view{};
    const auto& in = totals_.input;
    const std::string missing =
        in ? "" : "unknown: a chosen deployment's source gives output tokens only";
    const auto input = in ? std::optional{in_tokens_per_second(*in)} : std::nullopt;
    add("output", "Tokens", "Output tokens", "tok/s", output_, outputs_, tag);
    add("input", "Tokens", "Input tokens", "tok/s", input, ends_.input, tag, missing);
    add("total", "Tokens", "Total tokens (input + output)", "tok/s",
        in ? std::optional{*input + output_} : std::nullopt,
        Interval{ends_.input.low + outputs_.low, ends_.input.high + outputs_.high}, tag, missing);
    add("good", "Tokens", "Good tokens (delivered inside the SLO)", "tok/s", std::nullopt,
        std::nullopt, "",
        "unknown: measured points give medians, not the share of requests inside the SLO");
  }

  [[nodiscard]] std::string policy_text() const {
    return solved_.site->provisioning.policy == plan::ProvisioningPolicy::managed
               ? "the tail of the joint draw, at the stated excursion probability"
               : "every GPU of a powered rack at its cap";
  }

  void add_power() {
    add("meter", "Power", "Drawn at the meter, mean", "MW", in_megawatts(totals_.meter),
        scaled(meters_, 1e-6), to_string(tags_.meter));
    add("meter_peak", "Power", "Drawn at the meter, peak", "MW", in_megawatts(totals_.meter_peak),
        std::nullopt, to_string(tags_.reserved), policy_text());
    add("provisioned", "Power", "Provisioned", "MW", in_megawatts(totals_.provisioned),
        std::nullopt, to_string(tags_.reserved),
        "a reservation at the meter, policy " +
            std::string{to_string(solved_.site->provisioning.policy)} + "; the envelope is " +
            power_text(solved_.site->envelope));
    add("it", "Power", "Drawn at the IT boundary, mean", "MW", in_megawatts(totals_.it),
        scaled(ends_.it, 1e-6), to_string(tags_.it), "nodes, network and other loads");
    add("gpu", "Power", "Drawn by GPU boards, mean", "MW", in_megawatts(totals_.gpu),
        scaled(ends_.gpu, 1e-6), to_string(tags_.gpu),
        solved_.site->training.empty() ? "serving and idle" : "serving, training and idle");
  }

  void add_joules(std::string key, const std::string& boundary, Watts power, const Interval& powers,
                  Tag tag) {
    const bool served = output_ > 0 && power > Watts{};
    const double joules = served ? in_watts(power) / output_ : 0;
    add(std::move(key), "Efficiency", "Energy per output token, " + boundary, "J/token",
        served ? std::optional{joules} : std::nullopt,
        served ? std::optional{quotient(joules, in_watts(power), powers, output_, outputs_)}
               : std::nullopt,
        to_string(weaker(tag, totals_.tag)), served ? "" : "unknown: no output token is served");
  }

  void add_efficiency() {
    const double provisioned = in_megawatts(totals_.provisioned);
    const double drawn = in_megawatts(totals_.meter_beside_training());
    const auto meters = less(meters_, totals_.training_meter);
    const bool served = output_ > 0;
    add("per_provisioned_mw", "Efficiency", "Output tokens per provisioned megawatt", "tok/s/MW",
        provisioned > 0 ? std::optional{output_ / provisioned} : std::nullopt,
        scaled(outputs_, 1 / std::max(provisioned, 1e-12)),
        to_string(weaker(totals_.tag, tags_.reserved)), "per MW reserved at the meter");
    add("per_drawn_mw", "Efficiency", "Output tokens per drawn megawatt", "tok/s/MW",
        drawn > 0 ? std::optional{output_ / drawn} : std::nullopt,
        served && drawn > 0
            ? std::optional{quotient(output_ / drawn, output_, outputs_, drawn * 1e6, meters)}
            : std::nullopt,
        to_string(weaker(totals_.tag, tags_.meter)),
        solved_.site->training.empty() ? "per MW of mean draw at the meter"
                                       : "per MW of mean draw at the meter beside training");
    add_joules("joules_gpu", "GPU boards", totals_.gpu_beside_training(),
               less(ends_.gpu, totals_.training_gpu), tags_.gpu);
    add_joules("joules_it", "IT", totals_.it_beside_training(), less(ends_.it, totals_.training_it),
               tags_.it);
    add_joules("joules_facility", "facility", totals_.meter_beside_training(), meters, tags_.meter);
  }

  void add_money() {
    const double revenue = in_usd_per_hour(totals_.revenue);
    const double energy = in_usd_per_hour(totals_.energy_cost);
    const double capital = in_usd_per_hour(totals_.capital_cost);
    const double profit = in_usd_per_hour(totals_.profit());
    // Dear hours may draw more than cheap ones: the cost scales with the draw, at its own mean
    // price.
    const double drawn = in_watts(totals_.meter);
    const auto energies = drawn > 0 ? scaled(meters_, energy / drawn) : Interval{energy, energy};
    const Interval profits{
        profit - std::hypot(revenue - ends_.revenue.low, energies.high - energy),
        profit + std::hypot(ends_.revenue.high - revenue, energy - energies.low)};
    const auto meter = to_string(tags_.meter);
    const double operating = energy + capital;
    add("revenue", "Money", "Revenue", "USD/h", revenue, ends_.revenue,
        to_string(totals_.revenue_tag()), "token prices as given, without an interval");
    if (!solved_.site->training.empty()) {
      add("training_value", "Money", "Of it trained tokens", "USD/h",
          in_usd_per_hour(totals_.training_value), std::nullopt, to_string(Tag::derived),
          "at the value of a trained token as given");
    }
    add("energy", "Money", "Energy cost", "USD/h", energy, energies, meter,
        significant(in_usd_per_kwh(solved_.site->energy_price)) + " USD/kWh at the meter");
    add("capital", "Money", "Capital cost", "USD/h", capital, std::nullopt, tags_.capital,
        "of bought racks, hosting included; owned racks are paid for");
    add("profit", "Money", "Profit", "USD/h", profit, profits,
        to_string(weaker(totals_.revenue_tag(), tags_.meter)),
        "revenue - energy - capital, before tax");
    add("energy_share", "Money", "Power's share of operating cost", "%",
        operating > 0 ? std::optional{100 * energy / operating} : std::nullopt,
        Interval{100 * energies.low / std::max(energies.low + capital, 1e-12),
                 100 * energies.high / std::max(energies.high + capital, 1e-12)},
        meter, "energy / (energy + capital)");
  }

  void add_marginal() {
    const auto step = [&](std::string key, std::string name,
                          const std::optional<UsdPerSecond>& value, std::string missing) {
      add(std::move(key), "Marginal value", std::move(name), "USD/h",
          value ? std::optional{in_usd_per_hour(*value)} : std::nullopt, std::nullopt,
          to_string(weaker(totals_.revenue_tag(), tags_.meter)),
          value ? "profit of the re-solved relaxation, net of energy" : std::move(missing));
    };
    const auto& duals = solved_.plan->duals;
    step("mw_up", "One more MW at the meter is worth", duals.per_megawatt_up, "unknown");
    step("mw_down", "One MW less at the meter costs", duals.per_megawatt_down,
         "infeasible with one MW less");
  }

  const plan::SolvedSite& solved_;
  const plan::Totals& totals_;
  Ends ends_;
  Tags tags_;
  double output_;
  Interval outputs_;
  Interval meters_;
  std::vector<Figure> figures_;
};

}  // namespace

std::vector<Figure> headline_figures(const plan::SolvedSite& solved,
                                     const catalog::Catalog& catalog) {
  return HeadlineFigures{solved, catalog}.figures();
}

std::string value_text(const Figure& figure, int digits) {
  return figure.value ? significant(*figure.value, digits) : "unknown";
}

std::string interval_text(const Figure& figure) {
  return figure.interval
             ? significant(figure.interval->low, 4) + " to " + significant(figure.interval->high, 4)
             : "";
}

DeploymentFigures deployment_figures(const plan::SolvedSite& solved,
                                     const plan::Assignment& assignment) {
  const auto& candidate = solved.set->candidates[assignment.candidate];
  const double available = solved.site->availability_ratio;
  const auto interval = inference::rate_interval(candidate.point);
  const auto output = candidate.point.output_per_gpu * (assignment.gpus * available);
  DeploymentFigures figures{
      output,
      output * interval.low_factor,
      output * interval.high_factor,
      {},
      candidate.meter_per_gpu.value / (candidate.point.output_per_gpu * available)};
  if (const auto input = candidate.point.input_per_gpu()) {
    figures.input = *input * (assignment.gpus * available);
  }
  return figures;
}

}  // namespace perwatt::report
