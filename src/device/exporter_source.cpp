// Exporters that serve accelerator telemetry as a Prometheus text page.
#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "page_reader.hpp"
#include "prometheus_text.hpp"
#include "sources.hpp"
#include "trace_store.hpp"

#include "perwatt/base/text.hpp"
#include "perwatt/net/url.hpp"

namespace perwatt::device {

namespace {

/// A metric and how many watts or joules one unit of it is.
struct Metric {
  std::string_view name;
  double unit;
};

/// How one exporter names things; its documentation is cited in docs/reference/power-sources.md.
struct Dialect {
  std::span<const Metric> power;  // best first
  std::span<const Metric> energy;
  std::span<const Metric> highest_power;  // the most that can be set as a cap
  std::span<const std::string_view> index_labels;
  std::span<const std::string_view> uid_labels;
  std::span<const std::string_view> host_labels;
  std::span<const std::string_view> model_labels;
  std::string_view slice_label;    // tells rows of one board apart; empty: none
  std::string_view primary_slice;  // the slice whose row speaks for the board, beside ""
  std::string_view optional_prefix;
};

constexpr double kMilli = 1e-3;
constexpr double kMicro = 1e-6;

// DCGM 4 renamed its fields; exporters serve the old or the new name of each.
constexpr Metric kDcgmPower[] = {{"DCGM_FI_DEV_POWER_USAGE", 1.0},
                                 {"DCGM_FI_DEV_BOARD_POWER_WATTS", 1.0},
                                 {"DCGM_FI_DEV_POWER_USAGE_INSTANT", 1.0},
                                 {"DCGM_FI_DEV_BOARD_POWER_RAW_WATTS", 1.0}};
constexpr Metric kDcgmEnergy[] = {{"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", kMilli}};
constexpr Metric kDcgmHighest[] = {{"DCGM_FI_DEV_POWER_MGMT_LIMIT_MAX", 1.0}};
constexpr std::string_view kDcgmIndex[] = {"gpu"};
constexpr std::string_view kDcgmUid[] = {"UUID", "uuid"};
constexpr std::string_view kHost[] = {"Hostname", "hostname"};
constexpr std::string_view kDcgmModel[] = {"modelName"};
constexpr Dialect kDcgm{kDcgmPower, kDcgmEnergy, kDcgmHighest, kDcgmIndex, kDcgmUid,
                        kHost,      kDcgmModel,  "GPU_I_ID",   "",         ""};

constexpr Metric kAmdPower[] = {
    {"gpu_package_power", 1.0}, {"gpu_average_package_power", 1.0}, {"gpu_power_usage", 1.0}};
constexpr Metric kAmdEnergy[] = {{"gpu_energy_consumed", kMicro}};
constexpr std::string_view kAmdIndex[] = {"gpu_id"};
constexpr std::string_view kAmdUid[] = {"serial_number"};
constexpr std::string_view kAmdModel[] = {"card_model"};
constexpr Dialect kAmd{kAmdPower, kAmdEnergy,         {},  kAmdIndex, kAmdUid, kHost,
                       kAmdModel, "gpu_partition_id", "0", "amd_"};

constexpr Metric kGaudiPower[] = {{"habanalabs_power_mW", kMilli}};
constexpr Metric kGaudiEnergy[] = {{"habanalabs_energy", kMilli}};
constexpr std::string_view kGaudiIndex[] = {"id"};
constexpr std::string_view kGaudiUid[] = {"UUID", "Serial", "serial"};
constexpr Dialect kGaudi{kGaudiPower, kGaudiEnergy, {}, kGaudiIndex, kGaudiUid,
                         kHost,       {},           "", "",          ""};

/// Rows of one board are read within this time of each other, at this power at most, so that their
/// counters may differ by the product.
constexpr double kRowsWithinSeconds = 1.0;
constexpr double kMostBoardWatts = 3000.0;
constexpr double kRowPowerRatio = 0.1;

struct Row {
  std::string slice;
  std::optional<double> value;
  std::optional<Seconds> unix_time;
};

/// The rows of one metric of one board.
struct BoardMetric {
  std::size_t rank = 0;  // of the metric in the dialect's list: lower is better
  std::vector<Row> rows;
};

struct Board {
  std::string index;
  std::string uid;
  std::string host;
  std::string model;
  std::optional<BoardMetric> power;
  std::optional<BoardMetric> energy;
  std::optional<BoardMetric> highest_power;
};

struct BoardValue {
  std::optional<double> value;
  std::optional<Seconds> unix_time;
  std::string problem;  // why there is no value
};

std::string first_label(const PrometheusSample& sample, std::span<const std::string_view> names) {
  for (const auto name : names) {
    if (const auto value = sample.label(name); !value.empty()) {
      return std::string{value};
    }
  }
  return {};
}

/// One value for a board that has several rows. A row that speaks for the board is taken alone;
/// rows of slices repeat the board's value, read a moment apart: they count once.
BoardValue one_value(const BoardMetric& metric, const Dialect& dialect, bool is_counter) {
  const auto is_primary = [&](const Row& row) {
    return row.slice.empty() || row.slice == dialect.primary_slice;
  };
  const bool has_primary = std::any_of(metric.rows.begin(), metric.rows.end(), is_primary);
  if (!has_primary && !dialect.primary_slice.empty()) {
    return {{}, {}, "no row of the primary partition"};
  }
  BoardValue board;
  double least = 0.0;
  for (const auto& row : metric.rows) {
    if ((has_primary && !is_primary(row)) || !row.value) {
      continue;
    }
    least = board.value ? std::min(least, *row.value) : *row.value;
    if (!board.value || *row.value > *board.value) {
      board.value = row.value;
      board.unix_time = row.unix_time;
    }
  }
  if (!board.value) {
    board.problem = "NaN, infinite or negative";
    return board;
  }
  const double allowed =
      is_counter ? kRowsWithinSeconds * kMostBoardWatts : kRowPowerRatio * *board.value;
  if (*board.value - least > allowed) {
    board.problem = "its rows say " + shortest(least) + " and " + shortest(*board.value) +
                    (is_counter ? " J" : " W") +
                    ": they do not repeat one board, and their sum may count it twice";
    board.value.reset();
  }
  return board;
}

class ExporterSource : public PowerSource {
 public:
  ExporterSource(SourceText& text, const SourceOptions& options, const Dialect& dialect)
      : dialect_{dialect},
        scope_{text.scope(Scope::gpu)},
        pages_{options, options.timeout, {}, ""},
        store_{text.whole(), text.accuracy()} {
    auto url = net::parse_url(text.require_target(text.kind() + ":http://HOST:PORT"), text.where());
    if (url.path.empty()) {
      url.path = "/metrics";
    }
    url_ = url.with();
  }

