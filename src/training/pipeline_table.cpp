#include "perwatt/training/pipeline_table.hpp"

#include "perwatt/base/file.hpp"
#include "perwatt/training/dag_file.hpp"
#include "perwatt/training/profile.hpp"

namespace perwatt::training {

PipelineShape read_pipeline_shape(const ConfigTable& table) {
  PipelineShape shape;
  shape.stages = static_cast<int>(table.integer("stages", 1, kMostStages));
  shape.microbatches = static_cast<int>(table.integer("microbatches", 1, kMostMicrobatches));
  shape.schedule =
      parse_schedule(table.optional_text("schedule").value_or("1f1b"), table.where("schedule"));
  shape.blocking_power = table.power("blocking_power");
  shape.transfer = table.optional_duration("transfer").value_or(Seconds{});
  shape.tail = table.optional_duration("tail").value_or(Seconds{});
  check_size(shape, table.where("microbatches"));
  return shape;
}

Pipeline read_pipeline_table(const ConfigTable& table, const std::filesystem::path& folder) {
  const auto blocking_power = table.power("blocking_power");
  const auto dag = table.optional_text("dag");
  const auto profile_file = dag ? table.optional_text("profile") : table.text("profile");
  Profile profile;
  if (profile_file) {
    const auto path = (folder / *profile_file).string();
    profile = read_profile(read_file(path), path);
  }
  if (!dag) {
    return make_pipeline(profile, read_pipeline_shape(table));
  }
  for (const auto* key : {"stages", "microbatches", "schedule", "transfer", "tail"}) {
    if (table.has(key)) {
      table.fail(key, "a graph of operations has no schedule", "leave it out, or leave out dag");
    }
  }
  const auto path = (folder / *dag).string();
  return read_dag(read_file(path), path, profile, blocking_power);
}

}  // namespace perwatt::training
