#include <nlohmann/json.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/measure/measurement_file.hpp"

namespace perwatt::measure {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kMostCount = 9e15;

/// One object of the file, read with the place of every key at hand.
class Node {
 public:
  Node(const Json& json, std::string where) : json_{json}, where_{std::move(where)} {
    if (!json_.is_object()) {
      throw_bad_input("is no JSON object", where_, "give the JSON that perwatt measure wrote");
    }
  }

  [[nodiscard]] const Json& at(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) {
      throw_bad_input(std::string{"lacks '"} + key + "'", where_,
                      "give the JSON that perwatt measure wrote");
    }
    return *found;
  }

  [[nodiscard]] bool is_null(const char* key) const { return at(key).is_null(); }

  [[nodiscard]] Node node(const char* key) const { return {at(key), place(key)}; }

  [[nodiscard]] double number(const char* key) const {
    const auto& value = at(key);
    if (!value.is_number()) {
      fail(key, "a number");
    }
    return value.get<double>();
  }

  [[nodiscard]] double not_negative(const char* key) const {
    const double value = number(key);
    if (value < 0) {
      fail(key, "a number from 0");
    }
    return value;
  }

  [[nodiscard]] std::optional<double> optional_number(const char* key) const {
    return is_null(key) ? std::nullopt : std::optional{number(key)};
  }

  [[nodiscard]] std::int64_t count(const char* key) const {
    const double value = number(key);
    if (value < 0 || value > kMostCount || !at(key).is_number_integer()) {
      fail(key, "a count");
    }
    return at(key).get<std::int64_t>();
  }

  [[nodiscard]] std::optional<int> optional_int(const char* key) const {
    if (is_null(key)) {
      return std::nullopt;
    }
    const auto value = count(key);
    if (value > std::numeric_limits<int>::max()) {
      fail(key, "a smaller count");
    }
    return static_cast<int>(value);
  }

  [[nodiscard]] std::string text(const char* key) const {
    if (!at(key).is_string()) {
      fail(key, "text");
    }
    return at(key).get<std::string>();
  }

  [[nodiscard]] bool flag(const char* key) const {
    if (!at(key).is_boolean()) {
      fail(key, "true or false");
    }
    return at(key).get<bool>();
  }

  [[nodiscard]] std::vector<Node> nodes(const char* key) const {
    if (!at(key).is_array()) {
      fail(key, "a list");
    }
    std::vector<Node> list;
    for (const auto& element : at(key)) {
      list.emplace_back(element, place(key) + "[" + std::to_string(list.size()) + "]");
    }
    return list;
  }

  [[noreturn]] void fail(const char* key, const std::string& wanted) const {
    throw_bad_input(printable(at(key).dump(-1, ' ', false, Json::error_handler_t::replace)) +
                        " is not " + wanted,
                    place(key), "give the JSON that perwatt measure wrote");
  }

 private:
  [[nodiscard]] std::string place(const char* key) const { return where_ + ": " + key; }

  const Json& json_;
  std::string where_;
};

std::optional<Seconds> optional_seconds(const Node& node, const char* key) {
  const auto value = node.optional_number(key);
  return value ? std::optional{seconds(*value)} : std::nullopt;
}

std::optional<Joules> optional_joules(const Node& node, const char* key) {
  const auto value = node.optional_number(key);
  return value ? std::optional{Joules::from_base(*value)} : std::nullopt;
}

std::optional<Watts> optional_watts(const Node& node, const char* key) {
  const auto value = node.optional_number(key);
  return value ? std::optional{watts(*value)} : std::nullopt;
}

std::optional<Quantiles> quantiles_at(const Node& parent, const char* key) {
  if (parent.is_null(key)) {
    return std::nullopt;
  }
  const auto node = parent.node(key);
  const auto time = [&](const char* name) { return seconds(node.not_negative(name)); };
  return Quantiles{time("mean"), time("p50"), time("p75"), time("p90"),
                   time("p95"),  time("p99"), time("max"), node.count("count")};
}

