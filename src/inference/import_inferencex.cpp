#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <system_error>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "import_common.hpp"
#include <nlohmann/json.hpp>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/inference/import.hpp"

namespace perwatt::inference {

namespace fs = std::filesystem;

namespace {

constexpr const char* kSource = "inferencex-dump";
constexpr const char* kConfigsFile = "configs.csv";
constexpr const char* kResultsFile = "benchmark_results_raw.csv";
constexpr const char* kExportRemedy =
    "export the tables configs and benchmark_results as CSV (docs/reference/import.md)";

constexpr const char* kConfigColumns =
    "id,hardware,framework,model,precision,spec_method,disagg,is_multinode,prefill_tp,prefill_ep,"
    "prefill_dp_attention,prefill_num_workers,decode_tp,decode_ep,decode_dp_attention,"
    "decode_num_workers,num_prefill_gpu,num_decode_gpu";
constexpr const char* kResultColumns =
    "id,config_id,benchmark_type,date,isl,osl,conc,metrics,error";

template <auto Member>
void set(MeasuredPoint& point, double value) {
  auto& member = point.*Member;
  member = std::decay_t<decltype(*member)>::from_base(value);
}

struct Metric {
  const char* key;
  Range range;
  void (*store)(MeasuredPoint&, double);
};

constexpr std::array<Metric, 12> kMetrics = {
    {{"tput_per_gpu", kRateRange, set<&MeasuredPoint::total_per_gpu>},
     {"avg_power_w", kPowerRange, set<&MeasuredPoint::gpu_power>},
     {"joules_per_output_token", kEnergyRange, set<&MeasuredPoint::joules_per_output_token>},
     {"joules_per_total_token", kEnergyRange, set<&MeasuredPoint::joules_per_total_token>},
     {"prefill_avg_power_w", kPowerRange, set<&MeasuredPoint::prefill_gpu_power>},
     {"decode_avg_power_w", kPowerRange, set<&MeasuredPoint::decode_gpu_power>},
     {"output_tput_per_gpu", kRateRange, set<&MeasuredPoint::output_per_gpu>},
     {"median_ttft", kTimeRange, set<&MeasuredPoint::ttft_median>},
     {"p99_ttft", kTimeRange, set<&MeasuredPoint::ttft_p99>},
     {"median_tpot", kTimeRange, set<&MeasuredPoint::tpot_median>},
     {"p99_tpot", kTimeRange, set<&MeasuredPoint::tpot_p99>},
     {"median_e2el", kTimeRange, set<&MeasuredPoint::e2e_median>}}};
// Places in kMetrics.
constexpr std::size_t kTotal = 0;
constexpr std::size_t kEnergyBegin = 1;  // of the whole deployment
constexpr std::size_t kPoolPowerBegin = 4;
constexpr std::size_t kPoolPowerEnd = 6;

/// What one run measured; a metric that it lacks is empty.
using Sample = std::array<std::optional<double>, kMetrics.size()>;

bool has_energy(const Sample& sample) {
  return std::any_of(sample.begin() + kEnergyBegin, sample.begin() + kPoolPowerBegin,
                     [](const auto& value) { return value.has_value(); });
}

/// One row of configs.csv: kNames and layout of a deployment.
struct Configuration {
  MeasuredPoint point;
  bool is_single_engine = false;  // its GPUs are tp × pipeline × context parallel
  std::optional<RejectedRow> fault;
};

std::string engine_id(const std::string& framework) {
  static const std::map<std::string, std::string, std::less<>> kNames = {
      {"trt", "trtllm"}, {"dynamo-trt", "dynamo-trtllm"}, {"mooncake-atom", "atom-disagg"}};
  const auto at = kNames.find(framework);
  return at == kNames.end() ? framework : at->second;
}

void read_pools(RowFields& row, Layout& layout) {
  const int prefill_tp = row.count("prefill_tp", 0);
  const int prefill_ep = row.count("prefill_ep", 0);
  const bool prefill_dp = row.flag("prefill_dp_attention");
  const int decode_tp = row.count("decode_tp", 0);
  const int decode_ep = row.count("decode_ep", 0);
  const bool decode_dp = row.flag("decode_dp_attention");
  if (prefill_tp > 0) {  // 0 stands for a pool that is not described
    layout.prefill_tp = prefill_tp;
    layout.prefill_ep = prefill_ep;
    layout.prefill_dp_attention = prefill_dp;
  }
  if (decode_tp > 0) {
    layout.decode_tp = decode_tp;
    layout.decode_ep = decode_ep;
    layout.decode_dp_attention = decode_dp;
  }
}

void read_layout(RowFields& row, Configuration& configuration) {
  Layout& layout = configuration.point.layout;
  read_pools(row, layout);
  const bool disaggregated = row.flag("disagg");
  const bool multinode = row.flag("is_multinode");
  const int workers = row.count("prefill_num_workers", 0) + row.count("decode_num_workers", 0);
  const int prefill_gpus = row.count("num_prefill_gpu", 0);
  const int decode_gpus = row.count("num_decode_gpu", 0);
  if (disaggregated) {
    if (workers == 0 || prefill_gpus == 0 || decode_gpus == 0) {
      row.reject("disagg",
                 "is t but the pools have no workers or no GPUs: how the GPUs are split was not "
                 "recorded; leave the row out");
    }
    configuration.point.serving = Serving::disaggregated;
    layout.prefill_gpus = prefill_gpus;
    layout.decode_gpus = decode_gpus;
    layout.num_gpus = prefill_gpus + decode_gpus;
  } else if (multinode) {
    // Both columns hold the GPUs of the one engine, their sum would count them twice.
    layout.num_gpus = row.count("num_prefill_gpu", 1);
  } else {
    // num_*_gpu hold tp × ep here, but the experts live on the GPUs of tp.
    configuration.is_single_engine = true;
    layout.num_gpus = layout.decode_tp.value_or(layout.prefill_tp.value_or(0));
    if (layout.num_gpus == 0) {
      row.reject("decode_tp", "is 0, as is prefill_tp; the number of GPUs is not known");
    }
  }
}

Configuration read_configuration(RowFields& row, const catalog::Catalog& catalog) {
  Configuration configuration;
  MeasuredPoint& point = configuration.point;
  point.source = kSource;
  point.engine = engine_id(row.required_text("framework"));
  point.spec_decode = row.required_text("spec_method");
  const auto failure =
      set_names(point, catalog, {"hardware", row.text("hardware")}, {"model", row.text("model")},
                {"precision", row.text("precision")});
  if (failure) {
    row.reject(failure->column.c_str(), failure->reason);
  }
  read_layout(row, configuration);
  configuration.fault = row.failure();
  return configuration;
}

using Configurations = std::unordered_map<std::int64_t, Configuration>;

Configurations read_configurations(const CsvTable& table, const catalog::Catalog& catalog) {
  Configurations configurations;
  for (const auto& csv_row : table.rows()) {
    RowFields row{table, csv_row};
    const auto id = row.id("id");
    if (row.failure()) {
      throw_bad_input(row.failure()->reason, row.failure()->where, "export the table again");
    }
    if (!configurations.emplace(id, read_configuration(row, catalog)).second) {
      throw_bad_input("the id " + std::to_string(id) + " is there twice",
                      table.name() + ":" + std::to_string(csv_row.line),
                      "give the rows of one export only");
    }
  }
  return configurations;
}

/// What repeats of one measurement have in common.
struct GroupKey {
  std::int64_t config_id = 0;
  int num_gpus = 0;
  Workload workload;
  int concurrency = 0;
  std::string date;