  Result<std::vector<Meter>> open() override {
    if (const auto problem = look(); !problem.empty()) {
      return Failure{problem};
    }
    if (store_.size() == 0) {
      return Failure{url_ + " has no " + names(dialect_.power) + " and no " +
                     names(dialect_.energy)};
    }
    return store_.meters();
  }

  void sample() override { static_cast<void>(look()); }

  std::vector<MeterTrace> traces(Instant from, Instant to) override {
    return store_.traces(from, to);
  }

 private:
  static std::string names(std::span<const Metric> metrics) {
    std::vector<std::string> list;
    for (const auto& metric : metrics) {
      list.emplace_back(metric.name);
    }
    return join(list, " or ");
  }

  [[nodiscard]] std::string_view plain_name(std::string_view name) const {
    if (name.starts_with(dialect_.optional_prefix)) {
      name.remove_prefix(dialect_.optional_prefix.size());
    }
    return name;
  }

  /// Index of the metric called `name`, or nothing.
  std::optional<std::size_t> rank_of(std::string_view name, std::span<const Metric> metrics) const {
    for (std::size_t rank = 0; rank < metrics.size(); ++rank) {
      if (metrics[rank].name == plain_name(name)) {
        return rank;
      }
    }
    return std::nullopt;
  }

  void add_row(std::optional<BoardMetric>& metric, const PrometheusSample& sample,
               std::span<const Metric> metrics) const {
    const auto rank = rank_of(sample.name, metrics);
    if (!rank || (metric && metric->rank < *rank)) {
      return;
    }
    if (!metric || *rank < metric->rank) {
      metric = BoardMetric{*rank, {}};
    }
    metric->rows.push_back({std::string{sample.label(dialect_.slice_label)},
                            metered(sample.value, metrics[*rank].unit), sample.unix_time});
  }

  [[nodiscard]] std::map<std::string, Board> boards_of(
      const std::vector<PrometheusSample>& samples) const {
    std::map<std::string, Board> boards;
    for (const auto& sample : samples) {
      const auto uid = first_label(sample, dialect_.uid_labels);
      const auto index = first_label(sample, dialect_.index_labels);
      const auto host = first_label(sample, dialect_.host_labels);
      auto& board = boards[host + '\n' + (uid.empty() ? index : uid)];
      // Partitions of one board may have indices of their own: the first one names it.
      if (board.index.empty()) {
        board.index = index;
      }
      board.uid = uid;
      board.host = host;
      board.model = first_label(sample, dialect_.model_labels);
      add_row(board.power, sample, dialect_.power);
      add_row(board.energy, sample, dialect_.energy);
      add_row(board.highest_power, sample, dialect_.highest_power);
    }
    return boards;
  }

