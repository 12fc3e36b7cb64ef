#include "train_profile_power.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "verbs.hpp"
#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/device/power_csv.hpp"

namespace perwatt::cli {

namespace {

constexpr std::string_view kZone = "?timezone=";

using device::MeterTrace;
using training::JobTimeline;

/// Traces carry unix time, and so must the series: WallClock{} keeps it as it is.
std::vector<MeterTrace> read_meters(const std::vector<std::string>& files) {
  std::vector<MeterTrace> all;
  for (const auto& text : files) {
    const auto mark = text.find(kZone);
    const auto path = power_path(text);
    device::PowerCsvOptions options;
    if (mark != std::string::npos) {
      options.utc_offset = device::parse_utc_offset(text.substr(mark + kZone.size()));
      if (!options.utc_offset) {
        throw Error{ErrorCode::usage,
                    "the time zone in '" + printable(text) + "' is not understood", "--power",
                    "write ?timezone=UTC or ?timezone=+02:00"};
      }
    }
    for (auto& meter : device::parse_power_csv(read_file(path), path, options, WallClock{})) {
      if (meter.meter.scope == device::Scope::gpu) {
        meter.meter.source = path;
        if (files.size() > 1) {  // each is the log of a machine
          meter.meter.host = path;
          meter.meter.id = path + ":" + meter.meter.id;
        }
        all.push_back(std::move(meter));
      }
    }
  }
  return all;
}

std::string names_of(const std::vector<MeterTrace>& meters) {
  constexpr std::size_t kMostNames = 12;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(meters.size(), kMostNames); ++i) {
    names.push_back(printable(meters[i].meter.id, 40));
  }
  if (meters.size() > kMostNames) {
    names.emplace_back("…");
  }
  return names.empty() ? "the series has no meter of a GPU" : "meters: " + join(names, ", ");
}

std::map<int, std::string> parse_meter_flags(const std::vector<std::string>& texts) {
  std::map<int, std::string> meters;
  for (const auto& text : texts) {
    const auto mark = text.find('=');
    const auto rank = parse_integer(text.substr(0, mark));
    if (mark == std::string::npos || !rank || *rank < 0 ||
        !meters.emplace(static_cast<int>(*rank), text.substr(mark + 1)).second) {
      throw Error{ErrorCode::usage, "'" + printable(text) + "' maps no rank, or one again",
                  "--meter", "write RANK=METER, as in --meter 0=gpu3"};
    }
  }
  return meters;
}

/// Whether a meter's name is `word`, or ends with it behind something that is no letter or digit.
bool is_named(const std::string& name, const std::string& word) {
  if (!name.ends_with(word)) {
    return false;
  }
  return name.size() == word.size() ||
         std::isalnum(static_cast<unsigned char>(name[name.size() - word.size() - 1])) == 0;
}

std::optional<MeterTrace> named(const std::vector<MeterTrace>& meters, const std::string& word) {
  std::optional<MeterTrace> found;
  for (const auto& meter : meters) {
    if (is_named(meter.meter.id, word)) {
      if (found) {
        return std::nullopt;  // more than one
      }
      found = meter;
    }
  }
  return found;
}

/// Whether the job is all GPUs of one machine. A process numbers the GPUs that it may see
/// (CUDA_VISIBLE_DEVICES), a meter those of the machine: only then are they the same.
bool is_whole_machine(const JobTimeline& job, const std::vector<MeterTrace>& meters) {
  std::set<int> devices;
  for (const auto& rank : job.ranks) {
    devices.insert(rank.trace.device.value_or(-1));
  }
  const auto count = static_cast<int>(job.ranks.size());
  return job.is_world_size_known && job.world_size == count && meters.size() == job.ranks.size() &&
         static_cast<int>(devices.size()) == count && *devices.begin() == 0 &&
         *devices.rbegin() == count - 1;
}

std::vector<MeterTrace> meters_of_ranks(const PowerOptions& options, const JobTimeline& job) {
  const auto meters = read_meters(options.files);
  const auto chosen = parse_meter_flags(options.meters);
  for (const auto& [rank, name] : chosen) {
    if (std::none_of(job.ranks.begin(), job.ranks.end(), [&, number = rank](const auto& traced) {
          return *traced.trace.rank == number;
        })) {
      throw Error{ErrorCode::usage, "rank " + std::to_string(rank) + " has no trace", "--meter",
                  "leave it out"};
    }
  }
  const bool is_whole = is_whole_machine(job, meters);
  std::vector<MeterTrace> result;
  for (const auto& rank : job.ranks) {
    const auto number = std::to_string(*rank.trace.rank);
    const auto flag = chosen.find(*rank.trace.rank);
    auto meter = named(meters, flag != chosen.end() ? flag->second : "rank" + number);
    if (!meter && flag == chosen.end() && is_whole) {
      meter = named(meters, "gpu" + std::to_string(*rank.trace.device));
    }
    if (!meter) {
      throw_bad_input("rank " + number + " has no meter of its own (" + names_of(meters) + ")",
                      join(options.files, ", "), "give --meter " + number + "=METER");
    }
    const bool is_twice = std::any_of(result.begin(), result.end(), [&](const auto& other) {
      return other.meter.id == meter->meter.id;
    });
    if (is_twice) {
      throw_bad_input("meter '" + printable(meter->meter.id) + "' stands for two ranks",
                      join(options.files, ", "), "give --meter for each rank");
    }
    result.push_back(std::move(*meter));
  }
  return result;
}

std::string unix_text(Instant at) {
  return fmt::format("{:.3f}", static_cast<double>(at.nanoseconds()) / 1e9);
}

void check_cover(const RankMeters& meters, const JobTimeline& job) {
  const auto window = job.window();
  for (std::size_t r = 0; r < job.ranks.size(); ++r) {
    const auto& meter = meters.meters[r];
    const bool is_covered = !meter.readings.empty() &&
                            meter.readings.front().at - meters.offset <= window.begin &&
                            meter.readings.back().at - meters.offset >= window.end;
    if (!is_covered) {
      const auto range = meter.readings.empty()
                             ? std::string{"is empty"}
                             : "runs from " + unix_text(meter.readings.front().at - meters.offset) +
                                   " to " + unix_text(meter.readings.back().at - meters.offset);
      throw_bad_input("the series of meter '" + printable(meter.meter.id) + "' " + range +
                          ", the traced iterations from " + unix_text(window.begin) + " to " +
                          unix_text(window.end) + " (unix seconds)",
                      meter.meter.source,
                      "log power around the whole trace, or correct the clocks by --clock-offset");
    }
  }
}

}  // namespace

