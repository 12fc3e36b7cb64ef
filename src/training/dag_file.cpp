#include "perwatt/training/dag_file.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/json_node.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/training/schedule.hpp"

namespace perwatt::training {

namespace {

constexpr const char* kGraphRemedy = "write the graph as docs/reference/training-profile.md has it";

double positive(const JsonNode& node, const char* key) {
  const double value = node.not_negative(key);
  if (!(value > 0)) {
    node.fail(key, "a number above 0");
  }
  return value;
}

std::vector<ProfileRow> own_options(const JsonNode& operation, int stage,
                                    const std::string& instruction,
                                    const std::vector<std::string>& other_knobs) {
  std::vector<ProfileRow> rows;
  for (const auto& option : operation.nodes("options")) {
    ProfileRow row;
    row.stage = stage;
    row.instruction = instruction;
    row.knob.frequency_mhz = option.optional_int("frequency_mhz");
    for (const auto& knob : other_knobs) {
      row.knob.others.push_back(option.text(knob.c_str()));
    }
    row.time = seconds(positive(option, "time_seconds"));
    row.energy = Joules::from_base(option.not_negative("energy_joules"));
    rows.push_back(std::move(row));
  }
  if (rows.empty()) {
    operation.fail("options", "a list of options");
  }
  return rows;
}

std::vector<ProfileRow> profiled_options(const Profile& profile, int stage,
                                         const std::string& instruction, const JsonNode& node) {
  std::vector<ProfileRow> rows;
  std::copy_if(
      profile.rows.begin(), profile.rows.end(), std::back_inserter(rows),
      [&](const ProfileRow& row) { return row.stage == stage && row.instruction == instruction; });
  if (rows.empty()) {
    throw_bad_input("the operation has no options and the profile no " + printable(instruction) +
                        " of stage " + std::to_string(stage),
                    node.where(), "give its options, or profile it");
  }
  return rows;
}

class DagReader {
 public:
  DagReader(const Profile& profile, Watts blocking_power) : profile_{profile} {
    pipeline_.blocking_power = blocking_power;
  }

  Pipeline read(const JsonNode& root) {
    pipeline_.other_knobs =
        root.has("other_knobs") ? root.texts("other_knobs") : profile_.other_knobs;
    if (!profile_.rows.empty() && pipeline_.other_knobs != profile_.other_knobs) {
      root.fail("other_knobs", "the list of the profile's knobs");
    }
    for (const auto& node : root.nodes("operations")) {
      add_operation(node);
    }
    if (pipeline_.operations.empty()) {
      root.fail("operations", "a list of operations");
    }
    if (root.has("dependencies")) {
      for (const auto& node : root.nodes("dependencies")) {
        pipeline_.dependencies.push_back(
            {operation_at(node, "before"), operation_at(node, "after"),
             seconds(node.optional_not_negative("delay_seconds").value_or(0))});
      }
    }
    for (std::size_t stage = 0; stage < pipeline_.order.size(); ++stage) {
      add_order(stage, root);
    }
    pipeline_.tail = seconds(root.optional_not_negative("tail_seconds").value_or(0));
    static_cast<void>(topological_order(pipeline_, root.where()));
    return std::move(pipeline_);
  }

 private:
  void add_operation(const JsonNode& node) {
    const auto stage = node.optional_int("stage");
    if (!stage || *stage >= kMostStages) {
      node.fail("stage", "a stage from 0 to 4095");
    }
    const auto instruction = node.text("instruction");
    const auto operation = static_cast<std::uint32_t>(pipeline_.operations.size());
    const auto name = node.text("name");
    if (!by_name_.emplace(name, operation).second) {
      throw_bad_input("two operations are called '" + printable(name) + "'", node.where(),
                      "give each its own name");
    }
    pipeline_.operations.push_back(
        {work_of(node, *stage, instruction), node.optional_int("microbatch").value_or(-1)});
    pipeline_.stages = std::max(pipeline_.stages, *stage + 1);
    pipeline_.order.resize(static_cast<std::size_t>(pipeline_.stages));
    pipeline_.order[static_cast<std::size_t>(*stage)].push_back(operation);
  }

  void add_order(std::size_t stage, const JsonNode& root) {
    const auto& order = pipeline_.order[stage];
    if (order.empty()) {
      throw_bad_input("no operation is on stage " + std::to_string(stage) + " of " +
                          std::to_string(pipeline_.stages),
                      root.place("operations"), "number the stages from 0 without a gap");
    }
    for (std::size_t i = 1; i < order.size(); ++i) {
      pipeline_.dependencies.push_back({order[i - 1], order[i], Seconds{}});
    }
  }

  std::uint32_t work_of(const JsonNode& node, int stage, const std::string& instruction) {
    const auto add = [&](const std::vector<ProfileRow>& rows) {
      pipeline_.works.push_back(make_work(rows, pipeline_.blocking_power));
      return static_cast<std::uint32_t>(pipeline_.works.size() - 1);
    };
    if (node.has("options")) {
      return add(own_options(node, stage, instruction, pipeline_.other_knobs));
    }
    const auto key = std::pair{stage, instruction};
    const auto found = profiled_.find(key);
    return found != profiled_.end()
               ? found->second
               : profiled_[key] = add(profiled_options(profile_, stage, instruction, node));
  }

  std::uint32_t operation_at(const JsonNode& node, const char* key) const {
    const auto name = node.text(key);
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) {
      throw_bad_input("no operation is called '" + printable(name) + "'", node.place(key),
                      "name an operation of the graph");
    }
    return found->second;
  }

  const Profile& profile_;
  Pipeline pipeline_;
  std::map<std::string, std::uint32_t> by_name_;
  std::map<std::pair<int, std::string>, std::uint32_t> profiled_;
};

}  // namespace

Pipeline read_dag(std::string_view text, const std::string& name, const Profile& profile,
                  Watts blocking_power) {
  const auto json = parse_json(text, name, kGraphRemedy);
  return DagReader{profile, blocking_power}.read(JsonNode{json, name, kGraphRemedy});
}

}  // namespace perwatt::training
