// What a simulation was told and what it assumes: faults, policies, plant, devices, sensors, work.
#include <algorithm>
#include <utility>

#include "simulation_parts.hpp"
#include "text.hpp"
#include <fmt/format.h>

#include "perwatt/report/training_report.hpp"

namespace perwatt::report {

namespace {

using simulate::Fault;
using simulate::FaultKind;
using simulate::PolicyKind;
using simulate::Scenario;

std::string nanoseconds_text(std::int64_t time) {
  return significant(static_cast<double>(time) / 1e9) + " s";
}

std::string steps_text(std::int32_t steps, const Scenario& scenario) {
  return nanoseconds_text(steps * scenario.plant.step_ns);
}

bool is_of_a_node(FaultKind kind) {
  return kind != FaultKind::messages_lost && kind != FaultKind::controller_killed;
}

std::string fault_value(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::limit_lowered:
    case FaultKind::other_writer:
      return power_text(fault.power);
    case FaultKind::sensor_scaled:
    case FaultKind::meter_scaled:
      return "by " + significant(fault.factor);
    case FaultKind::messages_lost:
      return percent_text(fault.factor) + " of them";
    case FaultKind::cap_late:
      return seconds_text(fault.delay) + " more";
    default:
      return "";
  }
}

Table faults_table(const Scenario& scenario) {
  Table table{"faults",
              "Faults",
              "Times are since scoring began; before 0 is the warm-up.",
              {{"fault"}, {"node"}, {"begins", kRight}, {"lasts", kRight}, {"value", kRight}},
              {}};
  for (const auto& fault : scenario.faults) {
    if (table.rows.size() == kMostSimulationRows) {
      table.note +=
          fmt::format(" {} more are not listed.", scenario.faults.size() - kMostSimulationRows);
      break;
    }
    table.add({std::string{simulate::to_string(fault.kind)},
               is_of_a_node(fault.kind) ? scenario.tree.node(fault.node).id : "",
               significant(in_seconds(fault.at - scenario.warm_up), 6) + " s",
               seconds_text(fault.lasts), fault_value(fault)});
  }
  return table;
}

const char* policy_meaning(PolicyKind kind) {
  switch (kind) {
    case PolicyKind::fixed:
      return "nameplate where it fits, else even shares, once";
    case PolicyKind::proportional:
      return "shares of every limit in proportion to demand";
    case PolicyKind::even:
      return "the highest common level, up to demand";
    case PolicyKind::steering:
      return "under-users give to those at their cap (DPS 0.7.6 defaults)";
    case PolicyKind::stealing:
      return "by priority bands, the highest first, without regard to use";
    case PolicyKind::perwatt:
      return "leases, by value";
    case PolicyKind::clairvoyant:
      return "by value, with true demand and devices that obey at once, moment by moment";
  }
  return "";
}

std::string absent_text(const Scenario& scenario, const simulate::PolicyPlan& plan) {
  constexpr std::size_t kMostAbsent = 6;
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < std::min(plan.absent.size(), kMostAbsent); ++i) {
    ids.push_back(scenario.tree.node(plan.absent[i]).id);
  }
  if (plan.absent.size() > kMostAbsent) {
    ids.push_back(fmt::format("{} more", plan.absent.size() - kMostAbsent));
  }
  return listed(ids);
}

/// Of the policies that ran, in their order.
Table plans_of_policies_table(const SimulationReport& report) {
  Table table{"policy-plans",
              "What the policies do",
              "Guard: a share of every limit that is kept free. Jobs that are off have no GPUs on; "
              "nodes that are absent draw nothing.",
              {{"policy"},
               {"kind"},
               {"what it does", kProse},
               {"every", kRight},
               {"guard", kRight},
               {"jobs off", kProse},
               {"nodes absent", kProse}},
              {}};
  const auto& plans = report.scenario->policies;
  const auto names = policy_names(report);
  for (std::size_t p = 0; p < names.size(); ++p) {
    const auto& run = (*report.runs)[p].front();
    const auto plan = std::find_if(plans.begin(), plans.end(),
                                   [&](const auto& one) { return one.name == run.policy; });
    const bool is_known = plan != plans.end();
    const bool is_once = run.kind == PolicyKind::fixed;
    table.add({names[p], std::string{simulate::to_string(run.kind)}, policy_meaning(run.kind),
               is_once    ? "once"
               : is_known ? seconds_text(plan->cadence)
                          : "-",
               is_known ? percent_text(plan->guard_ratio) : "-", is_known ? listed(plan->off) : "",
               is_known ? absent_text(*report.scenario, *plan) : ""});
  }
  return table;
}

