#include "perwatt/device/power_csv.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>

#include "trace_store.hpp"

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::device {

namespace {

constexpr double kLatestUnixTime = 4102444800.0;  // the year 2100

/// Reads digits from the front of a text.
class Digits {
 public:
  explicit Digits(std::string_view text) : rest_{text} {}

  /// Exactly `count` digits.
  std::optional<int> take(std::size_t count) {
    if (rest_.size() < count) {
      return std::nullopt;
    }
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') {
        return std::nullopt;
      }
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(count);
    return value;
  }

  bool take_one_of(std::string_view characters) {
    if (rest_.empty() || characters.find(rest_.front()) == std::string_view::npos) {
      return false;
    }
    rest_.remove_prefix(1);
    return true;
  }

  /// ".123", or nothing.
  double take_fraction() {
    double value = 0.0;
    double weight = 0.1;
    if (!take_one_of(".,")) {
      return value;
    }
    for (auto digit = take(1); digit; digit = take(1)) {
      value += *digit * weight;
      weight /= 10;
    }
    return value;
  }

  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

/// What can be wrong with a time.
enum class TimeProblem { none, malformed, without_zone };

struct ParsedTime {
  Seconds unix_time;
  TimeProblem problem = TimeProblem::none;
};

ParsedTime parse_calendar_time(std::string_view text, std::optional<Seconds> utc_offset) {
  const ParsedTime malformed{{}, TimeProblem::malformed};
  Digits digits{text};
  const auto y = digits.take(4);
  const bool has_date_mark = digits.take_one_of("/-");
  const auto m = digits.take(2);
  const bool has_second_mark = digits.take_one_of("/-");
  const auto d = digits.take(2);
  const bool has_time_mark = digits.take_one_of("T ");
  const auto hour = digits.take(2);
  const bool has_colon = digits.take_one_of(":");
  const auto minute = digits.take(2);
  const bool has_second_colon = digits.take_one_of(":");
  const auto second = digits.take(2);
  const bool has_marks =
      has_date_mark && has_second_mark && has_time_mark && has_colon && has_second_colon;
  if (!y || !m || !d || !hour || !minute || !second || !has_marks) {
    return malformed;
  }
  const std::chrono::year_month_day date{std::chrono::year{*y},
                                         std::chrono::month{static_cast<unsigned>(*m)},
                                         std::chrono::day{static_cast<unsigned>(*d)}};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) {
    return malformed;
  }
  const double fraction = digits.take_fraction();
  auto offset = utc_offset;
  if (!digits.rest().empty()) {
    offset = parse_utc_offset(trimmed(digits.rest()));
    if (!offset) {
      return malformed;
    }
  }
  if (!offset) {
    return {{}, TimeProblem::without_zone};
  }
  const auto days = std::chrono::sys_days{date}.time_since_epoch().count();
  const double clock = *hour * kSecondsPerHour + *minute * 60.0 + *second + fraction;
  return {seconds(static_cast<double>(days) * 24 * kSecondsPerHour + clock) - *offset,
          TimeProblem::none};
}

/// Seconds or milliseconds since 1970, or a date and a time.
ParsedTime parse_time(std::string_view text, std::optional<Seconds> utc_offset) {
  constexpr double kMillisecondsFrom = 1e12;  // as seconds this would be the year 33658
  if (const auto number = parse_number(text)) {
    return {seconds(*number > kMillisecondsFrom ? *number / 1e3 : *number), TimeProblem::none};
  }
  return parse_calendar_time(text, utc_offset);
}

/// The traces of one file, by meter.
class FileTraces {
 public:
  FileTraces(const CsvTable& table, const WallClock& clock) : table_{table}, clock_{clock} {}

  Instant instant(const CsvRow& row, std::size_t column, std::optional<Seconds> utc_offset) const {
    const auto text = trimmed(row.fields[column]);
    const auto time = parse_time(text, utc_offset);
    if (time.problem == TimeProblem::without_zone) {
      throw_bad_input("'" + printable(text) + "' has no time zone", table_.where(row, column),
                      "add ?timezone=UTC or ?timezone=+02:00, that of the machine that wrote it");
    }
    if (time.problem == TimeProblem::malformed || time.unix_time < seconds(0) ||
        time.unix_time > seconds(kLatestUnixTime)) {
      throw_bad_input("'" + printable(text) + "' is no time from 1970 to 2100",
                      table_.where(row, column),
                      "write seconds since 1970, or YYYY-MM-DDTHH:MM:SS with a zone");
    }
    return clock_.instant(time.unix_time);
  }

  MeterTrace& trace(const std::string& id) {
    const auto [found, is_new] = index_.try_emplace(id, traces_.size());
    if (is_new) {
      traces_.push_back({});
      traces_.back().meter.id = id;
    }
    return traces_[found->second];
  }

  /// Refuses a time before the last one of this meter.
  void check_order(const MeterTrace& trace, Instant at, const CsvRow& row,
                   std::size_t column) const {
    const bool is_back = (!trace.readings.empty() && at < trace.readings.back().at) ||
                         (!trace.failures.empty() && at < trace.failures.back().at);
    if (is_back) {
      throw_bad_input("the time goes backwards for meter '" + printable(trace.meter.id) + "'",
                      table_.where(row, column), "sort the rows of each meter by time");
    }
  }

  std::vector<MeterTrace> take() { return std::move(traces_); }

 private:
  const CsvTable& table_;
  const WallClock& clock_;
  std::vector<MeterTrace> traces_;
  std::map<std::string, std::size_t> index_;
};

std::optional<double> optional_number(const CsvTable& table, const CsvRow& row,
                                      std::size_t column) {
  const auto text = trimmed(row.fields[column]);
  if (text.empty()) {
    return std::nullopt;
  }
  const auto number = parse_number(text);
  if (!number || *number < 0) {
    throw_bad_input("'" + printable(text) + "' is no number of 0 or more", table.where(row, column),
                    "leave it empty where nothing was read");
  }
  return number;
}

/// False where the meter has a time twice.
bool sort_by_time(MeterTrace& trace) {
  const auto is_earlier = [](const auto& a, const auto& b) { return a.at < b.at; };
  std::stable_sort(trace.readings.begin(), trace.readings.end(), is_earlier);
  std::stable_sort(trace.failures.begin(), trace.failures.end(), is_earlier);
  return std::adjacent_find(trace.readings.begin(), trace.readings.end(),
                            [](const Reading& a, const Reading& b) { return a.at == b.at; }) ==
         trace.readings.end();
}

std::vector<MeterTrace> parse_own(const CsvTable& table, bool sorts_rows, const WallClock& clock) {
  const auto time = table.require("unix_time_s");
  const auto id = table.require("meter");
  const auto scope = table.require("scope");
  const auto power = table.require("power_watts");
  const auto counter = table.require("counter_joules");
  FileTraces traces{table, clock};
  for (const auto& row : table.rows()) {
    auto& trace = traces.trace(row.fields[id]);
    const auto row_scope = parse_scope(row.fields[scope]);
    const bool is_first = trace.readings.empty() && trace.failures.empty();
    if (!row_scope || (!is_first && *row_scope != trace.meter.scope)) {
      throw_bad_input("'" + printable(row.fields[scope]) + "' is no scope, or another than before",
                      table.where(row, scope), "one of gpu, cpu_package, memory, node, rack, site");
    }
    trace.meter.scope = *row_scope;
    const auto at = traces.instant(row, time, {});
    if (!sorts_rows) {
      traces.check_order(trace, at, row, time);
    }
    Reading reading{at, {}, {}};
    if (const auto joules = optional_number(table, row, counter)) {
      reading.counter = Joules::from_base(*joules);
    }
    if (const auto value = optional_number(table, row, power)) {
      reading.power = watts(*value);
    }
    if (!reading.counter && !reading.power) {
      trace.failures.push_back({at, "the file has a row without a value"});
      continue;
    }
    if (!trace.readings.empty() && trace.readings.back().at == at) {
      throw_bad_input("meter '" + printable(trace.meter.id) + "' has this time twice",
                      table.where(row, time), "keep one row for each meter and time");
    }
    trace.readings.push_back(reading);
  }
  auto taken = traces.take();
  for (auto& trace : taken) {
    if (sorts_rows && !sort_by_time(trace)) {
      throw_bad_input("meter '" + printable(trace.meter.id) + "' has a time twice", table.name(),
                      "keep one row for each meter and time");
    }
  }
  return taken;
}

bool contains_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return text.find(word) != std::string_view::npos;
  });
}