std::optional<Estimate> estimate_at(const Node& parent, const char* key) {
  if (parent.is_null(key)) {
    return std::nullopt;
  }
  const auto node = parent.node(key);
  return Estimate{node.number("value"), node.optional_number("ci_low"),
                  node.optional_number("ci_high")};
}

template <class Enum>
Enum enum_at(const Node& node, const char* key, std::initializer_list<Enum> values) {
  const auto text = node.text(key);
  for (const auto value : values) {
    if (to_string(value) == text) {
      return value;
    }
  }
  node.fail(key, "a word this version knows");
}

RunEnd end_at(const Node& node) {
  const auto text = node.text("end");
  if (text == "complete") {
    return RunEnd::complete;
  }
  if (text == "interrupted") {
    return RunEnd::interrupted;
  }
  if (text == "server_lost") {
    return RunEnd::server_lost;
  }
  if (text == "output_failed") {
    return RunEnd::output_failed;
  }
  node.fail("end", "a word this version knows");
}

EnergyFinding finding_of(const Node& node) {
  EnergyFinding finding;
  finding.reason = enum_at(
      node, "code",
      {EnergyReason::no_meter, EnergyReason::partial_fleet, EnergyReason::window_not_bracketed,
       EnergyReason::sampling_gap, EnergyReason::stale_readings, EnergyReason::counter_reset,
       EnergyReason::counter_unreliable, EnergyReason::counter_too_coarse,
       EnergyReason::missing_values, EnergyReason::implausible_power,
       EnergyReason::overlapping_meters, EnergyReason::clock_jump, EnergyReason::source_failed});
  finding.fatal = node.flag("fatal");
  finding.detail = node.text("detail");
  return finding;
}

EnergyResult energy_of(const Node& node) {
  EnergyResult energy;
  auto& account = energy.account;
  account.boundary = enum_at(node, "boundary", {Boundary::gpu, Boundary::it, Boundary::facility});
  account.valid = node.flag("valid");
  const auto tag = parse_tag(node.text("tag"));
  if (!tag) {
    node.fail("tag", "a tag");
  }
  energy.tag = *tag;
  account.energy = optional_joules(node, "total");
  account.half_width = Joules::from_base(node.not_negative("half_width"));
  energy.marginal = optional_joules(node, "marginal");
  energy.idle_power = optional_watts(node, "idle_power_watts");
  account.method = enum_at(node, "method", {EnergyMethod::counter, EnergyMethod::power_integral});
  account.by_counter = optional_joules(node, "by_counter");
  account.by_integral = optional_joules(node, "by_integral");
  account.meters = node.optional_int("meters").value_or(0);
  energy.joules_per_output_token = estimate_at(node, "joules_per_output_token");
  energy.joules_per_total_token = estimate_at(node, "joules_per_total_token");
  energy.marginal_joules_per_output_token = estimate_at(node, "marginal_joules_per_output_token");
  energy.output_tokens_per_joule = node.optional_number("output_tokens_per_joule");
  for (const auto& finding : node.nodes("findings")) {
    account.findings.push_back(finding_of(finding));
  }
  return energy;
}

void read_load(const Node& root, Measurement& m) {
  const auto load = root.node("load");
  m.load = load.text("description");
  m.request_rate_per_second = load.optional_number("request_rate_per_second");
  m.concurrency = load.optional_int("concurrency");
  m.isl_tokens = load.optional_int("isl_tokens");
  m.osl_tokens = load.optional_int("osl_tokens");
  m.power_cap = optional_watts(load, "power_cap_watts");
  if (!load.at("seed").is_number_unsigned()) {
    load.fail("seed", "a count");
  }
  m.seed = load.at("seed").get<std::uint64_t>();
  const auto slo = root.node("slo");
  m.slo = {optional_seconds(slo, "ttft_seconds"), optional_seconds(slo, "tpot_seconds"),
           optional_seconds(slo, "itl_seconds"), optional_seconds(slo, "e2e_seconds")};
}

