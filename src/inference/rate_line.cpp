#include "perwatt/inference/rate_line.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace perwatt::inference {

namespace {

/// Falling interactivity, then falling rate, then an order that does not depend on the file's.
bool comes_first(const MeasuredPoint* a, const MeasuredPoint* b) {
  if (a->interactivity != b->interactivity) {
    return a->interactivity > b->interactivity;
  }
  if (a->total_per_gpu != b->total_per_gpu) {
    return a->total_per_gpu > b->total_per_gpu;
  }
  return std::tie(a->engine, a->spec_decode, a->layout, a->concurrency, a->date, a->source,
                  a->url) <
         std::tie(b->engine, b->spec_decode, b->layout, b->concurrency, b->date, b->source, b->url);
}

LineValue at_corner(const MeasuredPoint& row) {
  return {*row.total_per_gpu, row.interactivity_is_derived ? Tag::derived : Tag::measured, &row,
          nullptr, false};
}

}  // namespace

RateLine::RateLine(std::span<const MeasuredPoint* const> rows) {
  std::vector<const MeasuredPoint*> order;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(order), [](const auto* row) {
    return row->interactivity && row->total_per_gpu && *row->total_per_gpu > TokensPerSecond{};
  });
  std::sort(order.begin(), order.end(), comes_first);
  for (const auto* row : order) {
    if (corners_.empty() || *row->total_per_gpu > *corners_.back()->total_per_gpu) {
      corners_.push_back(row);
    }
  }
}

std::optional<LineValue> RateLine::pooled_at(TokensPerSecond interactivity) const {
  const auto low = std::find_if(corners_.begin(), corners_.end(), [&](const auto* row) {
    return *row->interactivity <= interactivity;
  });
  if (low == corners_.end()) {
    return best_row_at(interactivity);
  }
  if (*(*low)->interactivity == interactivity) {
    return at_corner(**low);
  }
  if (low == corners_.begin()) {
    return std::nullopt;
  }
  const auto& high = **std::prev(low);
  const double share =
      (*high.interactivity - interactivity) / (*high.interactivity - *(*low)->interactivity);
  const double rate = in_tokens_per_second(*high.total_per_gpu) *
                      std::pow(*(*low)->total_per_gpu / *high.total_per_gpu, share);
  return LineValue{tokens_per_second(rate), Tag::interpolated, &high, *low,
                   !same_deployment(high, **low)};
}

std::optional<LineValue> RateLine::best_row_at(TokensPerSecond interactivity) const {
  const auto beyond = std::find_if(corners_.begin(), corners_.end(), [&](const auto* row) {
    return *row->interactivity < interactivity;
  });
  return beyond == corners_.begin() ? std::nullopt : std::optional{at_corner(**std::prev(beyond))};
}

std::vector<const MeasuredPoint*> rows_of(std::span<const MeasuredPoint> points,
                                          std::string_view model_id, const Workload& workload,
                                          std::string_view side) {
  const auto colon = side.find(':');
  const auto precision =
      colon == std::string_view::npos ? std::string_view{} : side.substr(colon + 1);
  std::vector<const MeasuredPoint*> rows;
  for (const auto& point : points) {
    if (point.accelerator == side.substr(0, colon) && point.model == model_id &&
        point.workload == workload && (precision.empty() || point.precision == precision)) {
      rows.push_back(&point);
    }
  }
  return rows;
}

bool same_deployment(const MeasuredPoint& a, const MeasuredPoint& b) {
  const auto key = [](const MeasuredPoint& p) {
    return std::tie(p.accelerator, p.model, p.precision, p.engine, p.spec_decode, p.serving,
                    p.layout, p.workload);
  };
  return key(a) == key(b);
}

}  // namespace perwatt::inference
