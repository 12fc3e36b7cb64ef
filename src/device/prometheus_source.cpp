// Series of a Prometheus-compatible store, read after the run by its HTTP API.
#include <cmath>
#include <thread>

#include "json_value.hpp"
#include "page_reader.hpp"
#include "sources.hpp"
#include "trace_store.hpp"

#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/net/url.hpp"

namespace perwatt::device {

namespace {

const std::string kPrometheusSecrets = "PERWATT_PROMETHEUS";
constexpr std::string_view kPrometheusExample =
    "prom:http://HOST:9090?query=QUERY&kind=power&scope=node";

/// A series has a sample this long before a window's edge, or none that brackets it.
constexpr Seconds kMargin = seconds(120);

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
    if (is_plain) {
      encoded += c;
    } else {
      encoded += {'%', kHex[byte >> 4U], kHex[byte & 15U]};
    }
  }
  return encoded;
}

/// Milliseconds are the store's own resolution; shortest() could write an exponent.
std::string decimal(Seconds time) {
  const auto milliseconds = std::llround(in_seconds(time) * 1e3);
  const auto fraction = std::to_string(1000 + milliseconds % 1000).substr(1);
  return std::to_string(milliseconds / 1000) + "." + fraction;
}

std::optional<Seconds> duration_of(SourceText& text, std::string_view key) {
  const auto value = text.optional(key);
  if (!value) {
    return std::nullopt;
  }
  return parse_seconds(*value, text.where() + " " + std::string{key});
}

std::string first_of(const nlohmann::json& labels, std::initializer_list<const char*> keys) {
  for (const auto* key : keys) {
    if (auto value = text_of(labels, key); !value.empty()) {
      return value;
    }
  }
  return {};
}

/// "job=…, gpu=…" in the order of the names: the identity of a series.
std::string series_name(const nlohmann::json& labels) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : labels.items()) {
    if (name != "__name__" && value.is_string()) {
      parts.push_back(name + "=" + value.get<std::string>());
    }
  }
  const auto metric = text_of(labels, "__name__");
  return metric + (parts.empty() ? "" : "{" + join(parts, ",") + "}");
}

class PrometheusSource : public PowerSource {
 public:
  PrometheusSource(SourceText& text, const SourceOptions& options)
      : text_{text.whole()},
        base_{net::parse_url(text.require_target(std::string{kPrometheusExample}), text.where())
                  .with()},
        query_{text.required("query", "query=QUERY (PromQL; write % as %25 and & as %26)")},
        kind_{text.metered_kind()},
        scope_{text.scope(std::nullopt)},
        scale_{text.scale()},
        accuracy_{text.accuracy()},
        step_{duration_of(text, "step")},
        wait_{duration_of(text, "wait").value_or(seconds(30))},
        pages_{options, options.timeout, secret_headers(kPrometheusSecrets, "Authorization"),
               kPrometheusSecrets} {
    if (step_ && *step_ < seconds(0.001)) {
      text.refuse("step is below 1 ms", "write step=5s");
    }
  }

  Result<std::vector<Meter>> open() override {
    const auto clock = WallClock::now();
    const auto now = Instant::now();
    const auto found = series(now - kMargin, now, clock);
    if (!found) {
      return Failure{found.reason()};
    }
    if (found.value().empty()) {
      return Failure{base_ + " has no series for '" + printable(query_) + "' in the last " +
                     significant(in_seconds(kMargin)) + " s"};
    }
    for (const auto& trace : found.value()) {
      meters_.push_back(trace.meter);
    }
    return meters_;
  }

  void sample() override {}  // the store samples

  std::vector<MeterTrace> traces(Instant from, Instant to) override {
    constexpr Seconds kPause = seconds(0.5);
    const auto patience = std::min(to, Instant::now()) + wait_;
    while (true) {
      auto traces = traces_now(from, to);
      if (are_bracketed(traces, to) || Instant::now() + kPause > patience) {
        return traces;
      }
      std::this_thread::sleep_for(std::chrono::duration<double>(in_seconds(kPause)));
    }
  }

 private:
  static bool are_bracketed(const std::vector<MeterTrace>& traces, Instant to) {
    for (const auto& trace : traces) {
      if (trace.readings.empty() || trace.readings.back().at < to) {
        return false;
      }
    }
    return true;
  }

