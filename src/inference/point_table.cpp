#include "perwatt/inference/point_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "import_common.hpp"

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::inference {

namespace fs = std::filesystem;

namespace {

/// Reads the fields of one row; the first failure is kept and later reads are skipped.
class RowReader {
 public:
  RowReader(const CsvTable& table, const CsvRow& row, const std::vector<std::size_t>& columns)
      : table_{table}, row_{row}, columns_{columns} {}

  [[nodiscard]] const std::optional<RejectedRow>& failure() const { return failure_; }

  void reject(std::size_t field, const std::string& reason) {
    if (!failure_) {
      failure_ = RejectedRow{table_.where(row_, columns_[field]), reason};
    }
  }

  [[nodiscard]] const std::string& text(std::size_t field) const {
    return row_.fields[columns_[field]];
  }

  std::string required_text(std::size_t field) {
    if (text(field).empty()) {
      reject(field, "is empty; give it a value");
    }
    return text(field);
  }

  std::optional<double> number(std::size_t field, double low, double high) {
    if (text(field).empty()) {
      return std::nullopt;
    }
    const auto value = parse_number(text(field));
    if (!value || *value < low || *value > high) {
      reject(field, "is '" + printable(text(field)) + "'; it must be a number between " +
                        shortest(low) + " and " + shortest(high) + " or empty");
      return std::nullopt;
    }
    return value;
  }

  std::optional<int> count(std::size_t field, int low) {
    const auto value = number(field, low, kLargestCount);
    if (value && std::floor(*value) != *value) {
      reject(field, "is '" + printable(text(field)) + "'; it must be a whole number");
      return std::nullopt;
    }
    return value ? std::optional{static_cast<int>(*value)} : std::nullopt;
  }

  std::optional<bool> flag(std::size_t field) {
    const auto& value = text(field);
    if (!value.empty() && value != "0" && value != "1") {
      reject(field, "is '" + printable(value) + "'; it must be 0, 1 or empty");
    }
    return value.empty() ? std::nullopt : std::optional{value == "1"};
  }

 private:
  const CsvTable& table_;
  const CsvRow& row_;
  const std::vector<std::size_t>& columns_;
  std::optional<RejectedRow> failure_;
};

// Index of each column of the schema; the order is point_columns()'s.
enum Field : std::size_t {
  f_source,
  f_accelerator,
  f_model,
  f_precision,
  f_engine,
  f_spec_decode,
  f_serving,
  f_num_gpus,
  f_prefill_gpus,
  f_decode_gpus,
  f_prefill_tp,
  f_prefill_ep,
  f_prefill_dp,
  f_decode_tp,
  f_decode_ep,
  f_decode_dp,
  f_task,
  f_isl,
  f_osl,
  f_concurrency,
  f_batch,
  f_total,
  f_output,
  f_interactivity,
  f_ttft,
  f_ttft_p99,
  f_tpot,
  f_tpot_p99,
  f_e2e,
  f_power,
  f_joules_output,
  f_joules_total,
  f_prefill_power,
  f_decode_power,
  f_date,
  f_url,
  f_count
};

void read_names(RowReader& row, const catalog::Catalog& catalog, MeasuredPoint& point) {
  const std::string remedy = "; correct it or add it to a catalog folder and pass --catalog";
  point.source = row.required_text(f_source);
  const auto* accelerator = catalog.find_accelerator(row.required_text(f_accelerator));
  if (accelerator == nullptr) {
    row.reject(f_accelerator, "'" + printable(row.text(f_accelerator)) +
                                  "' is no accelerator of the catalog" + remedy);
  } else {
    point.accelerator = accelerator->id;
  }
  const auto* model = catalog.find_model(row.required_text(f_model));
  if (model == nullptr) {
    row.reject(f_model,
               "'" + printable(row.text(f_model)) + "' is no model of the catalog" + remedy);
  } else {
    point.model = model->id;
  }
  point.precision = row.required_text(f_precision);
  if (!catalog::is_precision(point.precision)) {
    row.reject(f_precision, "is '" + printable(point.precision) + "'; use bf16, fp8, fp4 or mxfp4");
  }
  point.engine = row.required_text(f_engine);
  point.spec_decode = row.required_text(f_spec_decode);
  const auto serving = row.required_text(f_serving);
  if (serving != "aggregated" && serving != "disaggregated") {
    row.reject(f_serving, "is '" + printable(serving) + "'; use aggregated or disaggregated");
  }
  point.serving = serving == "disaggregated" ? Serving::disaggregated : Serving::aggregated;
  point.date = row.text(f_date);
  if (!point.date.empty() && !is_iso_date(point.date)) {
    row.reject(f_date, "is '" + printable(point.date) + "'; write YYYY-MM-DD or leave it empty");
  }
  point.url = row.text(f_url);
}

void read_layout(RowReader& row, Layout& layout) {
  const auto gpus = row.count(f_num_gpus, 1);
  if (!gpus) {
    row.reject(f_num_gpus, "is empty; give the number of GPUs of the deployment");
    return;
  }
  layout.num_gpus = *gpus;
  layout.prefill_gpus = row.count(f_prefill_gpus, 0);
  layout.decode_gpus = row.count(f_decode_gpus, 0);
  layout.prefill_tp = row.count(f_prefill_tp, 1);
  layout.prefill_ep = row.count(f_prefill_ep, 0);
  layout.prefill_dp_attention = row.flag(f_prefill_dp);
  layout.decode_tp = row.count(f_decode_tp, 1);
  layout.decode_ep = row.count(f_decode_ep, 0);
  layout.decode_dp_attention = row.flag(f_decode_dp);
}

void read_workload(RowReader& row, MeasuredPoint& point) {
  point.workload.task = row.text(f_task);
  if (point.workload.task.empty()) {
    point.workload.isl_tokens = row.count(f_isl, 1);
    point.workload.osl_tokens = row.count(f_osl, 1);
    if (!point.workload.isl_tokens || !point.workload.osl_tokens) {
      row.reject(f_isl, "isl_tokens or osl_tokens is empty; give both or name a task");
    }
  } else {
    if (!row.text(f_isl).empty()) {
      row.reject(f_isl,
                 "is given beside a task, which brings its own lengths; empty one of the two");
    }
    point.mean_output_tokens = row.number(f_osl, 0, kLargestCount);
  }
  point.concurrency = row.count(f_concurrency, 1);
  point.mean_batch_size = row.number(f_batch, 0, kLargestCount);
}

void read_measurements(RowReader& row, MeasuredPoint& point) {
  constexpr double kTiny = 1e-9;
  constexpr double kMostTokens = 1e9;
  constexpr double kMostSeconds = 1e6;
  constexpr double kMostWatts = 1e5;
  constexpr double kMostJoules = 1e7;
  const auto rate = [&](std::size_t f) {
    return quantity<TokensPerSecond>(row.number(f, kLeastTokensPerSecond, kMostTokens));
  };
  const auto time = [&](std::size_t f) {
    return quantity<Seconds>(row.number(f, kTiny, kMostSeconds));
  };
  const auto power = [&](std::size_t f) {
    return quantity<Watts>(row.number(f, kTiny, kMostWatts));
  };
  const auto energy = [&](std::size_t f) {
    return quantity<JoulesPerToken>(row.number(f, kTiny, kMostJoules));
  };
  point.total_per_gpu = rate(f_total);
  point.output_per_gpu = rate(f_output);
  point.interactivity = rate(f_interactivity);
  point.ttft_median = time(f_ttft);
  point.ttft_p99 = time(f_ttft_p99);
  point.tpot_median = time(f_tpot);
  point.tpot_p99 = time(f_tpot_p99);
  point.e2e_median = time(f_e2e);
  point.gpu_power = power(f_power);
  point.joules_per_output_token = energy(f_joules_output);
  point.joules_per_total_token = energy(f_joules_total);
  point.prefill_gpu_power = power(f_prefill_power);
  point.decode_gpu_power = power(f_decode_power);
}

template <class T>
std::string number_text(const std::optional<T>& value) {
  if (!value) {
    return {};
  }
  if constexpr (std::is_same_v<T, int>) {
    return std::to_string(*value);
  } else if constexpr (std::is_same_v<T, bool>) {
    return *value ? "1" : "0";
  } else if constexpr (std::is_same_v<T, double>) {
    return shortest(*value);
  } else {
    return shortest(value->in_base());
  }
}

/// The fields of `point` for the columns from source to decode_dp_attention, with room for the
/// rest.
std::vector<std::string> leading_fields(const MeasuredPoint& point) {
  const auto& l = point.layout;
  std::vector<std::string> fields;
  fields.reserve(f_count);
  fields = {point.source,
            point.accelerator,
            point.model,
            point.precision,
            point.engine,
            point.spec_decode,
            to_string(point.serving),
            std::to_string(l.num_gpus),
            number_text(l.prefill_gpus),
            number_text(l.decode_gpus),
            number_text(l.prefill_tp),
            number_text(l.prefill_ep),
            number_text(l.prefill_dp_attention),
            number_text(l.decode_tp),
            number_text(l.decode_ep),
            number_text(l.decode_dp_attention)};
  return fields;
}

}  // namespace

const std::vector<std::string>& point_columns() {
  static const std::vector<std::string> kColumns = {"source",
                                                    "accelerator",
                                                    "model",
                                                    "weights_precision",
                                                    "engine",
                                                    "spec_decode",
                                                    "serving",
                                                    "num_gpus",
                                                    "prefill_gpus",
                                                    "decode_gpus",
                                                    "prefill_tp",
                                                    "prefill_ep",
                                                    "prefill_dp_attention",
                                                    "decode_tp",
                                                    "decode_ep",
                                                    "decode_dp_attention",
                                                    "task",
                                                    "isl_tokens",
                                                    "osl_tokens",
                                                    "concurrency",
                                                    "mean_batch_size",
                                                    "total_tokens_per_s_per_gpu",
                                                    "output_tokens_per_s_per_gpu",
                                                    "interactivity_tokens_per_s",
                                                    "ttft_median_s",
                                                    "ttft_p99_s",
                                                    "tpot_median_s",
                                                    "tpot_p99_s",
                                                    "e2e_median_s",
                                                    "gpu_power_watts",
                                                    "joules_per_output_token",
                                                    "joules_per_total_token",
                                                    "prefill_gpu_power_watts",
                                                    "decode_gpu_power_watts",
                                                    "date",
                                                    "url"};
  return kColumns;
}

PointTable parse_points(std::string_view text, const std::string& name,
                        const catalog::Catalog& catalog) {
  const auto table = CsvTable::parse(text, name);
  std::vector<std::size_t> columns;
  for (const auto& column : point_columns()) {
    columns.push_back(table.require(column));
  }
  PointTable result;
  result.points.reserve(table.rows().size());
  for (const auto& csv_row : table.rows()) {
    RowReader row{table, csv_row, columns};
    MeasuredPoint point;
    read_names(row, catalog, point);
    read_layout(row, point.layout);
    read_workload(row, point);
    read_measurements(row, point);
    point.read_at = fs::path{name}.filename().string() + ":" + std::to_string(csv_row.line);
    if (!row.failure()) {
      if (const auto failure = check_and_derive(point)) {
        row.reject(static_cast<std::size_t>(
                       std::find(point_columns().begin(), point_columns().end(), failure->column) -
                       point_columns().begin()),
                   failure->reason);
      }
    }
    if (!row.failure() && point.gpu_power) {
      const Watts tdp = catalog.find_accelerator(point.accelerator)->tdp.value;
      if (*point.gpu_power > tdp * kMostWattsPerTdp) {
        row.reject(point.power_is_derived ? f_joules_output : f_power,
                   "gives " + shortest(in_watts(*point.gpu_power)) + " W per GPU, more than " +
                       shortest(kMostWattsPerTdp) + " x the board's " + shortest(in_watts(tdp)) +
                       " W; it must be per GPU, not per node");
      }
    }
    if (row.failure()) {
      result.rejected.push_back(*row.failure());
    } else {
      result.points.push_back(std::move(point));
    }
  }
  return result;
}

std::vector<MeasuredPoint> load_points(const std::vector<fs::path>& paths,
                                       const catalog::Catalog& catalog) {
  std::vector<fs::path> files;
  for (const auto& path : paths) {
    std::error_code status;
    if (!fs::is_directory(path, status)) {
      files.push_back(path);
      continue;
    }
    std::vector<fs::path> in_folder;
    for (const auto& entry : fs::directory_iterator{path, status}) {
      if (entry.path().extension() == ".csv") {
        in_folder.push_back(entry.path());
      }
    }
    std::sort(in_folder.begin(), in_folder.end());
    files.insert(files.end(), in_folder.begin(), in_folder.end());
  }
  std::vector<MeasuredPoint> points;
  for (const auto& file : files) {
    auto table = parse_points(read_file(file), file.string(), catalog);
    if (!table.rejected.empty()) {
      const auto& first = table.rejected.front();
      const auto more = table.rejected.size() - 1;
      throw_bad_input(
          first.reason +
              (more > 0 ? " (and " + std::to_string(more) + " more rows with a fault)" : ""),
          first.where, "");
    }
    std::size_t replaced = 0;
    points = merge_points(std::move(points), table.points, replaced);
  }
  return points;
}

std::string identity(const MeasuredPoint& point) {
  auto parts = leading_fields(point);
  parts.insert(parts.end(), {to_string(point.workload), number_text(point.mean_output_tokens),
                             number_text(point.concurrency), number_text(point.mean_batch_size),
                             point.date, point.url});
  return join(parts, "\x1f");
}

std::vector<MeasuredPoint> merge_points(std::vector<MeasuredPoint> existing,
                                        const std::vector<MeasuredPoint>& added,
                                        std::size_t& replaced) {
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < existing.size(); ++i) {
    places.emplace(identity(existing[i]), i);
  }
  replaced = 0;
  for (const auto& point : added) {
    const auto [at, is_new] = places.emplace(identity(point), existing.size());
    if (is_new) {
      existing.push_back(point);
    } else {
      existing[at->second] = point;
      ++replaced;
    }
  }
  return existing;
}

