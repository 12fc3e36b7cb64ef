// One number out of a JSON document over HTTP: power distribution units and smart meters.
#include "json_value.hpp"
#include "page_reader.hpp"
#include "sources.hpp"
#include "trace_store.hpp"

#include "perwatt/base/text.hpp"
#include "perwatt/net/url.hpp"

namespace perwatt::device {

namespace {

const std::string kPduSecrets = "PERWATT_PDU";
constexpr std::string_view kJsonExample =
    "json:http://HOST/PAGE?path=/outlets/0/watts&kind=power&scope=rack";

nlohmann::json::json_pointer pointer_of(SourceText& text) {
  const auto path = text.required("path", "path=/outlets/0/watts (a JSON pointer, RFC 6901)");
  try {
    return nlohmann::json::json_pointer{path};
  } catch (const nlohmann::json::exception&) {
    text.refuse("path '" + printable(path) + "' is no JSON pointer",
                "start it with '/', as in path=/outlets/0/watts");
  }
}

class JsonSource : public PowerSource {
 public:
  JsonSource(SourceText& text, const SourceOptions& options)
      : url_{net::parse_url(text.require_target(std::string{kJsonExample}), text.where()).with()},
        pointer_{pointer_of(text)},
        kind_{text.metered_kind()},
        scope_{text.scope(std::nullopt)},
        scale_{text.scale()},
        pages_{options, options.timeout, secret_headers(kPduSecrets, "Authorization"), kPduSecrets},
        store_{text.whole(), text.accuracy()} {
    if (const auto query = text.optional("query")) {
      url_ += "?" + *query;
    }
  }

  Result<std::vector<Meter>> open() override {
    const auto reading = look();
    if (!reading) {
      return Failure{reading.reason()};
    }
    Meter meter;
    meter.device = url_ + " " + pointer_.to_string();
    meter.scope = scope_;
    store_.add_reading(store_.add_meter(std::move(meter)), reading.value(), {});
    return store_.meters();
  }

  void sample() override { store_.add_look(0, look()); }

  std::vector<MeterTrace> traces(Instant from, Instant to) override {
    return store_.traces(from, to);
  }

 private:
  [[nodiscard]] const nlohmann::json* find(const nlohmann::json& document) const {
    try {
      return &document.at(pointer_);
    } catch (const nlohmann::json::exception&) {
      return nullptr;
    }
  }

  Result<Reading> look() {
    const auto page = pages_.get(url_);
    if (!page) {
      return Failure{page.reason()};
    }
    const auto document = parse_json(page.value().body, url_);
    if (!document) {
      return Failure{document.reason()};
    }
    const auto* found = find(document.value());
    if (found == nullptr) {
      return Failure{url_ + " has nothing at " + pointer_.to_string()};
    }
    const auto value = metered(number_of(*found), scale_);
    if (!value) {
      return Failure{url_ + " has no number of 0 or more at " + pointer_.to_string()};
    }
    Reading reading{page.value().at, {}, {}};
    if (kind_ == MeteredKind::power) {
      reading.power = watts(*value);
    } else {
      reading.counter = Joules::from_base(*value);
    }
    return reading;
  }

  std::string url_;
  nlohmann::json::json_pointer pointer_;
  MeteredKind kind_;
  Scope scope_;
  double scale_;
  PageReader pages_;
  TraceStore store_;
};

}  // namespace

SourcePointer make_json_source(SourceText& text, const SourceOptions& options) {
  return std::make_unique<JsonSource>(text, options);
}

}  // namespace perwatt::device
