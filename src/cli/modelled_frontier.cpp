#include "modelled_frontier.hpp"

#include <algorithm>
#include <optional>

#include "json_values.hpp"
#include "modelled_arrivals.hpp"
#include "modelled_explain.hpp"
#include "power_curves.hpp"
#include "table.hpp"
#include <fmt/format.h>

#include "perwatt/base/file.hpp"
#include "perwatt/facility/power_chain.hpp"

namespace perwatt::cli {

namespace {

namespace serving = inference::serving;

/// A found point with its intervals and what it draws at every boundary.
struct Figures {
  serving::Setup setup;
  serving::Banded rate;  // of the GPUs in use
  serving::Banded tpot;
  serving::Banded ttft;
  serving::Banded power;
  std::optional<Watts> it;
  std::optional<Watts> facility;
};

Figures figures_of(const ModelledQuestion& question, const serving::Found& found) {
  Figures figures;
  figures.setup = question.query.setup;
  figures.setup.layout = found.layout;
  const auto traits = serving::traits_of(figures.setup, question.precision, found.concurrency);
  const auto band = [&](double value, serving::Metric metric) {
    return serving::banded(value, metric, traits, question.calibration);
  };
  figures.rate = band(in_tokens_per_second(found.output_per_gpu), serving::Metric::throughput);
  figures.tpot = band(in_seconds(found.tpot), serving::Metric::tpot);
  figures.ttft = band(in_seconds(found.ttft), serving::Metric::ttft);
  figures.power = band(in_watts(found.gpu_power), serving::Metric::power);
  for (const auto& system : question.catalog.systems()) {
    if (system.accelerator == question.accelerator->id) {
      const facility::PowerChain chain{question.catalog, system};
      const facility::CoolingPlant plant{
          question.catalog.cooling_plant(system.cooling_plant, system.defined_at)};
      const auto it = chain.it_per_gpu(found.gpu_power);
      figures.it = it.value;
      figures.facility = plant.meter_for(it).value;
      break;
    }
  }
  return figures;
}

std::string pool_text(const serving::Pool& pool) {
  const auto& instance = pool.instance;
  std::string text = std::to_string(pool.instances) + " x ";
  text += instance.attention_dp > 1 ? "DP" + std::to_string(instance.attention_dp)
                                    : "TP" + std::to_string(instance.stage_gpus());
  if (instance.expert_parallel > 1) {
    text += " EP" + std::to_string(instance.expert_parallel);
  }
  if (instance.pipeline_stages > 1) {
    text += " PP" + std::to_string(instance.pipeline_stages);
  }
  return text;
}

std::string layout_text(const serving::Found& found) {
  const std::string copies = found.copies > 1 ? std::to_string(found.copies) + " x (" : "";
  const std::string end = found.copies > 1 ? ")" : "";
  if (found.layout.mode == inference::Serving::aggregated) {
    return copies + pool_text(found.layout.decode) + end;
  }
  return copies + "prefill " + pool_text(found.layout.prefill) + ", decode " +
         pool_text(found.layout.decode) + end;
}

Json banded_json(const serving::Banded& value) {
  return {{"value", value.value}, {"ci_low", value.low}, {"ci_high", value.high}};
}

Json pool_json(const serving::Pool& pool) {
  return {{"gpus", pool.gpus},
          {"instances", pool.instances},
          {"gpus_per_instance", pool.instance.gpus},
          {"attention_dp", pool.instance.attention_dp},
          {"ep", pool.instance.expert_parallel},
          {"pp", pool.instance.pipeline_stages}};
}

Json found_json(const ModelledQuestion& question, const serving::Found& found) {
  const Figures figures = figures_of(question, found);
  const double rate = in_tokens_per_second(found.output_per_gpu);
  const double in_use = rate * question.query.max_gpus / found.gpus();
  Json json{{"serving", to_string(found.layout.mode)},
            {"tag", "modelled"},
            {"copies", found.copies},
            {"num_gpus", found.layout.num_gpus},
            {"idle_gpus", question.query.max_gpus - found.gpus()}};
  if (found.layout.mode == inference::Serving::disaggregated) {
    json["prefill"] = pool_json(found.layout.prefill);
  }
  json["decode"] = pool_json(found.layout.decode);
  json["concurrency"] = found.concurrency;
  json["output_tokens_per_s_per_gpu"] = banded_json(figures.rate);
  json["interactivity_tokens_per_s"] = 1 / in_seconds(found.tpot);
  json["tpot_median_s"] = banded_json(figures.tpot);
  json["ttft_median_s"] = banded_json(figures.ttft);
  json["gpu_power_watts"] = banded_json(figures.power);
  json["joules_per_output_token"] = {
      {"gpu", in_watts(found.gpu_power) / in_use},
      {"it", figures.it ? Json(in_watts(*figures.it) / in_use) : Json(nullptr)},
      {"facility", figures.facility ? Json(in_watts(*figures.facility) / in_use) : Json(nullptr)}};
  json["output_tokens_per_s_per_facility_megawatt"] =
      figures.facility ? Json(in_use / in_megawatts(*figures.facility)) : Json(nullptr);
  json["ci_level_ratio"] = 0.9;
  json["nearest_measured"] =
      figures.rate.nearest.empty() ? Json(nullptr) : Json(figures.rate.nearest);
  return json;
}

Json power_curve_json(const ModelledQuestion& question, const serving::Found& found) {
  Json json = Json::array();
  for (const auto& point : serving::power_curve(question.query, found, question.calibration)) {
    json.push_back({{"clock_ratio", point.clock_ratio},
                    {"output_tokens_per_s_per_gpu", in_tokens_per_second(point.output_per_gpu)},
                    {"tpot_median_s", in_seconds(point.tpot)},
                    {"ttft_median_s", in_seconds(point.ttft)},
                    {"gpu_power_watts", in_watts(point.gpu_power)},
                    {"gpu_joules_per_output_token",
                     in_joules_per_token(point.gpu_power / point.output_per_gpu)}});
  }
  return json;
}

void print_power_curve(const ModelledQuestion& question, const serving::Found& found) {
  TextTable table{{"clock", "output tok/s/GPU", "TPOT ms", "TTFT s", "GPU W", "J/output tok"}};
  for (const auto& point : serving::power_curve(question.query, found, question.calibration)) {
    table.add({significant(100 * point.clock_ratio, 3) + " %",
               significant(in_tokens_per_second(point.output_per_gpu), 3),
               significant(in_seconds(point.tpot) * 1e3, 3), significant(in_seconds(point.ttft), 3),
               significant(in_watts(point.gpu_power), 3),
               significant(in_joules_per_token(point.gpu_power / point.output_per_gpu), 3)});
  }
  fmt::print("\nThe best one at locked core clocks\n{}", table.text());
}

// ---- answers ----------------------------------------------------------------------------------

const std::optional<serving::Found>& best_of(const serving::SearchResult& result) {
  const auto& a = result.best_aggregated;
  const auto& d = result.best_disaggregated;
  return !a || (d && d->output_per_gpu > a->output_per_gpu) ? d : a;
}

std::string infeasible_reason(const serving::SearchResult& result) {
  if (!result.frontier.empty()) {
    const auto& fastest = result.frontier.front();
    return fmt::format(
        "no layout and load keeps the limits; the fastest has TPOT {} ms and TTFT {} s",
        significant(in_seconds(fastest.tpot) * 1e3, 3), significant(in_seconds(fastest.ttft), 3));
  }
  std::string reasons;
  for (const auto& [reason, count] : result.refused) {
    reasons += (reasons.empty() ? "" : "; ") + reason;
  }
  return "no layout runs: " + reasons;
}

void print_json(const ModelledFrontierOptions& options, const ModelledQuestion& question,
                const serving::SearchResult& result) {
  const auto& query = question.query;
  const auto& best = best_of(result);
  Json json{
      {"model", question.shape.name},
      {"accelerator", question.accelerator->id},
      {"precision", question.precision},
      {"engine", to_string(query.setup.engine.family)},
      {"spec_decode", query.setup.has_mtp ? "mtp" : "none"},
      {"gpus", query.max_gpus},
      {"isl_tokens", options.isl_tokens},
      {"osl_tokens", options.osl_tokens},
      {"max_ttft_seconds", query.max_ttft ? Json(in_seconds(*query.max_ttft)) : Json(nullptr)},
      {"max_tpot_seconds", query.max_tpot ? Json(in_seconds(*query.max_tpot)) : Json(nullptr)},
      {"software_date", question.software_date},
      {"anchors", question.anchors},
      {"gpu_cap_watts", query.power.gpu_cap ? Json(in_watts(*query.power.gpu_cap)) : Json(nullptr)},
      {"clock_ratio", query.power.clock_ratio.value_or(1)},
      {"status", best ? "ok" : "infeasible"}};
  if (!best) {
    json["reason"] = infeasible_reason(result);
  }
  const auto or_null = [&](const std::optional<serving::Found>& found) {
    return found ? found_json(question, *found) : Json(nullptr);
  };
  json["best"] = or_null(best);
  if (best) {
    json["best"]["power_curve"] = power_curve_json(question, *best);
    if (question.open_load) {
      json["best"]["arrivals"] = arrivals_json(question, *best);
    }
  }
  json["aggregated"] = or_null(result.best_aggregated);
  json["disaggregated"] = or_null(result.best_disaggregated);
  json["layouts_tried"] = result.layouts;
  json["points_tried"] = result.points;
  json["refused"] = Json::array();
  for (const auto& [reason, count] : result.refused) {
    json["refused"].push_back({{"reason", reason}, {"instances", count}});
  }
  json["frontier"] = Json::array();
  for (const auto& found : result.frontier) {
    json["frontier"].push_back(found_json(question, found));
  }
  if (options.explain && best) {
    json["explain"] = explained_json(question, *best);
  }
  fmt::print("{}\n", json.dump(2));
}

std::string band_text(const serving::Banded& value, double scale = 1) {
  return fmt::format("{} ({} to {})", significant(value.value * scale, 3),
                     significant(value.low * scale, 2), significant(value.high * scale, 2));
}

void add_row(TextTable& table, const ModelledQuestion& question, const char* name,
             const serving::Found& found) {
  const Figures figures = figures_of(question, found);
  const double in_use =
      in_tokens_per_second(found.output_per_gpu) * question.query.max_gpus / found.gpus();
  table.add({name, layout_text(found), significant(found.concurrency, 4), band_text(figures.rate),
             band_text(figures.tpot, 1e3), band_text(figures.ttft), band_text(figures.power),
             significant(in_watts(found.gpu_power) / in_use, 3),
             figures.facility ? significant(in_use / in_megawatts(*figures.facility), 4) : "-"});
}

void print_text(const ModelledFrontierOptions& options, const ModelledQuestion& question,
                const serving::SearchResult& result) {
  const auto& query = question.query;
  fmt::print(
      "{} {} on up to {} {}, {}{}, {}/{} tokens, software of {}: modelled{}, with 90 % "
      "intervals\n{} layouts, {} points tried\n\n",
      question.shape.name, question.precision, query.max_gpus, question.accelerator->id,
      to_string(query.setup.engine.family), query.setup.has_mtp ? " with MTP" : "",
      options.isl_tokens, options.osl_tokens, question.software_date,
      question.anchors > 0 ? fmt::format(", anchored by {} rows", question.anchors) : "",
      result.layouts, result.points);
  const auto& best = best_of(result);
  if (!best) {
    fmt::print("infeasible: {}\n", infeasible_reason(result));
    if (!options.curve.empty()) {
      fmt::print("  {} was not written\n", options.curve);
    }
  }
  const std::vector<std::string> header = {
      "",       "layout", "users",        "output tok/s/GPU", "TPOT ms",
      "TTFT s", "GPU W",  "J/output tok", "output tok/s/MW"};
  if (best) {
    TextTable table{header, {0, 1}};
    if (result.best_aggregated) {
      add_row(table, question, "aggregated", *result.best_aggregated);
    }
    if (result.best_disaggregated) {
      add_row(table, question, "disaggregated", *result.best_disaggregated);
    }
    fmt::print("Best within the limits\n{}", table.text());
    if (options.explain) {
      print_explained(question, *best);
    }
    print_power_curve(question, *best);
    if (question.open_load) {
      print_arrivals(question, *best);
    }
  }
  if (result.frontier.empty()) {
    return;
  }
  TextTable curve{header, {0, 1}};
  constexpr std::size_t kMostRows = 12;
  const std::size_t step =
      std::max<std::size_t>(1, (result.frontier.size() + kMostRows - 1) / kMostRows);
  for (std::size_t i = 0; i < result.frontier.size(); i += step) {
    add_row(curve, question, "", result.frontier[i]);
  }
  fmt::print("\nFrontier of TPOT and rate, whatever the limits ({} of {} points)\n{}",
             (result.frontier.size() + step - 1) / step, result.frontier.size(), curve.text());
}

}  // namespace

void run_modelled_frontier(const ModelledFrontierOptions& options, const DataOptions& data) {
  ModelledQuestion question;
  set_question(options, data, question);
  const auto result = serving::search(question.query, question.calibration);
  if (const auto& best = best_of(result); best && !options.curve.empty()) {
    write_file(options.curve, curve::curve_file_text(modelled_curve(question, *best)));
  }
  if (options.json) {
    print_json(options, question, result);
  } else {
    print_text(options, question, result);
  }
}

}  // namespace perwatt::cli