std::string format_points(const std::vector<MeasuredPoint>& points) {
  std::string text = csv_line(point_columns());
  for (const auto& p : points) {
    const auto unless = [](bool derived, const auto& value) {
      return derived ? std::string{} : number_text(value);
    };
    auto fields = leading_fields(p);
    fields.insert(fields.end(), {p.workload.task,
                                 number_text(p.workload.isl_tokens),
                                 p.workload.task.empty() ? number_text(p.workload.osl_tokens)
                                                         : number_text(p.mean_output_tokens),
                                 number_text(p.concurrency),
                                 number_text(p.mean_batch_size),
                                 number_text(p.total_per_gpu),
                                 unless(p.output_is_derived, p.output_per_gpu),
                                 unless(p.interactivity_is_derived, p.interactivity),
                                 number_text(p.ttft_median),
                                 number_text(p.ttft_p99),
                                 number_text(p.tpot_median),
                                 number_text(p.tpot_p99),
                                 number_text(p.e2e_median),
                                 unless(p.power_is_derived, p.gpu_power),
                                 number_text(p.joules_per_output_token),
                                 number_text(p.joules_per_total_token),
                                 number_text(p.prefill_gpu_power),
                                 number_text(p.decode_gpu_power),
                                 p.date,
                                 p.url});
    text += csv_line(fields);
  }
  return text;
}

}  // namespace perwatt::inference
