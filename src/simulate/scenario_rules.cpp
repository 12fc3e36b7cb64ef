// How perwatt's policy may act: the keys of a policy that only it reads.
#include <string>
#include <utility>
#include <vector>

#include "scenario_reader.hpp"

#include "perwatt/base/text.hpp"
#include "perwatt/control/mode.hpp"
#include "perwatt/control/write_rules.hpp"

namespace perwatt::simulate {

namespace {

constexpr Seconds kLongestSpread = seconds(86400);
constexpr Seconds kLongestMaintenance = seconds(400.0 * 86400);
constexpr Range kChangeRange{1, 1e6};

control::Mode mode_or_control(const ConfigTable& table) {
  const auto word = table.optional_text("mode");
  if (!word) {
    return control::Mode::control;
  }
  const auto mode = control::parse_mode(*word);
  if (!mode) {
    const std::vector<std::string> known{"observe", "advise", "control"};
    table.fail("mode", "'" + printable(*word) + "' is no mode", suggestion(*word, known));
  }
  return *mode;
}

control::WriteRules read_writes(const ConfigTable& table) {
  control::WriteRules writes;
  if (table.has("raise_per_second")) {
    const Watts rise = device_power(table, "raise_per_second", {});
    if (rise <= Watts{}) {
      table.fail("raise_per_second", "is not above 0 W", "leave it out to raise at once");
    }
    writes.slew = rise / seconds(1);
  }
  writes.spread = duration_up_to(table, "raise_spread", {}, kLongestSpread);
  writes.changes_per_hour = table.optional_number("changes_per_hour", kChangeRange);
  return writes;
}

}  // namespace

Maintenance read_maintenance(const ConfigTable& table, const topology::PowerTree& tree) {
  Maintenance maintenance;
  maintenance.node = read_node(table, "node", tree);
  for (const auto& [key, time] :
       {std::pair{"at", &maintenance.at}, std::pair{"lasts", &maintenance.lasts}}) {
    *time = required_duration(table, key);
    static_cast<void>(duration_up_to(table, key, {}, kLongestMaintenance));
  }
  table.reject_unknown_keys();
  return maintenance;
}

void read_policy_rules(const ConfigTable& table, PolicyPlan& policy) {
  policy.mode = mode_or_control(table);
  policy.writes = read_writes(table);
  for (const char* key : {"mode", "raise_per_second", "raise_spread", "changes_per_hour"}) {
    if (policy.kind != PolicyKind::perwatt && table.has(key)) {
      table.fail(key, "is of policies of kind perwatt alone", "leave it out");
    }
  }
}

}  // namespace perwatt::simulate