/// The columns of a layout of nvidia-smi, amd-smi or InferenceX.
struct SmiColumns {
  std::size_t time = 0;
  std::size_t power = 0;
  std::optional<std::size_t> index;
  std::optional<std::size_t> uuid;
  std::optional<std::size_t> model;
};

SmiColumns smi_columns(const CsvTable& table) {
  constexpr std::array<std::string_view, 6> kIndices{"index",     "gpu",  "gpu_id",
                                                     "gpu_index", "card", "device"};
  std::optional<std::size_t> time;
  std::optional<std::size_t> power;
  SmiColumns columns;
  const auto take = [](std::optional<std::size_t>& column, std::size_t i) {
    column = column ? column : std::optional{i};
  };
  for (std::size_t i = 0; i < table.columns().size(); ++i) {
    const auto name = lower_case(trimmed(table.columns()[i]));
    if (contains_any(name, {"time"})) {
      take(time, i);
    } else if (contains_any(name, {"power"}) &&
               !contains_any(name, {"limit", "cap", "max", "min", "module", "management"})) {
      take(power, i);
    } else if (std::find(kIndices.begin(), kIndices.end(), name) != kIndices.end()) {
      take(columns.index, i);
    } else if (name == "uuid" || name == "gpu_uuid") {
      take(columns.uuid, i);
    } else if (name == "name" || name == "gpu_name") {
      take(columns.model, i);
    }
  }
  if (!time || !power || (!columns.index && !columns.uuid)) {
    throw_bad_input(std::string{"no column for the "} + (!time    ? "time"
                                                         : !power ? "power"
                                                                  : "GPU"),
                    table.name() + ":1",
                    "write unix_time_s,meter,scope,power_watts,counter_joules, or nvidia-smi "
                    "--query-gpu=timestamp,index,power.draw --format=csv with its header");
  }
  columns.time = *time;
  columns.power = *power;
  return columns;
}

