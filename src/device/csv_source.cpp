// A recording in a file.
#include "sources.hpp"
#include "trace_store.hpp"

#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/device/power_csv.hpp"

namespace perwatt::device {

namespace {

std::optional<Seconds> utc_offset_of(SourceText& text) {
  const auto zone = text.optional("timezone");
  if (!zone) {
    return std::nullopt;
  }
  const auto offset = parse_utc_offset(*zone);
  if (!offset) {
    text.refuse("timezone '" + printable(*zone) + "' is not understood",
                "write timezone=UTC or timezone=+02:00");
  }
  return offset;
}

class CsvSource : public PowerSource {
 public:
  explicit CsvSource(SourceText& text) : path_{text.require_target("csv:FILE")} {
    PowerCsvOptions options;
    options.utc_offset = utc_offset_of(text);
    options.scope = text.scope(Scope::gpu);
    const auto accuracy = text.accuracy();
    traces_ = parse_power_csv(read_file(path_), path_, options, WallClock::now());
    for (auto& trace : traces_) {
      trace.meter.id = text.whole() + " " + trace.meter.id;
      trace.meter.source = text.whole();
      trace.meter.accuracy_ratio = accuracy;
    }
  }

  Result<std::vector<Meter>> open() override {
    if (traces_.empty()) {
      return Failure{path_ + " has no rows"};
    }
    std::vector<Meter> meters;
    for (const auto& trace : traces_) {
      meters.push_back(trace.meter);
    }
    return meters;
  }

  void sample() override {}  // all of it has been recorded

  std::vector<MeterTrace> traces(Instant from, Instant to) override {
    std::vector<MeterTrace> cut;
    for (const auto& trace : traces_) {
      cut.push_back(cut_trace(trace, from, to));
    }
    return cut;
  }

 private:
  std::string path_;
  std::vector<MeterTrace> traces_;
};

}  // namespace

SourcePointer make_csv_source(SourceText& text, const SourceOptions& options) {
  static_cast<void>(options);
  return std::make_unique<CsvSource>(text);
}

}  // namespace perwatt::device
