// [[training]] of a site file.
#include <filesystem>
#include <set>
#include <string>

#include "site_tables.hpp"

#include "perwatt/base/text.hpp"
#include "perwatt/training/pipeline_table.hpp"
#include "perwatt/training/schedule.hpp"

namespace perwatt::plan {

namespace {

constexpr std::int64_t kMostGpusPerStage = 65'536;
constexpr std::int64_t kMostPipelines = 10'000'000;
constexpr Range kTokensPerIteration{1.0, 1e12};
constexpr Range kUsdPerMillion{0.0, 1e6};
constexpr Range kTokensPerSecond{0.0, 1e15};

/// A plan of the site finds some dozen frequency plans of each pipeline for every cap of its boards
/// (docs/model/plan.md#training).
constexpr std::size_t kMostOperations = 8'192;

void require_few(const ConfigTable& table, std::size_t operations) {
  if (operations > kMostOperations) {
    table.fail(table.has("dag") ? "dag" : "microbatches",
               "makes an iteration of " + std::to_string(operations) +
                   " operations; a job of a site has at most " + std::to_string(kMostOperations),
               "give fewer microbatches and tokens_per_iteration in the same ratio");
  }
}

training::Pipeline read_pipeline(const ConfigTable& table, const Site& site) {
  if (!table.has("dag")) {  // before it is built: a forward and a backward of each
    const auto stages = table.integer("stages", 1, training::kMostStages);
    const auto microbatches = table.integer("microbatches", 1, training::kMostMicrobatches);
    require_few(table, static_cast<std::size_t>(2 * stages * microbatches));
  }
  auto pipeline =
      training::read_pipeline_table(table, std::filesystem::path{site.file}.parent_path());
  require_few(table, pipeline.operations.size());
  return pipeline;
}

TrainingJob read_job(const ConfigTable& table, const catalog::Catalog& catalog, const Site& site) {
  TrainingJob job;
  job.id = table.text("id");
  job.defined_at = table.where("id");
  job.accelerator = catalog.accelerator(table.text("accelerator"), table.where("accelerator")).id;
  job.curve = std::make_shared<TrainingCurve>(read_pipeline(table, site));
  job.profile = table.optional_text("profile").value_or("");
  job.dag = table.optional_text("dag").value_or("");
  if (job.dag.empty()) {
    job.shape = training::read_pipeline_shape(table);
    job.schedule = table.optional_text("schedule").value_or("1f1b");
  }
  job.gpus_per_stage = static_cast<int>(table.integer("gpus_per_stage", 1, kMostGpusPerStage));
  job.tokens_per_iteration = tokens(table.number("tokens_per_iteration", kTokensPerIteration));
  job.value =
      usd_per_million_tokens(table.number("value_usd_per_million_trained_tokens", kUsdPerMillion));
  job.max_pipelines = static_cast<int>(table.integer("max_pipelines", 1, kMostPipelines));
  if (const auto committed =
          table.optional_number("committed_trained_tokens_per_s", kTokensPerSecond)) {
    job.committed = tokens_per_second(*committed);
  }
  table.reject_unknown_keys();
  return job;
}

}  // namespace

void read_training(const ConfigTable& document, const catalog::Catalog& catalog, Site& site) {
  std::set<std::string> ids;
  for (const auto& table : document.tables("training")) {
    site.training.push_back(read_job(table, catalog, site));
    if (!ids.insert(site.training.back().id).second) {
      table.fail("id", "'" + printable(site.training.back().id) + "' is there twice",
                 "give each training job an id of its own");
    }
  }
}

}  // namespace perwatt::plan