Table conditions_table(const Scenario& scenario) {
  Table table{"assumed-plant",
              "Assumed: plant and controller",
              "",
              {{"what"}, {"value", kRight}, {"meaning", kProse}},
              {}};
  const auto& plant = scenario.plant;
  table.add({"step of the plant", nanoseconds_text(plant.step_ns), "nothing is seen in between"});
  table.add({"lead-in", seconds_text(simulate::kLeadIn),
             "the policy sets its first caps, before the work begins"});
  table.add({"warm-up", significant(in_seconds(scenario.warm_up), 6) + " s",
             "work that is not scored; limits are watched"});
  table.add({"message delay", significant(in_seconds(scenario.message_delay)) + " s",
             "between controller and agents, one way"});
  table.add({"believed overshoot", percent_text(scenario.overshoot_ratio),
             "what the controller expects a device to draw over its cap"});
  table.add({"believed settling", significant(in_seconds(scenario.settle)) + " s",
             "until the controller counts on a new cap"});
  table.add({"breakers", plant.trips_open ? "open" : "stay closed", "when their curve trips"});
  table.add({"breakers recover in", seconds_text(plant.breaker_recovery),
             "from the edge of tripping to cold, evenly: no maker states it"});
  table.add({"electricity", significant(in_usd_per_kwh(scenario.electricity)) + " USD/kWh",
             "of the root's supply"});
  if (scenario.failures) {
    table.add({"failures of each " + std::string{topology::to_string(scenario.failures->level)},
               "every " + seconds_text(scenario.failures->mean_time_between),
               "at random, exponential times; repair takes " +
                   seconds_text(scenario.failures->repair_takes)});
  }
  return table;
}

Table device_kinds_table(const Scenario& scenario) {
  Table table{"assumed-devices",
              "Assumed: devices",
              "One time constant stands for the draw of a board, a second one for how its own "
              "regulation pulls an excess in; a cap acts after a latency drawn evenly from its "
              "range. They are a model, not a measurement of these boards.",
              {{"kind"},
               {"devices", kRight},
               {"idle", kRight},
               {"lowest cap", kRight},
               {"highest cap", kRight},
               {"steps of caps", kRight},
               {"lag of draw", kRight},
               {"lag of regulation", kRight},
               {"overshoot", kRight},
               {"latency of caps", kRight}},
              {}};
  const auto& plant = scenario.plant;
  for (std::size_t k = 0; k < plant.kinds.size(); ++k) {
    const auto& kind = plant.kinds[k];
    const auto count =
        plant.kind_of_device.empty()
            ? static_cast<std::ptrdiff_t>(k == 0 ? scenario.tree.devices().size() : 0)
            : std::count(plant.kind_of_device.begin(), plant.kind_of_device.end(),
                         static_cast<std::uint16_t>(k));
    table.add({kind.name, significant(static_cast<double>(count), 12), power_text(kind.idle),
               power_text(kind.lowest_cap), power_text(kind.highest_cap),
               kind.cap_resolution > Watts{} ? power_text(kind.cap_resolution) : "any",
               significant(in_seconds(kind.response)) + " s",
               significant(in_seconds(kind.regulation)) + " s",
               percent_text(kind.overshoot_ratio - 1),
               nanoseconds_text(kind.least_latency_ns) + " to " +
                   nanoseconds_text(kind.most_latency_ns)});
  }
  return table;
}

