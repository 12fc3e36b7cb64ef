#include "trace_store.hpp"

#include <algorithm>
#include <cmath>

namespace perwatt::device {

MeterTrace cut_trace(const MeterTrace& trace, Instant from, Instant to) {
  const auto later = [](Instant at, const Reading& reading) { return at < reading.at; };
  const auto earlier = [](const Reading& reading, Instant at) { return reading.at < at; };
  const auto& readings = trace.readings;
  auto first = std::upper_bound(readings.begin(), readings.end(), from, later);
  if (first != readings.begin()) {
    --first;
  }
  auto last = std::lower_bound(first, readings.end(), to, earlier);
  if (last != readings.end()) {
    ++last;
  }
  MeterTrace cut{trace.meter, {first, last}, {}};
  const auto begin = cut.readings.empty() ? from : std::min(from, cut.readings.front().at);
  const auto end = cut.readings.empty() ? to : std::max(to, cut.readings.back().at);
  for (const auto& failure : trace.failures) {
    if (failure.at >= begin && failure.at <= end) {
      cut.failures.push_back(failure);
    }
  }
  return cut;
}

std::optional<double> metered(std::optional<double> value, double scale) {
  if (!value || *value < 0 || !std::isfinite(*value * scale)) {
    return std::nullopt;
  }
  return *value * scale;
}

TraceStore::TraceStore(std::string source, std::optional<double> accuracy_ratio)
    : source_{std::move(source)}, accuracy_ratio_{accuracy_ratio} {}

std::size_t TraceStore::add_meter(Meter meter) {
  meter.id = meter.id.empty() ? source_ : source_ + " " + meter.id;
  meter.source = source_;
  meter.accuracy_ratio = accuracy_ratio_;
  traces_.push_back({std::move(meter), {}, {}});
  return traces_.size() - 1;
}

std::vector<Meter> TraceStore::meters() const {
  std::vector<Meter> meters;
  for (const auto& trace : traces_) {
    meters.push_back(trace.meter);
  }
  return meters;
}

void TraceStore::add_reading(std::size_t meter, const Reading& reading,
                             const std::string& reason_if_empty) {
  if (!reading.counter && !reading.power) {
    add_failure(meter, reading.at, reason_if_empty);
    return;
  }
  auto& readings = traces_[meter].readings;
  if (readings.empty() || reading.at > readings.back().at) {
    readings.push_back(reading);
  }
}

void TraceStore::add_look(std::size_t meter, const Result<Reading>& look) {
  if (look) {
    add_reading(meter, look.value(), {});
  } else {
    add_failure(meter, Instant::now(), look.reason());
  }
}

void TraceStore::add_failure(std::size_t meter, Instant at, const std::string& reason) {
  traces_[meter].failures.push_back({at, reason});
}

void TraceStore::fail_all(Instant at, const std::string& reason) {
  for (std::size_t meter = 0; meter < traces_.size(); ++meter) {
    add_failure(meter, at, reason);
  }
}

std::vector<MeterTrace> TraceStore::traces(Instant from, Instant to) const {
  std::vector<MeterTrace> cut;
  cut.reserve(traces_.size());
  for (const auto& trace : traces_) {
    cut.push_back(cut_trace(trace, from, to));
  }
  return cut;
}

}  // namespace perwatt::device
