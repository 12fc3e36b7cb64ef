// Chassis power from a Redfish service (a server's management controller, a rack manager).
#include <algorithm>
#include <set>

#include "json_value.hpp"
#include "page_reader.hpp"
#include "sources.hpp"
#include "trace_store.hpp"

#include "perwatt/base/text.hpp"
#include "perwatt/net/url.hpp"

namespace perwatt::device {

namespace {

const std::string kRedfishSecrets = "PERWATT_REDFISH";
constexpr int kMostPages = 100;  // of a collection

std::string link_of(const nlohmann::json& object, const char* key) {
  const auto* link = find_member(object, key);
  return link == nullptr ? std::string{} : text_of(*link, "@odata.id");
}

/// The Reading of a sensor excerpt, in the unit of its name.
std::optional<double> excerpt(const nlohmann::json& metrics, const char* key) {
  const auto* sensor = find_member(metrics, key);
  const auto* reading = sensor == nullptr ? nullptr : find_member(*sensor, "Reading");
  return reading == nullptr ? std::nullopt : number_of(*reading);
}

void read_metrics(const nlohmann::json& metrics, Reading& reading) {
  if (const auto power = metered(excerpt(metrics, "PowerWatts"), 1.0)) {
    reading.power = watts(*power);
  }
  if (const auto joules = metered(excerpt(metrics, "EnergyJoules"), 1.0)) {
    reading.counter = Joules::from_base(*joules);
  } else if (const auto kwh = metered(excerpt(metrics, "EnergykWh"), kJoulesPerKwh)) {
    reading.counter = Joules::from_base(*kwh);
  }
}

/// The first entry of PowerControl is the whole chassis; makers list parts of it behind.
void read_power(const nlohmann::json& power, Reading& reading) {
  const auto* controls = find_member(power, "PowerControl");
  if (controls == nullptr || !controls->is_array() || controls->empty()) {
    return;
  }
  const auto* consumed = find_member(controls->front(), "PowerConsumedWatts");
  if (const auto value = consumed == nullptr ? std::nullopt : metered(number_of(*consumed), 1.0)) {
    reading.power = watts(*value);
  }
}

class RedfishSource : public PowerSource {
 public:
  RedfishSource(SourceText& text, const SourceOptions& options)
      : origin_{net::parse_url(text.require_target("redfish:https://BMC"), text.where()).origin()},
        scope_{text.scope(Scope::node)},
        options_{options},
        headers_{secret_headers(kRedfishSecrets, "X-Auth-Token")},
        pages_{options, options.timeout, headers_, kRedfishSecrets},
        store_{text.whole(), text.accuracy()} {
    if (const auto picked = text.optional("chassis")) {
      for (auto& id : split(*picked, ',')) {
        picked_.insert(std::move(id));
      }
    }
  }

  Result<std::vector<Meter>> open() override {
    std::set<std::string> seen;
    std::string next = "/redfish/v1/Chassis";
    for (int page = 0; !next.empty() && page < kMostPages; ++page) {
      const auto collection = get(next);
      if (!collection) {
        return Failure{collection.reason()};
      }
      if (const auto problem = add_members(collection.value().document, seen); !problem.empty()) {
        return Failure{problem};
      }
      next = text_of(collection.value().document, "Members@odata.nextLink");
    }
    for (const auto& id : picked_) {
      if (!seen.contains(id)) {
        return Failure{origin_ + " has no chassis '" + printable(id) + "'; it has: " +
                       join(std::vector<std::string>{seen.begin(), seen.end()}, ", ")};
      }
    }
    if (pages_of_meters_.empty()) {
      return Failure{origin_ +
                     ": no outermost chassis gives PowerWatts, EnergykWh or PowerConsumedWatts"
                     " (inner ones: chassis=ID)"};
    }
    // All meters together take at most the source's timeout.
    pages_ = PageReader{options_, options_.timeout / static_cast<double>(pages_of_meters_.size()),
                        headers_, kRedfishSecrets};
    return store_.meters();
  }

