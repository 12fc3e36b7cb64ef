#include "modelled_arrivals.hpp"

#include <string>
#include <string_view>

#include "json_values.hpp"
#include "table.hpp"
#include <fmt/format.h>

#include "perwatt/inference/serving/open_load.hpp"

namespace perwatt::cli {

namespace {

namespace serving = inference::serving;

serving::OpenLoadAnswer answer_of(const ModelledQuestion& question, const serving::Found& found) {
  return serving::under_open_load(question.query, found, question.calibration, *question.open_load);
}

std::string_view name_of(serving::Percentile percentile) {
  switch (percentile) {
    case serving::Percentile::p50:
      return "p50";
    case serving::Percentile::p90:
      return "p90";
    case serving::Percentile::p99:
      break;
  }
  return "p99";
}

Json quantiles_json(const serving::Quantiles& values) {
  return {{"p50", in_seconds(values.p50)},
          {"p90", in_seconds(values.p90)},
          {"p99", in_seconds(values.p99)}};
}

Json point_json(const serving::OpenLoadPoint& point) {
  return {{"requests_per_s", point.requests_per_second},
          {"load_ratio", point.load_ratio},
          {"output_tokens_per_s_per_gpu", in_tokens_per_second(point.output_per_gpu)},
          {"ttft_seconds", quantiles_json(point.ttft)},
          {"tpot_seconds", quantiles_json(point.tpot)},
          {"e2e_seconds", quantiles_json(point.request)}};
}

std::string quantiles_text(const serving::Quantiles& values, double scale) {
  return fmt::format("{} / {} / {}", significant(in_seconds(values.p50) * scale, 3),
                     significant(in_seconds(values.p90) * scale, 3),
                     significant(in_seconds(values.p99) * scale, 3));
}

void add_row(TextTable& table, const std::string& name, const serving::OpenLoadPoint& point) {
  table.add({name, significant(point.requests_per_second, 3),
             significant(in_tokens_per_second(point.output_per_gpu), 3),
             quantiles_text(point.ttft, 1), quantiles_text(point.tpot, 1e3),
             quantiles_text(point.request, 1)});
}

}  // namespace

Json arrivals_json(const ModelledQuestion& question, const serving::Found& found) {
  const auto answer = answer_of(question, found);
  const auto or_null = [](const std::optional<serving::OpenLoadPoint>& point) {
    return point ? point_json(*point) : Json(nullptr);
  };
  Json points = Json::array();
  for (const auto& point : answer.points) {
    points.push_back(point_json(point));
  }
  return {{"pattern", to_string(question.open_load->pattern)},
          {"tag", "modelled"},
          {"capacity_requests_per_s", answer.capacity_requests_per_second},
          {"outside_engine_seconds", in_seconds(answer.outside_engine)},
          {"limited_percentile", name_of(question.open_load->limited)},
          {"most_within_limits", or_null(answer.most)},
          {"asked", or_null(answer.asked)},
          {"points", points}};
}

void print_arrivals(const ModelledQuestion& question, const serving::Found& found) {
  const auto answer = answer_of(question, found);
  const auto& load = *question.open_load;
  TextTable table{{"load", "req/s", "output tok/s/GPU", "TTFT s p50 / p90 / p99",
                   "TPOT ms p50 / p90 / p99", "request s p50 / p90 / p99"},
                  {0}};
  for (const auto& point : answer.points) {
    add_row(table, significant(100 * point.load_ratio, 3) + " %", point);
  }
  if (answer.most) {
    add_row(table, "within limits", *answer.most);
  }
  if (answer.asked) {
    add_row(table, "asked", *answer.asked);
  }
  fmt::print("\nThe best one under {} arrivals, simulated; it keeps up with {} req/s\n{}",
             to_string(load.pattern), significant(answer.capacity_requests_per_second, 3),
             table.text());
  if (!answer.most) {
    fmt::print("no rate keeps the limits at {}\n", name_of(load.limited));
  }
  if (load.requests_per_second && !answer.asked) {
    fmt::print("{} req/s are more than it keeps up with: they would queue without end\n",
               significant(*load.requests_per_second, 3));
  }
}

}  // namespace perwatt::cli