void read_counts(const Node& root, Measurement& m) {
  m.window = seconds(root.not_negative("window_seconds"));
  m.whole = seconds(root.not_negative("whole_run_seconds"));
  const auto requests = root.node("requests");
  m.requests.sent = requests.count("sent");
  m.requests.ok = requests.count("ok");
  m.requests.failed = requests.count("failed");
  m.requests.cancelled = requests.count("cancelled");
  const auto by_outcome = requests.node("failed_by_outcome");
  for (const auto& [outcome, count] : requests.at("failed_by_outcome").items()) {
    m.requests.failed_by_outcome[outcome] = by_outcome.count(outcome.c_str());
  }
  const auto tokens_node = root.node("tokens");
  m.tokens.input = tokens_node.count("input");
  m.tokens.output = tokens_node.count("output");
  m.tokens.good = tokens_node.count("good");
  m.tokens.input_known = tokens_node.flag("input_known");
  m.tokens.output_by_usage = tokens_node.text("output_source") == "usage";
  m.output_rate = tokens_per_second(root.not_negative("output_tokens_per_s"));
  m.goodput = tokens_per_second(root.not_negative("goodput_tokens_per_s"));
  m.good_request_ratio = root.not_negative("good_request_ratio");
  m.mean_concurrency = root.not_negative("mean_concurrency");
}

void read_latencies(const Node& root, Latencies& latencies) {
  latencies.ttft = quantiles_at(root, "ttft_seconds");
  latencies.ttft_from_intended = quantiles_at(root, "ttft_from_intended_seconds");
  latencies.ttfo = quantiles_at(root, "ttfo_seconds");
  latencies.tpot = quantiles_at(root, "tpot_seconds");
  latencies.itl = quantiles_at(root, "itl_seconds");
  latencies.e2e = quantiles_at(root, "e2e_seconds");
  latencies.e2e_from_intended = quantiles_at(root, "e2e_from_intended_seconds");
  latencies.relative_error_ratio = root.not_negative("quantile_relative_error_ratio");
}

}  // namespace

Measurement parse_measurement(std::string_view text, const std::string& name) {
  const auto json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    throw_bad_input("is no JSON", name, "give the JSON that perwatt measure wrote");
  }
  const Node root{json, name};
  if (const auto version = root.count("schema_version"); version != kSchemaVersion) {
    root.fail("schema_version", std::to_string(kSchemaVersion) + ", the one this version reads");
  }
  Measurement m;
  m.valid = root.flag("valid");
  m.power_valid = root.flag("power_valid");
  for (const auto& reason : root.at("reasons")) {
    if (!reason.is_string()) {
      root.fail("reasons", "a list of texts");
    }
    m.reasons.push_back(reason.get<std::string>());
  }
  m.end = end_at(root);
  m.url = root.text("url");
  m.model = root.text("model");
  m.label = root.text("label");
  m.unix_start = root.text("start");
  read_load(root, m);
  read_counts(root, m);
  read_latencies(root, m.latencies);
  for (const auto& energy : root.nodes("energy_boundaries")) {
    m.energy.push_back(energy_of(energy));
  }
  for (const auto& tenant : root.nodes("tenants")) {
    m.tenants.push_back({tenant.text("tenant"), tenant.count("input_tokens"),
                         tenant.count("output_tokens"), optional_joules(tenant, "energy_joules")});
  }
  m.quality_score = estimate_at(root, "quality_score");
  m.joules_per_answer = root.optional_number("joules_per_answer");
  const auto client = root.node("client");
  m.client = {seconds(client.number("schedule_error_p99_seconds")),
              seconds(client.number("lag_p99_seconds")),
              seconds(client.number("longest_stall_seconds")), client.flag("valid")};
  return m;
}

}  // namespace perwatt::measure