  void sample() override {
    for (std::size_t meter = 0; meter < pages_of_meters_.size(); ++meter) {
      const auto& page = pages_of_meters_[meter];
      const auto answer = get(page.path);
      if (!answer) {
        store_.add_failure(meter, Instant::now(), answer.reason());
        continue;
      }
      store_.add_reading(meter, reading_of(answer.value(), page.is_metrics),
                         origin_ + page.path + " gives no number");
    }
  }

  std::vector<MeterTrace> traces(Instant from, Instant to) override {
    return store_.traces(from, to);
  }

 private:
  struct Document {
    nlohmann::json document;
    Instant at;
  };

  struct MeterPage {
    std::string path;
    bool is_metrics = false;  // EnvironmentMetrics, else the older Power
  };

  Result<Document> get(const std::string& path) {
    if (!path.starts_with('/')) {
      return Failure{origin_ + " links to '" + printable(path) + "', no path of its own"};
    }
    const auto page = pages_.get(origin_ + path);
    if (!page) {
      return Failure{page.reason()};
    }
    auto document = parse_json(page.value().body, origin_ + path);
    if (!document) {
      return Failure{document.reason()};
    }
    return Document{std::move(document).value(), page.value().at};
  }

  static Reading reading_of(const Document& document, bool is_metrics) {
    Reading reading{document.at, {}, {}};
    if (is_metrics) {
      read_metrics(document.document, reading);
    } else {
      read_power(document.document, reading);
    }
    return reading;
  }

  /// A chassis inside another (a GPU in a server, a blade in an enclosure) is metered by the outer
  /// one: it counts only when it is asked for.
  [[nodiscard]] bool is_wanted(const nlohmann::json& chassis, const std::string& id) const {
    if (!picked_.empty()) {
      return picked_.contains(id);
    }
    const auto* links = find_member(chassis, "Links");
    return links == nullptr || link_of(*links, "ContainedBy").empty();
  }

  /// The functions that add return what went wrong, or "".
  std::string add_members(const nlohmann::json& collection, std::set<std::string>& seen) {
    const auto* members = find_member(collection, "Members");
    if (members == nullptr || !members->is_array()) {
      return origin_ + "/redfish/v1/Chassis lists no Members";
    }
    for (const auto& member : *members) {
      const auto chassis = get(text_of(member, "@odata.id"));
      if (!chassis) {
        return chassis.reason();
      }
      const auto id = text_of(chassis.value().document, "Id");
      seen.insert(id);
      auto problem = is_wanted(chassis.value().document, id)
                         ? add_chassis(chassis.value().document, id)
                         : std::string{};
      if (!problem.empty()) {
        return problem;
      }
    }
    return {};
  }

  /// Takes the first of the chassis' two pages that gives a value now.
  std::string add_chassis(const nlohmann::json& chassis, const std::string& id) {
    std::string problem;
    for (const bool is_metrics : {true, false}) {
      const auto path = link_of(chassis, is_metrics ? "EnvironmentMetrics" : "Power");
      if (path.empty()) {
        continue;
      }
      const auto answer = get(path);
      if (!answer) {
        problem = answer.reason();
        continue;
      }
      const auto reading = reading_of(answer.value(), is_metrics);
      if (!reading.power && !reading.counter) {
        continue;
      }
      Meter meter;
      meter.id = id;
      meter.device = join(
          std::vector<std::string>{id, text_of(chassis, "Manufacturer"), text_of(chassis, "Model")},
          " ");
      meter.uid = text_of(chassis, "SerialNumber");
      meter.scope = scope_;
      store_.add_reading(store_.add_meter(std::move(meter)), reading, {});
      pages_of_meters_.push_back({path, is_metrics});
      return {};
    }
    if (problem.empty() && picked_.contains(id)) {
      problem = origin_ + ": chassis " + printable(id) +
                " gives no PowerWatts, EnergykWh or PowerConsumedWatts";
    }
    return problem;  // a chassis without a meter of its own is none
  }

  std::string origin_;
  Scope scope_;
  SourceOptions options_;
  std::vector<net::Header> headers_;
  PageReader pages_;
  TraceStore store_;
  std::set<std::string> picked_;
  std::vector<MeterPage> pages_of_meters_;
};

}  // namespace

SourcePointer make_redfish_source(SourceText& text, const SourceOptions& options) {
  return std::make_unique<RedfishSource>(text, options);
}

}  // namespace perwatt::device
