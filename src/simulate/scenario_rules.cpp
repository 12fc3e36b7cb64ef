// How perwatt's policy may act: the keys of a policy that only it reads.
#include <string>
#include <vector>

#include "scenario_reader.hpp"

#include "perwatt/base/text.hpp"
#include "perwatt/control/mode.hpp"

namespace perwatt::simulate {

namespace {

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

}  // namespace

void read_policy_rules(const ConfigTable& table, PolicyPlan& policy) {
  policy.mode = mode_or_control(table);
  if (policy.kind != PolicyKind::perwatt && policy.mode != control::Mode::control) {
    table.fail("mode", "is of policies of kind perwatt alone", "leave it out");
  }
}

}  // namespace perwatt::simulate