Table sensors_table(const Scenario& scenario) {
  Table table{"assumed-sensors",
              "Assumed: sensors",
              "A sample is of an instant, not a mean; bias is a constant of each sensor, even in "
              "its range. Scores are by the plant's own truth, which no policy sees.",
              {{"sensors of"},
               {"sample every", kRight},
               {"delay", kRight},
               {"rounded to", kRight},
               {"noise", kRight},
               {"bias within", kRight}},
              {}};
  const auto add = [&](const char* name, const std::optional<simulate::SensorSpec>& spec) {
    if (!spec) {
      table.add({name, "none", "", "", "", ""});
      return;
    }
    table.add({name, steps_text(spec->sample_steps, scenario),
               steps_text(spec->delay_steps, scenario),
               spec->quantum > Watts{} ? power_text(spec->quantum) : "-", power_text(spec->noise),
               "± " + percent_text(spec->most_bias_ratio)});
  };
  add("devices", scenario.plant.device_sensors);
  add("metered nodes", scenario.plant.node_sensors);
  return table;
}

constexpr std::pair<simulate::Pool, const char*> kPoolNames[] = {
    {simulate::Pool::aggregated, "aggregated"},
    {simulate::Pool::prefill, "prefill"},
    {simulate::Pool::decode, "decode"}};

void add_work_of(const simulate::ServicePlan& service, Table& table) {
  const auto& limits = service.setup.limits;
  const auto limit = [](const std::optional<Seconds>& time, double scale, const char* unit) {
    return time ? significant(in_seconds(*time) * scale) + unit : std::string{"none"};
  };
  for (const auto& [pool, name] : kPoolNames) {
    if (!service.setup.has(pool)) {
      continue;
    }
    const auto& law = service.laws[static_cast<std::size_t>(pool)];
    const auto& setup = service.setup.pool(pool);
    table.add({service.id, name, fmt::format("{} x {}", setup.instances, setup.model.gpus),
               pool == simulate::Pool::decode ? "" : significant(law.prefill_exponent),
               pool == simulate::Pool::prefill ? "" : significant(law.decode_exponent),
               power_text(setup.model.power.idle), limit(limits.max_ttft, 1, " s"),
               limit(limits.max_tpot, 1e3, " ms")});
  }
}

Table work_laws_table(const Scenario& scenario) {
  Table table{"assumed-work",
              "Assumed: how work slows under a cap",
              "Power above idle grows with speed to the power of the exponent: 3 is the law of "
              "dynamic power (Chandrakasan et al., JSSC 1992), more loses less speed per watt, as "
              "work does that waits for memory. Exponents are the scenario's.",
              {{"job"},
               {"pool"},
               {"instances x GPUs", kRight},
               {"prefill, training", kRight},
               {"decode", kRight},
               {"idle of a GPU", kRight},
               {"TTFT limit", kRight},
               {"TPOT limit", kRight}},
              {}};
  std::size_t shown = 0;
  for (const auto& service : scenario.services) {
    if (shown++ < kMostSimulationRows) {
      add_work_of(service, table);
    }
  }
  for (const auto& training : scenario.trainings) {
    if (shown++ < kMostSimulationRows) {
      table.add({training.id, "training", fmt::format("1 x {}", training.gpus.size()),
                 significant(training.law.prefill_exponent), "", power_text(training.idle), "",
                 ""});
    }
  }
  if (shown > kMostSimulationRows) {
    table.note += fmt::format(" {} more jobs are not listed.", shown - kMostSimulationRows);
  }
  return table;
}

}  // namespace

std::string fault_name(const Scenario& scenario, const Fault& fault) {
  const std::string kind{simulate::to_string(fault.kind)};
  return is_of_a_node(fault.kind) ? kind + ": " + scenario.tree.node(fault.node).id : kind;
}

std::vector<Table> assumption_tables(const SimulationReport& report) {
  const auto& scenario = *report.scenario;
  std::vector<Table> tables;
  if (!scenario.faults.empty()) {
    tables.push_back(faults_table(scenario));
  }
  tables.push_back(plans_of_policies_table(report));
  tables.push_back(conditions_table(scenario));
  tables.push_back(device_kinds_table(scenario));
  tables.push_back(sensors_table(scenario));
  if (!scenario.services.empty() || !scenario.trainings.empty()) {
    tables.push_back(work_laws_table(scenario));
  }
  return tables;
}

}  // namespace perwatt::report
