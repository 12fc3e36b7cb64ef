#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string>
#include <utility>

#include "scenario_reader.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/control/charge_ledger.hpp"
#include "perwatt/topology/read_topology.hpp"

namespace perwatt::simulate {

namespace {

constexpr double kMostDays = 400;
constexpr std::size_t kMostScenarioDevices = 1'000'000;
constexpr double kMostSteps = 1e10;
constexpr Seconds kDay = seconds(86400);
constexpr double kMostFailures = 1e6;

constexpr std::array kPolicyNames{std::pair{PolicyKind::fixed, "fixed"},
                                  std::pair{PolicyKind::proportional, "proportional"},
                                  std::pair{PolicyKind::even, "even"},
                                  std::pair{PolicyKind::steering, "steering"},
                                  std::pair{PolicyKind::stealing, "stealing"},
                                  std::pair{PolicyKind::perwatt, "perwatt"},
                                  std::pair{PolicyKind::clairvoyant, "clairvoyant"}};

constexpr std::array kFaultNames{std::pair{FaultKind::node_off, "node-off"},
                                 std::pair{FaultKind::feed_lost, "feed-lost"},
                                 std::pair{FaultKind::limit_lowered, "limit-lowered"},
                                 std::pair{FaultKind::sensor_frozen, "sensor-frozen"},
                                 std::pair{FaultKind::sensor_stale, "sensor-stale"},
                                 std::pair{FaultKind::sensor_missing, "sensor-missing"},
                                 std::pair{FaultKind::sensor_scaled, "sensor-scaled"},
                                 std::pair{FaultKind::meter_frozen, "meter-frozen"},
                                 std::pair{FaultKind::meter_missing, "meter-missing"},
                                 std::pair{FaultKind::meter_scaled, "meter-scaled"},
                                 std::pair{FaultKind::cap_ignored, "cap-ignored"},
                                 std::pair{FaultKind::cap_refused, "cap-refused"},
                                 std::pair{FaultKind::cap_late, "cap-late"},
                                 std::pair{FaultKind::other_writer, "other-writer"},
                                 std::pair{FaultKind::agent_killed, "agent-killed"},
                                 std::pair{FaultKind::messages_lost, "messages-lost"},
                                 std::pair{FaultKind::controller_killed, "controller-killed"}};

template <class Names>
std::vector<std::string> words_of(const Names& names) {
  std::vector<std::string> words;
  for (const auto& [kind, word] : names) {
    words.emplace_back(word);
  }
  return words;
}

template <class Names, class Kind>
std::string_view word_of(const Names& names, Kind kind) {
  for (const auto& [known, word] : names) {
    if (known == kind) {
      return word;
    }
  }
  return "";
}

std::int64_t nanoseconds_of(Seconds time) {
  return std::llround(in_seconds(time) * static_cast<double>(kNanosecondsPerSecond));
}

double percent_or(const ConfigTable& table, std::string_view key, double otherwise, Range range) {
  const auto text = table.optional_text(key);
  if (!text) {
    return otherwise;
  }
  const auto ratio = parse_percentage(*text);
  if (!ratio || *ratio < range.low || *ratio > range.high) {
    table.fail(key, "'" + printable(*text) + "' is no percentage in range",
               "write " + shortest(range.low * 100) + "% to " + shortest(range.high * 100) + "%");
  }
  return *ratio;
}

DeviceKind read_kind(const ConfigTable& table) {
  DeviceKind kind;
  kind.name = table.text("accelerator");
  kind.idle = table.power("idle");
  kind.cap_resolution = device_power(table, "cap_resolution", watts(1));
  kind.response = duration_or(table, "response", seconds(0.2));
  kind.regulation = duration_or(table, "regulation", seconds(0.1));
  kind.overshoot_ratio = 1 + percent_or(table, "overshoot", 0.03, {0, 1});
  kind.least_latency_ns = nanoseconds_of(duration_up_to(table, "least_latency", seconds(0), kDay));
  kind.most_latency_ns = nanoseconds_of(duration_up_to(table, "most_latency", seconds(0.5), kDay));
  if (kind.least_latency_ns > kind.most_latency_ns) {
    table.fail("least_latency", "is longer than most_latency", "raise most_latency");
  }
  table.reject_unknown_keys();
  return kind;
}

SensorSpec read_sensor(const std::optional<ConfigTable>& table, Seconds step) {
  SensorSpec sensor;
  const auto steps = [&](const ConfigTable& from, std::string_view key, Seconds otherwise,
                         double least) {
    const Seconds time = duration_or(from, key, otherwise);
    const double count = std::round(time / step);
    if (count < least || count > 1e6 ||
        std::abs(count * in_seconds(step) - in_seconds(time)) > 1e-9) {
      from.fail(key, "is no whole number of plant steps of " + shortest(in_seconds(step)) + " s",
                "give a multiple of scenario.step");
    }
    return static_cast<std::int32_t>(count);
  };
  const auto given = table ? *table : ConfigTable::parse("", "sensors");
  sensor.sample_steps = steps(given, "period", std::max(seconds(1), step), 1);
  sensor.delay_steps = steps(given, "delay", seconds(0), 0);
  sensor.quantum = power_or(given, "quantum", watts(1));
  sensor.noise = power_or(given, "noise", watts(0));
  sensor.most_bias_ratio = percent_or(given, "bias", 0, {0, 0.5});
  given.reject_unknown_keys();
  return sensor;
}

/// Kinds by the accelerator of devices, whose caps they take.
void give_kinds(const ConfigTable& root, Scenario& scenario) {
  std::vector<std::string> names;
  for (const auto& table : root.tables("device_kind")) {
    auto kind = read_kind(table);
    if (std::count(names.begin(), names.end(), kind.name) > 0) {
      table.fail("accelerator", "'" + printable(kind.name) + "' has a kind already",
                 "describe each accelerator once");
    }
    names.push_back(kind.name);
    const auto devices = scenario.tree.devices();
    bool is_used = false;
    for (const auto& device : devices) {
      if (device.accelerator == kind.name) {
        kind.lowest_cap = is_used ? std::min(kind.lowest_cap, device.min) : device.min;
        kind.highest_cap = is_used ? std::max(kind.highest_cap, device.max) : device.max;
        is_used = true;
      }
    }
    if (!is_used) {
      table.fail("accelerator", "no device is a '" + printable(kind.name) + "'",
                 "name the accelerator of a [[topology.device]]");
    }
    if (kind.idle > kind.lowest_cap) {
      table.fail("idle",
                 shortest(in_watts(kind.idle)) + " W is above the lowest cap of its devices",
                 "raise min of the devices, or lower idle");
    }
    scenario.plant.kinds.push_back(std::move(kind));
  }
  for (const auto& device : scenario.tree.devices()) {
    const auto found = std::find(names.begin(), names.end(), device.accelerator);
    if (found == names.end()) {
      root.fail("device_kind",
                "none for the accelerator '" + printable(device.accelerator) + "' of device '" +
                    printable(device.id) + "'",
                "add [[device_kind]] with accelerator = \"" + printable(device.accelerator) + "\"");
    }
    scenario.plant.kind_of_device.push_back(static_cast<std::uint16_t>(found - names.begin()));
  }
}

void read_times(const ConfigTable& table, Scenario& scenario) {
  scenario.name = table.text("name");
  scenario.duration = required_duration(table, "duration");
  scenario.warm_up = duration_or(table, "warm_up", seconds(0));
  const Seconds step = duration_or(table, "step", seconds(0.1));
  if (step < seconds(0.001) || step > seconds(10)) {
    table.fail("step", "is not from 1 ms to 10 s", "write step = \"100ms\"");
  }
  scenario.plant.step_ns = nanoseconds_of(step);
  if (const auto fault = length_fault(scenario)) {
    table.fail("duration", *fault, "write duration = \"10min\"");
  }
  scenario.overshoot_ratio = percent_or(table, "overshoot", 0.03, {0, 1});
  scenario.settle = duration_up_to(table, "settle", seconds(2), kDay);
  scenario.message_delay = duration_up_to(table, "message_delay", seconds(0), kDay);
  scenario.plant.trips_open = table.optional_flag("breakers_open").value_or(true);
  if (const auto price = table.optional_text("electricity")) {
    scenario.electricity = parse_energy_price(*price, table.where("electricity"));
  }
  scenario.seed = static_cast<std::uint64_t>(
      table.optional_integer("seed", 0, std::int64_t{1} << 53).value_or(1));
  table.reject_unknown_keys();
}

void read_failures(const ConfigTable& root, Scenario& scenario) {
  const auto table = root.optional_table("random_failures");
  if (!table) {
    return;
  }
  RandomFailures failures;
  if (const auto level = table->optional_text("of")) {
    const auto kind = topology::parse_node_kind(*level);
    if (!kind) {
      table->fail("of", "'" + printable(*level) + "' is no kind of node", "write of = \"node\"");
    }
    failures.level = *kind;
  }
  failures.mean_time_between = required_duration(*table, "mean_time_between");
  failures.repair_takes = required_duration(*table, "repair_takes");
  if (failures.mean_time_between < seconds(1)) {
    table->fail("mean_time_between", "is below 1 s", "give the mean time of one node");
  }
  static_cast<void>(duration_up_to(*table, "repair_takes", {}, kDay * kMostDays));
  table->reject_unknown_keys();
  scenario.failures = failures;
  if (const auto fault = length_fault(scenario)) {
    table->fail("mean_time_between", *fault, "lengthen it, or shorten scenario.duration");
  }
}

void check_names(const ConfigTable& root, const Scenario& scenario) {
  std::set<std::string> ids;
  std::set<std::string> jobs;  // entries too
  const auto add = [&](const auto& job, const char* key) {
    if (!ids.insert(job.id).second) {
      root.fail(key, "the id '" + printable(job.id) + "' is given twice",
                "give each an id of its own");
    }
    jobs.insert({job.id, job.entry});
  };
  for (const auto& service : scenario.services) {
    add(service, "service");
  }
  for (const auto& training : scenario.trainings) {
    add(training, "training");
  }
  std::set<std::string> policies;
  for (const auto& policy : scenario.policies) {
    if (!policies.insert(policy.name).second) {
      root.fail("policy", "the name '" + printable(policy.name) + "' is given twice",
                "give each policy a name of its own");
    }
    for (const auto& off : policy.off) {
      if (!jobs.contains(off)) {
        root.fail("policy", "'" + printable(off) + "' is no service or training job",
                  suggestion(off, std::vector<std::string>{jobs.begin(), jobs.end()}));
      }
    }
  }
}

/// What every policy makes of the site must hold before any of them runs: its jobs are there, and
/// what leases fall back to fits.
void check_policies(const Scenario& scenario) {
  for (const auto& policy : scenario.policies) {
    const auto left = scenario_for(scenario, policy);
    if (policy.kind != PolicyKind::perwatt) {
      continue;
    }
    std::vector<control::ChargeTerms> terms;
    for (const auto& device : left.tree.devices()) {
      terms.push_back({device.fail_safe.value_or(device.min), scenario.overshoot_ratio, {}});
    }
    static_cast<void>(control::ChargeLedger{left.tree, terms});
  }
}

/// Without [[policy]]: all kinds.
void add_policies(const ConfigTable& root, Scenario& scenario) {
  for (const auto& table : root.tables("policy")) {
    scenario.policies.push_back(read_policy(table, scenario.tree));
  }
  if (scenario.policies.empty()) {
    for (const auto& [kind, word] : kPolicyNames) {
      PolicyPlan policy;
      policy.name = word;
      policy.kind = kind;
      if (kind == PolicyKind::steering) {
        policy.cadence = seconds(90);
      }
      scenario.policies.push_back(policy);
    }
  }
}

}  // namespace

std::optional<std::string> length_fault(const Scenario& scenario) {
  const Seconds step = scenario.plant.step();
  const Seconds span = scenario.warm_up + scenario.duration;
  if (scenario.duration < step) {
    return "is shorter than a step";
  }
  if (span > kDay * kMostDays || span / step > kMostSteps) {
    return "is longer than " + shortest(kMostDays) + " days, or than 1e10 steps";
  }
  if (!scenario.failures) {
    return std::nullopt;
  }
  const auto& failures = *scenario.failures;
  const auto nodes =
      std::count_if(scenario.tree.nodes().begin(), scenario.tree.nodes().end(),
                    [&](const topology::Node& node) { return node.kind == failures.level; });
  const double count =
      static_cast<double>(nodes) * (span / (failures.mean_time_between + failures.repair_takes));
  if (count > kMostFailures) {
    return "makes " + shortest(std::round(count)) + " failures, more than " +
           shortest(kMostFailures);
  }
  return std::nullopt;
}

double speed_at(Watts allowed, Watts demand, Watts idle, double exponent) {
  if (allowed >= demand || demand <= idle) {
    return 1;
  }
  const double way = std::max(1e-3, (allowed - idle) / (demand - idle));
  return std::max(1e-3, std::pow(way, 1 / exponent));
}

std::string_view to_string(PolicyKind kind) {
  return word_of(kPolicyNames, kind);
}

std::string_view to_string(FaultKind kind) {
  return word_of(kFaultNames, kind);
}

std::optional<PolicyKind> parse_policy_kind(std::string_view text) {
  for (const auto& [kind, word] : kPolicyNames) {
    if (word == text) {
      return kind;
    }
  }
  return std::nullopt;
}

Watts power_or(const ConfigTable& table, std::string_view key, Watts otherwise) {
  static_cast<void>(table.optional_text(key));  // a key that is known all the same
  return table.has(key) ? table.power(key) : otherwise;
}

Watts device_power(const ConfigTable& table, std::string_view key, Watts otherwise) {
  const Watts power = power_or(table, key, otherwise);
  if (power > kMostDeviceWatts) {
    table.fail(key, "is above " + shortest(in_watts(kMostDeviceWatts)) + " W",
               "give that of one GPU");
  }
  return power;
}

Seconds duration_or(const ConfigTable& table, std::string_view key, Seconds otherwise) {
  return table.optional_duration(key).value_or(otherwise);
}

Seconds duration_up_to(const ConfigTable& table, std::string_view key, Seconds otherwise,
                       Seconds most) {
  const Seconds time = duration_or(table, key, otherwise);
  if (time > most) {
    table.fail(key, "is longer than " + shortest(in_seconds(most)) + " s", "shorten it");
  }
  return time;
}

Seconds required_duration(const ConfigTable& table, std::string_view key) {
  const auto time = table.optional_duration(key);
  if (!time) {
    table.fail(key, "is missing", "add " + std::string{key} + " = \"10min\"");
  }
  return *time;
}

Fault read_fault(const ConfigTable& table, const topology::PowerTree& tree) {
  Fault fault;
  const auto word = table.text("kind");
  const auto found = std::find_if(kFaultNames.begin(), kFaultNames.end(),
                                  [&](const auto& known) { return known.second == word; });
  if (found == kFaultNames.end()) {
    table.fail("kind", "'" + printable(word) + "' is no kind of fault",
               suggestion(word, words_of(kFaultNames)));
  }
  fault.kind = found->first;
  for (const auto& [key, time] : {std::pair{"at", &fault.at}, std::pair{"lasts", &fault.lasts}}) {
    *time = required_duration(table, key);
    static_cast<void>(duration_up_to(table, key, {}, kDay * kMostDays));
  }
  if (fault.kind != FaultKind::messages_lost && fault.kind != FaultKind::controller_killed) {
    fault.node = read_node(table, "node", tree);
  }
  if (fault.kind == FaultKind::limit_lowered || fault.kind == FaultKind::other_writer) {
    fault.power = table.power("power");
    if (fault.kind == FaultKind::other_writer) {
      static_cast<void>(device_power(table, "power", {}));
    }
  }
  if (fault.kind == FaultKind::sensor_scaled || fault.kind == FaultKind::meter_scaled) {
    fault.factor = table.number("factor", {0, 1000});
  }
  if (fault.kind == FaultKind::messages_lost) {
    fault.factor = table.number("ratio", kRatio);
  }
  if (fault.kind == FaultKind::cap_late) {
    fault.delay = required_duration(table, "delay");
    if (fault.delay > seconds(86400)) {
      table.fail("delay", "is longer than a day", "give the delay of one write");
    }
  }
  if (fault.kind == FaultKind::feed_lost && fault.node.value == 0) {
    table.fail("node", "is the root: nothing would be left", "name a node below it");
  }
  table.reject_unknown_keys();
  return fault;
}

PolicyPlan read_policy(const ConfigTable& table, const topology::PowerTree& tree) {
  PolicyPlan policy;
  const auto word = table.text("kind");
  const auto kind = parse_policy_kind(word);
  if (!kind) {
    table.fail("kind", "'" + printable(word) + "' is no policy",
               suggestion(word, words_of(kPolicyNames)));
  }
  policy.kind = *kind;
  policy.name = table.optional_text("name").value_or(word);
  policy.cadence = duration_or(table, "cadence", seconds(*kind == PolicyKind::steering ? 90 : 1));
  if (policy.cadence < seconds(0.01) || policy.cadence > seconds(86400)) {
    table.fail("cadence", "is not from 10 ms to a day", "write cadence = \"1s\"");
  }
  policy.guard_ratio = percent_or(table, "guard", 0.005, {0, 0.9});
  policy.demand_memory = duration_up_to(table, "demand_memory", seconds(5), kDay);
  policy.locks_clocks = table.optional_flag("clocks").value_or(true);
  policy.survives_feed_loss = table.optional_flag("survives_feed_loss").value_or(true);
  read_policy_rules(table, policy);
  if (table.has("off")) {
    policy.off = table.texts("off");
  }
  if (table.has("absent")) {
    for (const auto& id : table.texts("absent")) {
      const auto node = tree.find_node(id);
      const auto nodes = node ? std::vector{*node} : nodes_of_entry(tree, id);
      if (nodes.empty() || nodes.front().value == 0) {
        table.fail("absent", "'" + printable(id) + "' is no node below the root",
                   "name the id of a node, or of an entry that is repeated");
      }
      policy.absent.insert(policy.absent.end(), nodes.begin(), nodes.end());
    }
  }
  table.reject_unknown_keys();
  return policy;
}

Scenario read_scenario(std::string_view text, const std::string& name,
                       const std::filesystem::path& folder) {
  const auto root = ConfigTable::parse(text, name);
  Scenario scenario{
      topology::read_topology(text, name, {topology::kMostNodes, kMostScenarioDevices})};
  if (scenario.tree.devices().empty()) {
    root.fail("topology", "has no device", "add [[topology.device]] with the site's GPUs");
  }
  const auto head = root.optional_table("scenario");
  if (!head) {
    root.fail("scenario", "is missing", "add [scenario] with name and duration");
  }
  read_times(*head, scenario);
  const Seconds step = scenario.plant.step();
  scenario.plant.device_sensors = read_sensor(root.optional_table("sensors"), step);
  scenario.plant.node_sensors = read_sensor(root.optional_table("meters"), step);
  give_kinds(root, scenario);
  FreeDevices free{scenario.tree};
  for (const auto& table : root.tables("service")) {
    for (const auto& place : read_places(table, scenario.tree)) {
      scenario.services.push_back(read_service(table, place, free, folder));
    }
  }
  for (const auto& table : root.tables("training")) {
    for (const auto& place : read_places(table, scenario.tree)) {
      scenario.trainings.push_back(read_training(table, place, free));
    }
  }
  for (const auto& table : root.tables("fault")) {
    scenario.faults.push_back(read_fault(table, scenario.tree));
  }
  std::stable_sort(scenario.faults.begin(), scenario.faults.end(),
                   [](const Fault& a, const Fault& b) { return a.at < b.at; });
  read_failures(root, scenario);
  for (const auto& table : root.tables("maintenance")) {
    scenario.maintenances.push_back(read_maintenance(table, scenario.tree));
  }
  add_policies(root, scenario);
  check_names(root, scenario);
  check_policies(scenario);
  static_cast<void>(root.optional_table("topology"));  // read above
  root.reject_unknown_keys();
  return scenario;
}

}  // namespace perwatt::simulate