/// "300.12 W" or "300.12"; nothing for what a tool writes where it has no value.
std::optional<double> smi_watts(const CsvTable& table, const CsvRow& row, std::size_t column) {
  auto text = trimmed(row.fields[column]);
  const auto lower = lower_case(text);
  if (text.empty() || text.front() == '[' || lower == "n/a" || lower == "na" || lower == "nan") {
    return std::nullopt;
  }
  if (text.ends_with('W')) {
    text = trimmed(text.substr(0, text.size() - 1));
  }
  const auto number = parse_number(text);
  if (!number) {
    throw_bad_input("'" + printable(text) + "' is no power in watts", table.where(row, column),
                    "remove the row, a cut last one perhaps");
  }
  return metered(number, 1.0);
}

std::vector<MeterTrace> parse_smi(const CsvTable& table, const PowerCsvOptions& options,
                                  const WallClock& clock) {
  const auto columns = smi_columns(table);
  FileTraces traces{table, clock};
  std::map<std::string, int> at_one_time;  // rows that gave the meter's last reading
  for (const auto& row : table.rows()) {
    const auto field = [&](std::optional<std::size_t> column) {
      return column ? std::string{trimmed(row.fields[*column])} : std::string{};
    };
    const auto index = field(columns.index);
    const auto uuid = field(columns.uuid);
    const auto id = index.empty() ? uuid : "gpu" + index;
    auto& trace = traces.trace(id);
    trace.meter.scope = options.scope;
    trace.meter.uid = uuid;
    trace.meter.device = join(std::vector<std::string>{id, uuid, field(columns.model)}, " ");
    const auto at = traces.instant(row, columns.time, options.utc_offset);
    traces.check_order(trace, at, row, columns.time);
    const auto power = smi_watts(table, row, columns.power);
    if (!power) {
      trace.failures.push_back({at, "the file says '" + printable(field(columns.power)) + "'"});
      continue;
    }
    auto& count = at_one_time[id];
    if (!trace.readings.empty() && trace.readings.back().at == at) {
      // Times in whole seconds and several rows in one: their mean stands for that time.
      auto& mean = trace.readings.back().power;
      ++count;
      mean = *mean + (watts(*power) - *mean) / count;
      continue;
    }
    count = 1;
    trace.readings.push_back({at, {}, watts(*power)});
  }
  return traces.take();
}

}  // namespace

std::optional<Seconds> parse_utc_offset(std::string_view text) {
  if (text == "Z" || text == "z" || text == "UTC" || text == "utc") {
    return seconds(0);
  }
  const bool is_west = text.starts_with('-');
  Digits digits{text};
  if (!digits.take_one_of("+-")) {
    return std::nullopt;
  }
  const auto hours = digits.take(2);
  digits.take_one_of(":");
  const auto minutes = digits.take(2);
  if (!hours || !minutes || *hours > 14 || *minutes > 59 || !digits.rest().empty()) {
    return std::nullopt;
  }
  const double offset = *hours * kSecondsPerHour + *minutes * 60.0;
  return seconds(is_west ? -offset : offset);
}

std::vector<MeterTrace> parse_power_csv(std::string_view text, const std::string& name,
                                        const PowerCsvOptions& options, const WallClock& clock) {
  const auto table = CsvTable::parse(text, name);
  return table.find("unix_time_s") ? parse_own(table, options.sorts_rows, clock)
                                   : parse_smi(table, options, clock);
}

std::string format_power_csv(std::span<const MeterTrace> traces, const WallClock& clock) {
  std::string text = csv_line({"unix_time_s", "meter", "scope", "power_watts", "counter_joules"});
  for (const auto& trace : traces) {
    const auto line = [&](Instant at, const std::string& power, const std::string& counter) {
      text += csv_line({shortest(in_seconds(clock.unix_time(at))), trace.meter.id,
                        std::string{to_string(trace.meter.scope)}, power, counter});
    };
    auto failure = trace.failures.begin();
    const auto write_failures_before = [&](std::optional<Instant> end) {
      for (; failure != trace.failures.end() && (!end || failure->at <= *end); ++failure) {
        line(failure->at, "", "");
      }
    };
    for (const auto& reading : trace.readings) {
      write_failures_before(reading.at);
      line(reading.at, reading.power ? shortest(in_watts(*reading.power)) : "",
           reading.counter ? shortest(reading.counter->in_base()) : "");
    }
    write_failures_before({});
  }
  return text;
}

}  // namespace perwatt::device