  struct Known {
    std::size_t meter = 0;
    std::string id;
    std::optional<Seconds> last_unix_time;  // that the page gave
  };

  Known add_meter(const Board& board) {
    const auto label = board.index.empty() ? board.uid : "gpu" + board.index;
    Meter meter;
    meter.id = board.host.empty() ? label : board.host + "/" + label;
    if (std::any_of(known_.begin(), known_.end(),
                    [&](const auto& known) { return known.second.id == meter.id; })) {
      meter.id += " " + board.uid;  // an exchanged board, or an exporter without indices
    }
    meter.host = board.host;
    std::vector<std::string> parts;
    for (const auto& part :
         {board.index.empty() ? "" : "gpu " + board.index, board.uid, board.model}) {
      if (!part.empty()) {
        parts.push_back(part);
      }
    }
    meter.device = join(parts, ", ");
    meter.uid = board.uid;
    meter.scope = scope_;
    if (board.highest_power) {
      if (const auto highest = one_value(*board.highest_power, dialect_, false).value) {
        meter.most_power = watts(*highest * kOvershootRatio);
      }
    }
    auto id = meter.id;
    return {store_.add_meter(std::move(meter)), std::move(id), {}};
  }

  void keep(Known& known, const Board& board, Instant read_at, const WallClock& clock) {
    const auto meter = known.meter;
    constexpr Seconds kClockTolerance = seconds(1);
    Reading reading{read_at, {}, {}};
    std::string problem;
    std::optional<Seconds> unix_time;
    if (board.energy) {
      const auto energy = one_value(*board.energy, dialect_, true);
      unix_time = energy.unix_time;
      problem = energy.problem.empty() ? "" : "energy: " + energy.problem;
      if (energy.value) {
        reading.counter = Joules::from_base(*energy.value);
      }
    }
    if (board.power) {
      const auto power = one_value(*board.power, dialect_, false);
      unix_time = unix_time ? unix_time : power.unix_time;
      if (!power.problem.empty()) {
        problem += (problem.empty() ? "power: " : "; power: ") + power.problem;
      }
      if (power.value) {
        reading.power = watts(*power.value);
      }
    }
    if (unix_time) {
      if (unix_time == known.last_unix_time) {
        return;  // the same value served again; the clock's offset may differ by nanoseconds
      }
      known.last_unix_time = unix_time;
      reading.at = clock.instant(*unix_time);
      if (reading.at > read_at + kClockTolerance) {
        store_.add_failure(meter, read_at,
                           "the page gives a time " +
                               significant(in_seconds(reading.at - read_at), 2) +
                               " s ahead of this clock; synchronise the clocks");
        return;
      }
    }
    if (problem.find("its rows say") != std::string::npos) {
      store_.add_failure(meter, reading.at, problem);
    }
    store_.add_reading(meter, reading, problem);
  }

  /// Returns the problem of the whole page, or "".
  std::string look() {
    const auto fail = [&](const std::string& reason) {
      store_.fail_all(Instant::now(), reason);
      return reason;
    };
    const auto page = pages_.get(url_);
    if (!page) {
      return fail(page.reason());
    }
    const auto samples = parse_prometheus_text(page.value().body, [&](std::string_view name) {
      return rank_of(name, dialect_.power) || rank_of(name, dialect_.energy) ||
             rank_of(name, dialect_.highest_power);
    });
    if (!samples) {
      return fail(url_ + ": " + samples.reason());
    }
    const auto clock = WallClock::now();
    const auto boards = boards_of(samples.value());
    for (const auto& [key, board] : boards) {
      if (!board.power && !board.energy) {
        continue;
      }
      auto known = known_.find(key);
      if (known == known_.end()) {
        known = known_.emplace(key, add_meter(board)).first;
      }
      keep(known->second, board, page.value().at, clock);
    }
    for (const auto& [key, known] : known_) {
      const auto board = boards.find(key);
      if (board == boards.end() || (!board->second.power && !board->second.energy)) {
        store_.add_failure(known.meter, page.value().at, url_ + " no longer lists it");
      }
    }
    return {};
  }

  const Dialect& dialect_;
  Scope scope_;
  PageReader pages_;
  TraceStore store_;
  std::string url_;
  std::map<std::string, Known> known_;
};

}  // namespace

SourcePointer make_dcgm_source(SourceText& text, const SourceOptions& options) {
  return std::make_unique<ExporterSource>(text, options, kDcgm);
}

SourcePointer make_amd_source(SourceText& text, const SourceOptions& options) {
  return std::make_unique<ExporterSource>(text, options, kAmd);
}

SourcePointer make_gaudi_source(SourceText& text, const SourceOptions& options) {
  return std::make_unique<ExporterSource>(text, options, kGaudi);
}

}  // namespace perwatt::device
