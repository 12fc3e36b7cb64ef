#include "scenario_input.hpp"

#include <filesystem>
#include <vector>

#include "verbs.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::cli {

simulate::Scenario read_scenario_file(const std::string& file, const ScenarioFlags& flags) {
  auto scenario =
      simulate::read_scenario(read_file(file), file, std::filesystem::path{file}.parent_path());
  if (!flags.duration.empty()) {
    scenario.duration = parse_flag([&] { return parse_seconds(flags.duration, "--duration"); });
    if (const auto fault = simulate::length_fault(scenario)) {
      throw Error{ErrorCode::usage, *fault, "--duration", "write --duration 10min"};
    }
  }
  scenario.seed = flags.seed.value_or(scenario.seed);
  return scenario;
}

const simulate::PolicyPlan& policy_named(const simulate::Scenario& scenario,
                                         const std::string& name, const char* whose) {
  std::vector<std::string> known;
  for (const auto& policy : scenario.policies) {
    if (policy.name == name) {
      return policy;
    }
    known.push_back(policy.name);
  }
  throw Error{ErrorCode::usage, "'" + printable(name) + "' is no policy of the " + whose,
              "--policy", suggestion(name, known)};
}

}  // namespace perwatt::cli
