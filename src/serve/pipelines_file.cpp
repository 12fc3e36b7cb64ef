#include "perwatt/serve/pipelines_file.hpp"

#include <algorithm>

#include "perwatt/base/config.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/training/pipeline_table.hpp"

namespace perwatt::serve {

namespace {

/// Names stand at the head of a job's metadata and in its id, which stands in addresses.
bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

PlanGoal read_goal(const ConfigTable& table) {
  PlanGoal goal;
  goal.time = table.optional_duration("iteration_time");
  goal.least_energy = table.optional_flag("least_energy").value_or(false);
  if (goal.time && goal.least_energy) {
    table.fail("least_energy", "stands beside iteration_time", "keep one of the two");
  }
  return goal;
}

}  // namespace

std::vector<std::unique_ptr<PlannedPipeline>> read_pipelines(const std::filesystem::path& file) {
  const auto document = ConfigTable::parse(read_file(file), file.string());
  std::vector<std::unique_ptr<PlannedPipeline>> pipelines;
  for (const auto& table : document.tables("pipeline")) {
    auto name = table.text("name");
    if (!is_name(name)) {
      table.fail("name", "is '" + printable(name) + "'",
                 "use up to 64 letters, digits, '-', '.' and '_'");
    }
    if (std::any_of(pipelines.begin(), pipelines.end(),
                    [&](const auto& other) { return other->name() == name; })) {
      table.fail("name", "'" + name + "' is the name of two pipelines", "give each its own");
    }
    const auto goal = read_goal(table);
    auto pipeline = training::read_pipeline_table(table, file.parent_path());
    table.reject_unknown_keys();
    pipelines.push_back(
        std::make_unique<PlannedPipeline>(std::move(name), std::move(pipeline), goal,
                                          table.where(goal.time ? "iteration_time" : "name")));
  }
  document.reject_unknown_keys();
  if (pipelines.empty()) {
    throw_bad_input("there is no [[pipeline]]", file.string(),
                    "describe one as docs/reference/training-server.md has it");
  }
  return pipelines;
}

}  // namespace perwatt::serve
