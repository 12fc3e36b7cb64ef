// Services and training jobs of a scenario file.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "scenario_reader.hpp"

#include "perwatt/base/file.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/simulate/service_twin.hpp"

namespace perwatt::simulate {

namespace {

constexpr std::int64_t kMostInstances = 1'000'000;
constexpr std::int64_t kMostClients = 1'000'000;
constexpr double kMostRequestRate = 1e7;
constexpr Seconds kLongestDecodeStep = seconds(60);
constexpr Seconds kLongestLatency = seconds(400 * 86400.0);

struct NamedPool {
  Pool pool;
  const char* key;
};

constexpr NamedPool kPoolKeys[] = {
    {Pool::aggregated, "aggregated"}, {Pool::prefill, "prefill"}, {Pool::decode, "decode"}};

TokenLaw read_law(const ConfigTable& service, std::string_view key) {
  const auto table = service.optional_table(key);
  if (!table) {
    service.fail(key, "is missing", "add " + std::string{key} + " = { tokens = 1000 }");
  }
  TokenLaw law;
  law.nominal = tokens(table->number("tokens", {1, 1e8}));
  const auto word = table->optional_text("law").value_or("constant");
  if (word == "exponential") {
    law.kind = TokenLaw::Kind::exponential;
  } else if (word == "lognormal") {
    law.kind = TokenLaw::Kind::lognormal;
    law.deviation_ratio = table->number("deviation_ratio", {0, 10});
  } else if (word != "constant") {
    table->fail("law", "'" + printable(word) + "' is no law of lengths",
                suggestion(word, std::vector<std::string>{"constant", "exponential", "lognormal"}));
  }
  table->reject_unknown_keys();
  return law;
}

double rate_of(const ConfigTable& table, std::string_view key) {
  const double rate = parse_request_rate(table.text(key), table.where(key));
  if (rate > kMostRequestRate) {
    table.fail(key, "is above " + shortest(kMostRequestRate) + " req/s",
               "lower it, or scale the site");
  }
  return rate;
}

ArrivalPattern read_pattern(const ConfigTable& table) {
  const auto word = table.optional_text("pattern").value_or("poisson");
  for (const auto pattern : {ArrivalPattern::constant, ArrivalPattern::poisson,
                             ArrivalPattern::gamma, ArrivalPattern::bursts}) {
    if (to_string(pattern) == word) {
      return pattern;
    }
  }
  table.fail("pattern", "'" + printable(word) + "' is no pattern of arrivals",
             suggestion(word, std::vector<std::string>{"constant", "poisson", "gamma", "bursts"}));
}

DailyArrivals read_daily(const ConfigTable& table, int number) {
  DailyArrivals daily;
  daily.pattern = read_pattern(table);
  daily.burstiness = table.optional_number("burstiness", {1e-3, 1e6}).value_or(1);
  for (const auto& point : table.tables("daily")) {
    daily.rate.points.push_back({required_duration(point, "at"), rate_of(point, "rate")});
    point.reject_unknown_keys();
  }
  Seconds least;
  for (const auto& [at, rate] : daily.rate.points) {
    if (at < least || at >= daily.rate.period || (&at == &daily.rate.points[0].at && at > least)) {
      table.fail("daily", "has a point at " + shortest(in_seconds(at)) + " s, out of order",
                 "begin at 0h and rise, below 24h");
    }
    least = std::max(at, seconds(1e-9));
  }
  daily.rate.starts_at = duration_or(table, "starts_at", seconds(0));
  const Seconds each_later = duration_or(table, "each_later", seconds(0));
  for (const auto& [key, time] :
       {std::pair{"starts_at", daily.rate.starts_at}, std::pair{"each_later", each_later}}) {
    if (time >= daily.rate.period) {
      table.fail(key, "is not within the day", "write " + std::string{key} + " = \"6h\"");
    }
  }
  const double starts_at = in_seconds(daily.rate.starts_at + each_later * number);
  daily.rate.starts_at = seconds(std::fmod(starts_at, in_seconds(daily.rate.period)));
  return daily;
}

Arrivals read_arrivals(const ConfigTable& table, int number, const std::filesystem::path& folder) {
  if (table.has("daily")) {
    return read_daily(table, number);
  }
  if (table.has("trace")) {
    const auto file = table.text("trace");
    const auto path = folder / file;
    TraceArrivals arrivals;
    arrivals.trace = parse_azure_trace(read_file(path), path.string());
    arrivals.rate_ratio = table.optional_number("rate_ratio", {1e-6, 1e6}).value_or(1);
    return arrivals;
  }
  if (const auto clients = table.optional_integer("clients", 1, kMostClients)) {
    return ClosedLoop{*clients};
  }
  SteadyArrivals steady;
  steady.pattern = read_pattern(table);
  steady.rate_per_second = rate_of(table, "rate");
  steady.burstiness = table.optional_number("burstiness", {1e-3, 1e6}).value_or(1);
  steady.burst_size = table.optional_integer("burst_size", 1, 1'000'000).value_or(1);
  return steady;
}

InstanceModel read_model(const ConfigTable& table) {
  InstanceModel model;
  model.gpus = static_cast<int>(table.integer("gpus", 1, 100'000));
  const auto rate = table.optional_rate("prefill_rate");
  model.prefill_rate = rate.value_or(tokens_per_second(1e6));
  if (model.prefill_rate < tokens_per_second(1)) {
    table.fail("prefill_rate", "is below 1 tok/s", "give that of an instance, as \"100ktok/s\"");
  }
  model.step_base = duration_up_to(table, "step_base", seconds(0.01), kLongestDecodeStep);
  model.step_per_sequence =
      duration_up_to(table, "step_per_sequence", seconds(0), kLongestDecodeStep);
  model.most_sequences =
      static_cast<int>(table.optional_integer("most_sequences", 1, 1'000'000).value_or(1));
  model.power.idle = table.power("idle");
  static_cast<void>(device_power(table, "idle", {}));
  model.power.prefill = device_power(table, "prefill_power", model.power.idle);
  model.power.decode_base = device_power(table, "decode_power", model.power.idle);
  model.power.decode_per_sequence = device_power(table, "decode_power_per_sequence", watts(0));
  model.power.rising_sequences =
      table.optional_integer("rising_sequences", 0, 1'000'000).value_or(0);
  if (model.power.decode(static_cast<double>(model.most_sequences)) > kMostDeviceWatts) {
    table.fail("decode_power_per_sequence",
               "makes a GPU draw more than " + shortest(in_watts(kMostDeviceWatts)) + " W",
               "lower it, or rising_sequences");
  }
  return model;
}

std::optional<jobs::Tier> read_tier(const ConfigTable& table) {
  const auto word = table.optional_text("tier");
  if (!word) {
    return std::nullopt;
  }
  const auto tier = jobs::parse_tier(*word);
  if (!tier) {
    table.fail("tier", "'" + printable(*word) + "' is no tier of tolerated loss",
               suggestion(*word, std::vector<std::string>{"0%", "10%", "25%", "50%", "paused"}));
  }
  return tier;
}

void read_pool(const ConfigTable& service, const NamedPool& named, const JobPlace& place,
               FreeDevices& devices, ServicePlan& plan) {
  const auto table = service.optional_table(named.key);
  if (!table) {
    return;
  }
  PoolSetup setup;
  setup.model = read_model(*table);
  setup.instances = static_cast<int>(table->integer("instances", 1, kMostInstances));
  const auto number = static_cast<std::size_t>(named.pool);
  plan.laws[number].prefill_exponent =
      table->optional_number("prefill_exponent", {1, 100}).value_or(3);
  plan.laws[number].decode_exponent =
      table->optional_number("decode_exponent", {1, 100}).value_or(3);
  auto& loss = plan.pool_terms[number].tolerated_loss_ratio;
  loss = table->optional_number("tolerated_loss_ratio", {0, 0.5}).value_or(loss);
  auto& tier = plan.pool_terms[number].tier;
  tier = read_tier(*table).value_or(tier);
  if (tier == jobs::Tier::paused && named.pool != Pool::aggregated) {
    (table->has("tier") ? *table : service)
        .fail("tier", "one of two pools cannot be paused by itself",
              "write tier = \"50%\", or give the service one pool, aggregated");
  }
  plan.least_instances[number] =
      static_cast<int>(table->optional_integer("least_instances", 1, setup.instances).value_or(1));
  plan.gpus[number] = devices.take(
      *table, place,
      static_cast<std::size_t>(setup.instances) * static_cast<std::size_t>(setup.model.gpus));
  table->reject_unknown_keys();
  auto& pool = named.pool == Pool::aggregated ? plan.setup.aggregated
               : named.pool == Pool::prefill  ? plan.setup.prefill
                                              : plan.setup.decode;
  pool = std::move(setup);
}

JobTerms read_terms(const ConfigTable& table) {
  JobTerms terms;
  terms.priority =
      static_cast<int>(table.optional_integer("priority", 0, jobs::kMostPriority).value_or(0));
  terms.tier = read_tier(table).value_or(terms.tier);
  terms.tolerated_loss_ratio = table.optional_number("tolerated_loss_ratio", {0, 0.5}).value_or(0);
  return terms;
}

/// What a training job can be made smaller by.
void read_parts(const ConfigTable& table, TrainingPlan& plan) {
  const auto gpus = table.integer("gpus", 1, kMostInstances);
  plan.part_gpus = static_cast<int>(table.optional_integer("part_gpus", 1, gpus).value_or(0));
  if (plan.part_gpus > 0 && gpus % plan.part_gpus != 0) {
    table.fail(
        "part_gpus",
        std::to_string(gpus) + " GPUs are not whole parts of " + std::to_string(plan.part_gpus),
        "give a divisor of gpus");
  }
  const auto parts = plan.part_gpus > 0 ? gpus / plan.part_gpus : 1;
  plan.least_parts = static_cast<int>(table.optional_integer("least_parts", 1, parts).value_or(1));
}

/// By request, or by mass with a sample.
void read_level(const ConfigTable& table, ServicePlan& plan) {
  plan.sample_ratio = table.optional_number("sample_ratio", {1e-6, 1});
  if (!plan.sample_ratio) {
    return;
  }
  if (!std::holds_alternative<SteadyArrivals>(plan.arrivals) &&
      !std::holds_alternative<DailyArrivals>(plan.arrivals)) {
    table.fail("sample_ratio", "a service by mass has no trace and no clients",
               "give its arrivals a rate, or leave sample_ratio out");
  }
  static_cast<void>(ServiceTwin{plan.setup, plan.lengths, *plan.sample_ratio, 0});
}

}  // namespace

FreeDevices::FreeDevices(const topology::PowerTree& tree)
    : tree_{tree}, is_taken_(tree.devices().size()) {}

std::vector<topology::DeviceIndex> FreeDevices::take(const ConfigTable& table,
                                                     const JobPlace& place, std::size_t count) {
  const auto below = table.optional_text("below");
  const std::string id = !below               ? place.node
                         : place.node.empty() ? *below
                                              : place.node + "/" + *below;
  const auto found = tree_.find_node(id);
  if (!id.empty() && !found) {
    table.fail("below", "'" + printable(id) + "' is no node of the topology",
               "name the id of a node; repeated entries make id-1, id-2, ...");
  }
  const auto node = found.value_or(topology::NodeIndex{0});
  std::vector<topology::DeviceIndex> taken;
  for (const auto device : devices_below(tree_, node)) {
    if (taken.size() < count && !is_taken_[device.value]) {
      taken.push_back(device);
      is_taken_[device.value] = 1;
    }
  }
  if (taken.size() < count) {
    table.fail(table.has("below") ? "below" : "instances",
               std::to_string(count) + " GPUs are asked for, " + std::to_string(taken.size()) +
                   " are free below node '" + printable(tree_.node(node).id) + "'",
               "lower instances or gpus, or add devices there");
  }
  return taken;
}

std::vector<JobPlace> read_places(const ConfigTable& table, const topology::PowerTree& tree) {
  const auto entry = table.optional_text("for_each");
  if (!entry) {
    return {JobPlace{}};
  }
  std::vector<JobPlace> places;
  for (const auto node : nodes_of_entry(tree, *entry)) {
    const auto& id = tree.node(node).id;
    const int number = static_cast<int>(places.size());
    places.push_back({"-" + std::to_string(number + 1), id, number});
  }
  if (places.empty()) {
    table.fail("for_each", "no node is of an entry '" + printable(*entry) + "'",
               "name the id of a [[topology.node]]");
  }
  return places;
}

std::vector<topology::NodeIndex> nodes_of_entry(const topology::PowerTree& tree,
                                                const std::string& entry) {
  std::vector<topology::NodeIndex> nodes;
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    const std::string_view id = tree.nodes()[n].id;
    const auto own = id.substr(id.rfind('/') + 1);  // npos + 1 is 0
    const bool is_numbered =
        own.size() > entry.size() + 1 && own.substr(0, entry.size()) == entry &&
        own[entry.size()] == '-' &&
        own.find_first_not_of("0123456789", entry.size() + 1) == std::string_view::npos;
    if (own == entry || is_numbered) {
      nodes.push_back({n});
    }
  }
  return nodes;
}

std::vector<topology::DeviceIndex> devices_below(const topology::PowerTree& tree,
                                                 topology::NodeIndex node) {
  std::vector<char> is_below(tree.nodes().size());
  is_below[node.value] = 1;
  std::vector<topology::DeviceIndex> devices;
  for (auto n = node.value; n < tree.nodes().size(); ++n) {
    if (is_below[n] == 0) {
      continue;
    }
    for (const auto fed : tree.fed_by({n})) {
      is_below[fed.value] = 1;
    }
    const auto own = tree.devices_of({n});
    for (auto d = own.first.value; d < own.end.value; ++d) {
      devices.push_back({d});
    }
  }
  return devices;
}

topology::NodeIndex read_node(const ConfigTable& table, std::string_view key,
                              const topology::PowerTree& tree) {
  const auto id = table.text(key);
  const auto node = tree.find_node(id);
  if (!node) {
    table.fail(key, "'" + printable(id) + "' is no node of the topology",
               "name the id of a node; repeated entries make id-1, id-2, ...");
  }
  return *node;
}

ServicePlan read_service(const ConfigTable& table, const JobPlace& place, FreeDevices& devices,
                         const std::filesystem::path& folder) {
  ServicePlan plan;
  plan.entry = table.text("id");
  plan.id = plan.entry + place.suffix;
  plan.pool_terms.fill(read_terms(table));
  plan.setup.limits.max_ttft = table.optional_duration("max_ttft");
  plan.setup.limits.max_tpot = table.optional_duration("max_tpot");
  for (const char* key : {"max_ttft", "max_tpot"}) {
    static_cast<void>(duration_up_to(table, key, {}, kLongestLatency));
  }
  for (const auto& named : kPoolKeys) {
    read_pool(table, named, place, devices, plan);
  }
  if (!plan.setup.aggregated && !(plan.setup.prefill && plan.setup.decode)) {
    table.fail("aggregated", "neither it nor both prefill and decode are there",
               "add [service.aggregated], or [service.prefill] and [service.decode]");
  }
  plan.setup.check();
  plan.lengths = {read_law(table, "input"), read_law(table, "output")};
  plan.lengths.check();
  const auto arrivals = table.optional_table("arrivals");
  if (!arrivals) {
    table.fail("arrivals", "is missing", "add arrivals = { rate = \"10req/s\" }");
  }
  plan.arrivals = read_arrivals(*arrivals, place.number, folder);
  arrivals->reject_unknown_keys();
  read_level(table, plan);
  plan.usd_per_input_token = usd_per_million_tokens(
      table.optional_number("usd_per_million_input_tokens", {0, 1e9}).value_or(0));
  plan.usd_per_output_token = usd_per_million_tokens(
      table.optional_number("usd_per_million_output_tokens", {0, 1e9}).value_or(1));
  table.reject_unknown_keys();
  return plan;
}

TrainingPlan read_training(const ConfigTable& table, const JobPlace& place, FreeDevices& devices) {
  TrainingPlan plan;
  plan.entry = table.text("id");
  plan.id = plan.entry + place.suffix;
  plan.terms = read_terms(table);
  plan.step = required_duration(table, "step");
  if (plan.step < seconds(0.001)) {
    table.fail("step", "is below 1 ms", "give the time of one iteration");
  }
  plan.communication_ratio = table.optional_number("communication_ratio", {0, 0.99}).value_or(0);
  plan.idle = table.power("idle");
  plan.compute = table.power("compute_power");
  plan.communication = device_power(table, "communication_power", plan.idle);
  static_cast<void>(device_power(table, "compute_power", {}));
  if (plan.compute <= plan.idle) {
    table.fail("compute_power", "is not above idle", "give the draw of a GPU that computes");
  }
  plan.law.prefill_exponent = table.optional_number("exponent", {1, 100}).value_or(3);
  plan.checkpoint_every = duration_or(table, "checkpoint_every", seconds(0));
  plan.checkpoint_takes = duration_or(table, "checkpoint_takes", seconds(0));
  plan.restart_takes = duration_or(table, "restart_takes", seconds(0));
  read_parts(table, plan);
  plan.usd_per_gpu_second =
      usd_per_hour(table.optional_number("usd_per_gpu_hour", {0, 1e6}).value_or(1));
  plan.gpus =
      devices.take(table, place, static_cast<std::size_t>(table.integer("gpus", 1, 1'000'000)));
  table.reject_unknown_keys();
  return plan;
}

}  // namespace perwatt::simulate