std::string power_path(const std::string& file) {
  return file.substr(0, file.find(kZone));
}

RankMeters read_rank_meters(const PowerOptions& options, const JobTimeline& job) {
  RankMeters meters;
  parse_flag([&] {
    if (!options.averaging.empty()) {
      meters.averaging = parse_seconds(options.averaging, "--averaging");
    }
    std::string_view offset = options.clock_offset;
    if (!offset.empty()) {
      const bool is_negative = offset.front() == '-';
      offset.remove_prefix(is_negative ? 1 : 0);
      const auto size = parse_seconds(offset, "--clock-offset");
      meters.offset = is_negative ? -size : size;
    }
    constexpr double kMostOffset = 1e8;  // three years: clocks that far apart are no clocks
    if (meters.averaging.value_or(Seconds{}) > seconds(60) ||
        meters.offset > seconds(kMostOffset) || meters.offset < seconds(-kMostOffset)) {
      throw_bad_input("longer than readings are averaged or clocks are apart",
                      "--averaging, --clock-offset",
                      "give at most 60s of averaging and 100000000s between clocks");
    }
    return 0;
  });
  meters.meters = meters_of_ranks(options, job);
  check_cover(meters, job);
  return meters;
}

measure::BoundaryEnergy energy_of(const RankMeters& meters, const JobTimeline& job) {
  const auto window = job.periods().span;
  measure::EnergyRules rules;
  rules.expected_gpus = static_cast<int>(job.ranks.size());
  return measure::energy_at(measure::Boundary::gpu, meters.meters,
                            {window.begin + meters.offset, window.end + meters.offset}, rules);
}

}  // namespace perwatt::cli