  auto operator<=>(const GroupKey&) const = default;
};

struct Group {
  GroupKey key;
  std::size_t line = 0;  // of its first run
  std::vector<Sample> runs;
};

/// Collects the runs of benchmark_results and turns them into points.
class ResultsImporter {
 public:
  ResultsImporter(const CsvTable& table, const Configurations& configurations,
                  const catalog::Catalog& catalog)
      : table_{table},
        configurations_{configurations},
        has_offload_mode_{table.find("offload_mode").has_value()},
        sink_{catalog} {}

  void take(const CsvRow& csv_row);
  PointTable finish();

 private:
  void check_kind(RowFields& row);
  const Configuration* find_configuration(RowFields& row);
  GroupKey read_key(RowFields& row, const Configuration& configuration);
  std::optional<Sample> read_sample(RowFields& row, const Configuration& configuration,
                                    GroupKey& key);
  MeasuredPoint make_point(const Group& group, const Sample& sample) const;

  const CsvTable& table_;
  const Configurations& configurations_;
  bool has_offload_mode_;
  std::unordered_set<std::int64_t> ids_;
  std::map<GroupKey, std::size_t> places_;
  std::vector<Group> groups_;
  PointSink sink_;
};

void ResultsImporter::check_kind(RowFields& row) {
  if (!row.text("error").empty()) {
    row.reject("error", "says that the run failed: '" + printable(row.text("error")) + "'");
  }
  if (row.text("benchmark_type") != "single_turn") {
    row.reject("benchmark_type", "is '" + printable(row.text("benchmark_type")) +
                                     "'; only single_turn, with fixed lengths, is taken");
  }
  if (has_offload_mode_ && !row.text("offload_mode").empty() && row.text("offload_mode") != "off") {
    row.reject("offload_mode", "is '" + printable(row.text("offload_mode")) +
                                   "'; only runs without KV offload are taken");
  }
  if (!ids_.insert(row.id("id")).second) {
    row.reject("id", "is '" + printable(row.text("id")) +
                         "' as in a row before; give the rows of one export only");
  }
}

const Configuration* ResultsImporter::find_configuration(RowFields& row) {
  const auto at = configurations_.find(row.id("config_id"));
  if (at == configurations_.end()) {
    row.reject("config_id", "is '" + printable(row.text("config_id")) + "', which no row of " +
                                kConfigsFile + " has; give both files of one export");
    return nullptr;
  }
  if (const auto& fault = at->second.fault) {
    row.reject("config_id",
               "names a configuration that cannot be used: " + fault->where + ": " + fault->reason);
  }
  return &at->second;
}

GroupKey ResultsImporter::read_key(RowFields& row, const Configuration& configuration) {
  GroupKey key;
  key.config_id = row.id("config_id");
  key.num_gpus = configuration.point.layout.num_gpus;
  key.workload.isl_tokens = row.count("isl", 1);
  key.workload.osl_tokens = row.count("osl", 1);
  key.concurrency = row.count("conc", 1);
  key.date = row.date("date");
  return key;
}

/// Watts and joules of a run count only where they are known to cover the whole deployment.
void drop_unproven_energy(JsonFields& metrics, Serving serving, Sample& sample) {
  const bool is_refused = !metrics.flag("power_valid").value_or(true);
  const auto schema = metrics.number("power_metric_schema_version", {0, kLargestCount});
  // Before version 2 such a run gave the figures of one pool.
  const bool is_of_pools = serving == Serving::disaggregated && schema.value_or(0) < 2;
  if (is_refused || is_of_pools) {
    std::fill(sample.begin() + kEnergyBegin,
              sample.begin() + (is_refused ? kPoolPowerEnd : kPoolPowerBegin), std::nullopt);
  }
}

std::optional<Sample> ResultsImporter::read_sample(RowFields& row,
                                                   const Configuration& configuration,
                                                   GroupKey& key) {
  JsonFault fault;
  const auto json = parse_json(row.text("metrics"), fault);
  if (!json) {
    row.reject("metrics", "byte " + std::to_string(fault.byte) + " is no JSON: " + fault.reason);
    return std::nullopt;
  }
  if (!json->is_object()) {
    row.reject("metrics", "is '" + printable(row.text("metrics")) + "'; it must be a JSON object");
    return std::nullopt;
  }
  JsonFields metrics{*json};
  Sample sample;
  for (std::size_t m = 0; m < kMetrics.size(); ++m) {
    const Range range = kMetrics[m].range;
    const auto value = metrics.number(kMetrics[m].key, {0, range.high});
    if (value && *value >= range.low) {  // 0 is how a run says that it has no reading
      sample[m] = value;
    }
  }
  if (!sample[kTotal]) {
    metrics.reject(kMetrics[kTotal].key, "is missing or 0; a point needs it");
  }
  drop_unproven_energy(metrics, configuration.point.serving, sample);
  if (configuration.is_single_engine) {
    const double gpus = static_cast<double>(key.num_gpus) * metrics.count("pp").value_or(1) *
                        metrics.count("pcp_size").value_or(1);
    if (gpus > kLargestCount) {
      metrics.reject("pp", "gives " + shortest(gpus) + " GPUs with tp and pcp_size");
    }
    key.num_gpus = static_cast<int>(std::min(gpus, kLargestCount));
  }
  if (const auto& failure = metrics.failure()) {
    row.reject("metrics", failure->column + " " + failure->reason);
    return std::nullopt;
  }
  return sample;
}

void ResultsImporter::take(const CsvRow& csv_row) {
  RowFields row{table_, csv_row};
  check_kind(row);
  if (const auto* configuration = row.failure() ? nullptr : find_configuration(row)) {
    auto key = read_key(row, *configuration);
    const auto sample = row.failure() ? std::nullopt : read_sample(row, *configuration, key);
    if (sample) {
      const auto [at, is_new] = places_.emplace(key, groups_.size());
      if (is_new) {
        groups_.push_back({std::move(key), csv_row.line, {}});
      }
      groups_[at->second].runs.push_back(*sample);
    }
  }
  if (row.failure()) {
    sink_.reject(row.failure()->where, row.failure()->reason);
  }
}

Sample medians(const std::vector<Sample>& runs) {
  Sample result;
  for (std::size_t m = 0; m < kMetrics.size(); ++m) {
    std::vector<double> values;
    for (const auto& run : runs) {
      if (run[m]) {
        values.push_back(*run[m]);
      }
    }
    result[m] = median(std::move(values));
  }
  return result;
}

MeasuredPoint ResultsImporter::make_point(const Group& group, const Sample& sample) const {
  MeasuredPoint point = configurations_.at(group.key.config_id).point;
  const Layout& layout = point.layout;
  point.layout.num_gpus = group.key.num_gpus;
  point.workload = group.key.workload;
  point.concurrency = group.key.concurrency;
  point.date = group.key.date;
  point.read_at = table_.name() + ":" + std::to_string(group.line);
  for (std::size_t m = 0; m < kMetrics.size(); ++m) {
    if (sample[m]) {
      kMetrics[m].store(point, *sample[m]);
    }
  }
  if (point.output_per_gpu && layout.decode_gpus) {
    // The source divides output by the decode GPUs; here every rate is over all GPUs.
    *point.output_per_gpu = *point.output_per_gpu * *layout.decode_gpus / layout.num_gpus;
  }
  return point;
}

PointTable ResultsImporter::finish() {
  for (auto& group : groups_) {
    // Energy and rates must be of the same runs, or W = J/token x tokens/s breaks.
    if (std::any_of(group.runs.begin(), group.runs.end(), has_energy)) {
      std::erase_if(group.runs, [](const Sample& run) { return !has_energy(run); });
    }
    const auto runs = group.runs.size();
    sink_.add(make_point(group, medians(group.runs)),
              runs > 1 ? " (median of " + std::to_string(runs) + " runs)" : "");
  }
  return sink_.take();
}

CsvTable parse_export(std::string_view text, const std::string& name, const char* columns) {
  if (const auto kind = foreign_kind(text)) {
    throw_bad_input("the file is " + *kind + ", not CSV", name, kExportRemedy);
  }
  auto table = CsvTable::parse(text, name);
  if (table.find("metrics_tput_per_gpu") && !table.find("metrics")) {
    throw_bad_input("the file is a flattened table with one column per metric", name,
                    kExportRemedy);
  }
  for (const auto& column : split(columns, ',')) {
    static_cast<void>(table.require(column));
  }
  return table;
}

}  // namespace

PointTable import_inferencex(std::string_view configs_csv, const std::string& configs_name,
                             std::string_view results_csv, const std::string& results_name,
                             const catalog::Catalog& catalog, const ProgressSink& progress) {
  const auto configurations =
      read_configurations(parse_export(configs_csv, configs_name, kConfigColumns), catalog);
  const auto results = parse_export(results_csv, results_name, kResultColumns);
  ResultsImporter importer{results, configurations, catalog};
  const std::size_t rows = results.rows().size();
  const std::size_t rows_per_report = std::max<std::size_t>(1, rows / 100);
  for (std::size_t i = 0; i < rows; ++i) {
    if (progress && i % rows_per_report == 0) {
      progress(static_cast<double>(i) / static_cast<double>(rows));
    }
    importer.take(results.rows()[i]);
  }
  auto table = importer.finish();
  if (progress) {
    progress(1.0);
  }
  return table;
}

PointTable import_inferencex_folder(const fs::path& folder, const catalog::Catalog& catalog,
                                    const ProgressSink& progress) {
  std::error_code status;
  if (!fs::is_directory(folder, status)) {
    const auto kind = foreign_kind_of_file(folder);
    throw_bad_input(
        kind ? "the file is " + *kind + ", not a folder with a CSV export" : "no such folder",
        folder.string(), kExportRemedy);
  }
  for (const char* file : {kConfigsFile, kResultsFile}) {
    if (!fs::exists(folder / file, status)) {
      throw_bad_input(std::string{"the folder has no "} + file + foreign_file_in(folder),
                      folder.string(), kExportRemedy);
    }
  }
  const auto configs = folder / kConfigsFile;
  const auto results = folder / kResultsFile;
  return import_inferencex(read_file(configs), configs.string(), read_file(results),
                           results.string(), catalog, progress);
}

}  // namespace perwatt::inference
