#include <algorithm>

#include "import_common.hpp"

#include "perwatt/base/text.hpp"
#include "perwatt/inference/import.hpp"

namespace perwatt::inference {

namespace {

constexpr double kMostGpus = 1e6;

/// The text after `key` in a list separated by ";" or spaces, up to the next separator.
std::string value_of(const std::string& text, std::string_view key) {
  const auto at = text.find(key);
  if (at == std::string::npos) {
    return "";
  }
  const auto begin = at + key.size();
  return text.substr(begin, text.find_first_of("; ", begin) - begin);
}

std::string precision_of(const std::string& stated, const catalog::Model* model) {
  if (stated.empty() && model != nullptr && model->native_precision) {
    return *model->native_precision;
  }
  return stated == "nvfp4" ? "fp4" : stated == "fp16" || stated == "bfloat16" ? "bf16" : stated;
}

/// A pool of workers: their GPUs, and how one of them splits the model.
struct WorkerPool {
  int gpus = 0;
  int tp = 1;
  int ep = 1;
  bool dp_attention = false;
};

WorkerPool read_pool(RowFields& row, const std::string& prefix, int workers) {
  const auto count = [&](const char* column) {
    return row.text((prefix + column).c_str()).empty() ? 1
                                                       : row.count((prefix + column).c_str(), 1);
  };
  WorkerPool pool;
  pool.tp = count("tp_size");
  const int dp = count("attention_dp_size");
  pool.ep = count("moe_ep_size");
  pool.dp_attention = dp > 1;
  const double gpus = static_cast<double>(workers) * pool.tp * count("pp_size") * dp;
  if (gpus > kMostGpus) {
    row.reject((prefix + "tp_size").c_str(),
               "gives " + shortest(gpus) + " GPUs with the other degrees; it must be at most " +
                   shortest(kMostGpus));
    return pool;
  }
  pool.gpus = static_cast<int>(gpus);
  return pool;
}

void read_layout(RowFields& row, MeasuredPoint& point) {
  if (point.serving == Serving::aggregated) {
    const auto pool = read_pool(row, "", 1);
    point.layout.num_gpus = pool.gpus;
    point.layout.decode_tp = pool.tp;
    point.layout.decode_ep = pool.ep;
    point.layout.decode_dp_attention = pool.dp_attention;
    return;
  }
  const auto prefill = read_pool(row, "prefill_", row.count("prefill_num_workers", 1));
  const auto decode = read_pool(row, "decode_", row.count("decode_num_workers", 1));
  point.layout.num_gpus = prefill.gpus + decode.gpus;
  point.layout.prefill_gpus = prefill.gpus;
  point.layout.prefill_tp = prefill.tp;
  point.layout.prefill_ep = prefill.ep;
  point.layout.prefill_dp_attention = prefill.dp_attention;
  point.layout.decode_gpus = decode.gpus;
  point.layout.decode_tp = decode.tp;
  point.layout.decode_ep = decode.ep;
  point.layout.decode_dp_attention = decode.dp_attention;
}

std::optional<Seconds> read_ms(RowFields& row, const char* column) {
  const auto& text = row.text(column);
  const auto value = parse_number(text);
  if (text.empty() || (value && *value == 0)) {
    return std::nullopt;
  }
  if (!value || *value < 0 || *value > kTimeRange.high / kSecondsPerMs) {
    row.reject(column, out_of_range(text, kTimeRange.times(1 / kSecondsPerMs)));
    return std::nullopt;
  }
  return seconds(*value * kSecondsPerMs);
}

}  // namespace

bool is_serving_latency(std::string_view text) {
  const auto header = text.substr(0, text.find('\n'));
  return header.find("silicon_tpot_ms") != std::string_view::npos;
}

PointTable import_serving_latency(std::string_view text, const std::string& name,
                                  const catalog::Catalog& catalog) {
  const auto table = CsvTable::parse(text, name);
  for (const char* column : {"id",
                             "silicon_data_source",
                             "backend",
                             "model_path",
                             "system",
                             "precision",
                             "mode",
                             "isl",
                             "osl",
                             "batch_size",
                             "tp_size",
                             "pp_size",
                             "attention_dp_size",
                             "moe_ep_size",
                             "prefill_num_workers",
                             "prefill_tp_size",
                             "prefill_pp_size",
                             "prefill_attention_dp_size",
                             "prefill_moe_ep_size",
                             "decode_num_workers",
                             "decode_tp_size",
                             "decode_pp_size",
                             "decode_attention_dp_size",
                             "decode_moe_ep_size",
                             "silicon_ttft_ms",
                             "silicon_tpot_ms"}) {
    static_cast<void>(table.require(column));
  }
  PointTable result;
  for (const auto& csv_row : table.rows()) {
    RowFields row{table, csv_row};
    MeasuredPoint point;
    point.source = "serving-latency";
    point.read_at = name + ":" + std::to_string(csv_row.line);
    point.url = "id:" + row.text("id");
    point.spec_decode = "none";
    point.engine = row.required_text("backend");
    const std::string mode = row.required_text("mode");
    if (mode != "agg" && mode != "disagg") {
      row.reject("mode", "is '" + printable(mode) + "'; it must be agg or disagg");
    }
    point.serving = mode == "disagg" ? Serving::disaggregated : Serving::aggregated;
    point.workload.isl_tokens = row.count("isl", 1);
    point.workload.osl_tokens = row.count("osl", 1);
    read_layout(row, point);
    const std::string& origin = row.text("silicon_data_source");
    const auto load = parse_integer(value_of(origin, "silicon_concurrency="));
    // The concurrency named is at times that of many replicas; the batch is that of one GPU with
    // its own attention.
    if (!row.text("batch_size").empty()) {
      const double replicas =
          point.layout.decode_dp_attention == true ? row.count("attention_dp_size", 1) : 1;
      point.concurrency =
          static_cast<int>(std::min(kLargestCount, replicas * row.count("batch_size", 1)));
    } else if (load && *load > 0 && *load <= static_cast<std::int64_t>(kLargestCount)) {
      point.concurrency = static_cast<int>(*load);
    }
    const std::string date = value_of(origin, "measured=").substr(0, 10);
    point.date = date.size() == 10 && is_iso_date(date) ? date : "";
    point.ttft_median = read_ms(row, "silicon_ttft_ms");
    point.tpot_median = read_ms(row, "silicon_tpot_ms");
    if (row.failure()) {
      result.rejected.push_back(*row.failure());
      continue;
    }
    const auto* model = catalog.find_model(row.text("model_path"));
    const auto failure = set_names(point, catalog, {"system", row.text("system")},
                                   {"model_path", row.text("model_path")},
                                   {"precision", precision_of(row.text("precision"), model)});
    if (failure) {
      result.rejected.push_back({point.read_at + ": " + failure->column, failure->reason});
      continue;
    }
    result.points.push_back(std::move(point));
  }
  return result;
}

}  // namespace perwatt::inference
