// Scenarios that several tests read, run and break.
#pragma once

#include <string>
#include <vector>

#include "perwatt/simulate/run_scenario.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::simulate {

inline const std::string kHeadText = R"([scenario]
name = "small"
duration = "60s"
warm_up = "10s"
overshoot = "1%"
settle = "1s"
electricity = "0.06USD/kWh"
)";

inline const std::string kSensorsText = R"([sensors]
period = "1s"
delay = "200ms"
noise = "3W"
bias = "1%"
[meters]
period = "1s"
)";

inline const std::string kKindText = R"([[device_kind]]
accelerator = "gpu"
idle = "100W"
overshoot = "1%"
)";

/// Two racks of eight GPUs that take 200 W to 700 W, all of them 5.6 kW.
inline const std::string kTreeText = R"([[topology.node]]
id = "site"
limits = [{ power = "7kW", what = "breaker" }]
meter = "supply"
[[topology.node]]
id = "rack"
kind = "rack"
parent = "site"
count = 2
limits = [{ power = "5kW", what = "breaker" }]
meter = "supply"
[[topology.device]]
id = "gpu"
parent = "rack"
count = 8
min = "200W"
max = "700W"
fail_safe = "300W"
accelerator = "gpu"
)";

inline const std::string kServiceText = R"([[service]]
id = "chat"
priority = 2
tolerated_loss_ratio = 0.05
max_ttft = "2s"
max_tpot = "50ms"
input = { tokens = 1000, law = "exponential" }
output = { tokens = 100, law = "exponential" }
usd_per_million_output_tokens = 2
arrivals = { rate = "20req/s" }
[service.prefill]
below = "rack-1"
instances = 2
gpus = 2
prefill_rate = "20ktok/s"
idle = "100W"
prefill_power = "650W"
[service.decode]
below = "rack-1"
instances = 1
gpus = 4
step_base = "10ms"
step_per_sequence = "100us"
most_sequences = 128
idle = "100W"
decode_power = "350W"
decode_power_per_sequence = "2W"
rising_sequences = 128
decode_exponent = 8
)";

inline const std::string kTrainingText = R"([[training]]
id = "train"
priority = 1
gpus = 8
below = "rack-2"
step = "2s"
communication_ratio = 0.2
idle = "100W"
compute_power = "680W"
communication_power = "250W"
checkpoint_every = "20s"
checkpoint_takes = "2s"
restart_takes = "3s"
usd_per_gpu_hour = 2
)";

inline std::string small_scenario_text() {
  return kHeadText + kSensorsText + kKindText + kTreeText + kServiceText + kTrainingText;
}

inline Scenario scenario_of(const std::string& text) {
  return read_scenario(text, "s.toml", PERWATT_SOURCE_DIR);
}

/// The text with the first `from` put as `to`; the text must hold it.
inline std::string with(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

/// The small site short of watts: somebody is always above fail-safe, and what one leaves another
/// takes.
inline Scenario scarce_scenario(const std::string& faults) {
  auto text = with(small_scenario_text(), "duration = \"60s\"", "duration = \"110s\"");
  text = with(text, "settle = \"1s\"", "settle = \"1s\"\nmessage_delay = \"100ms\"");
  text = with(text, "7kW", "5.6kW");
  text = with(text, "rate = \"20req/s\"",
              "rate = \"30req/s\", pattern = \"bursts\", burst_size = 300");
  return scenario_of(text + faults);
}

inline PolicyPlan policy_of(PolicyKind kind) {
  PolicyPlan plan;
  plan.kind = kind;
  plan.name = to_string(kind);
  plan.cadence = kind == PolicyKind::steering ? seconds(90) : seconds(1);
  return plan;
}

inline const std::vector<PolicyKind> kEveryPolicy{
    PolicyKind::fixed,    PolicyKind::proportional, PolicyKind::even,       PolicyKind::steering,
    PolicyKind::stealing, PolicyKind::perwatt,      PolicyKind::clairvoyant};

}  // namespace perwatt::simulate