  std::vector<MeterTrace> traces_now(Instant from, Instant to) {
    TraceStore empty{text_, accuracy_};
    std::vector<MeterTrace> traces;
    for (const auto& meter : meters_) {
      traces.push_back({meter, {}, {}});
    }
    const auto found = series(from - kMargin, to + kMargin, WallClock::now());
    for (auto& trace : traces) {
      if (!found) {
        trace.failures.push_back({to, found.reason()});
        continue;
      }
      bool is_there = false;
      for (const auto& series : found.value()) {
        if (series.meter.id == trace.meter.id) {
          trace = cut_trace(series, from, to);
          is_there = true;
        }
      }
      if (!is_there) {
        trace.failures.push_back({to, base_ + " has no sample of it in this time"});
      }
    }
    if (found) {
      for (const auto& series : found.value()) {
        const auto is_known = [&](const Meter& meter) { return meter.id == series.meter.id; };
        if (std::none_of(meters_.begin(), meters_.end(), is_known)) {
          traces.push_back(cut_trace(series, from, to));  // appeared during the run
        }
      }
    }
    return traces;
  }

  /// With step= the query's value at each step, which repeats the last sample for as long as
  /// the store looks back. Without it the samples themselves with their own times, which only a
  /// plain selector has.
  [[nodiscard]] std::string url_of(Instant from, Instant to, const WallClock& clock) const {
    const auto start = clock.unix_time(from);
    const auto end = std::min(clock.unix_time(to), clock.unix_time(Instant::now()));
    if (step_) {
      return base_ + "/api/v1/query_range?query=" + percent_encoded(query_) +
             "&start=" + decimal(start) + "&end=" + decimal(end) + "&step=" + decimal(*step_);
    }
    const auto range = std::to_string(std::llround(std::ceil(in_seconds(end - start))));
    return base_ + "/api/v1/query?query=" + percent_encoded(query_ + "[" + range + "s]") +
           "&time=" + decimal(end);
  }

  Result<std::vector<MeterTrace>> series(Instant from, Instant to, const WallClock& clock) {
    const auto page = pages_.get(url_of(from, to, clock));
    if (!page) {
      return Failure{page.reason() +
                     (step_ ? "" : "; a query that is not a plain selector needs step=…")};
    }
    const auto document = parse_json(page.value().body, base_);
    if (!document) {
      return Failure{document.reason()};
    }
    const auto* data = find_member(document.value(), "data");
    const auto* result = data == nullptr ? nullptr : find_member(*data, "result");
    if (text_of(document.value(), "status") != "success" || result == nullptr ||
        !result->is_array() || text_of(*data, "resultType") != "matrix") {
      return Failure{base_ + " gave no matrix: '" + printable(page.value().body) + "'"};
    }
    TraceStore store{text_, accuracy_};
    for (const auto& entry : *result) {
      add_series(store, entry, clock);
    }
    // Everything: the caller cuts.
    return store.traces(from - kMargin, to + kMargin);
  }

  void add_series(TraceStore& store, const nlohmann::json& entry, const WallClock& clock) const {
    const auto* labels = find_member(entry, "metric");
    const auto* values = find_member(entry, "values");
    if (labels == nullptr || values == nullptr || !values->is_array()) {
      return;
    }
    Meter meter;
    meter.id = series_name(*labels);
    meter.device = meter.id;
    meter.host = first_of(*labels, {"Hostname", "hostname", "node", "instance"});
    meter.uid = first_of(*labels, {"UUID", "uuid", "serial_number"});
    meter.scope = scope_;
    const auto index = store.add_meter(std::move(meter));
    for (const auto& sample : *values) {
      if (!sample.is_array() || sample.size() != 2 || !sample[0].is_number()) {
        continue;
      }
      Reading reading{clock.instant(seconds(sample[0].get<double>())), {}, {}};
      if (const auto value = metered(number_of(sample[1]), scale_)) {
        if (kind_ == MeteredKind::power) {
          reading.power = watts(*value);
        } else {
          reading.counter = Joules::from_base(*value);
        }
      }
      store.add_reading(index, reading, "the store holds NaN, an infinity or a negative value");
    }
  }

  std::string text_;
  std::string base_;
  std::string query_;
  MeteredKind kind_;
  Scope scope_;
  double scale_;
  std::optional<double> accuracy_;
  std::optional<Seconds> step_;
  Seconds wait_;
  PageReader pages_;
  std::vector<Meter> meters_;
};

}  // namespace

SourcePointer make_prometheus_source(SourceText& text, const SourceOptions& options) {
  return std::make_unique<PrometheusSource>(text, options);
}

}  // namespace perwatt::device
