#include "perwatt/jobs/job.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::jobs {

namespace {

struct TierWord {
  Tier tier;
  std::string_view word;
  double loss_ratio;
};

constexpr std::array<TierWord, 5> kTiers = {{{Tier::none, "0%", 0},
                                             {Tier::tenth, "10%", 0.1},
                                             {Tier::quarter, "25%", 0.25},
                                             {Tier::half, "50%", 0.5},
                                             {Tier::paused, "paused", 1}}};

const TierWord& word_of(Tier tier) {
  return kTiers[static_cast<std::size_t>(tier)];
}

[[noreturn]] void refuse(const Job& job, const std::string& what, const std::string& remedy) {
  throw_bad_input("job '" + printable(job.id) + "' " + what, "jobs", remedy);
}

void check_job(const Job& job) {
  if (job.units.empty()) {
    refuse(job, "has no unit", "give it the devices it runs on");
  }
  if (job.least_units < 1 || job.least_units > job.units.size()) {
    refuse(job,
           "runs with " + std::to_string(job.least_units) + " units at least and has " +
               std::to_string(job.units.size()),
           "give from 1 to as many as it has");
  }
  if (job.priority < 0 || job.priority > kMostPriority) {
    refuse(job, "has a priority of " + std::to_string(job.priority),
           "give one from 0, the lowest, to " + std::to_string(kMostPriority));
  }
  if (!std::isfinite(in_watts(job.guaranteed)) || job.guaranteed < Watts{}) {
    refuse(job, "has guaranteed watts out of range", "give watts of 0 or more");
  }
  if (!std::isfinite(in_seconds(job.stops_within)) || job.stops_within < Seconds{}) {
    refuse(job, "has a time to stop out of range", "give seconds of 0 or more");
  }
}

}  // namespace

std::string_view to_string(Tier tier) {
  return word_of(tier).word;
}

std::optional<Tier> parse_tier(std::string_view text) {
  const auto found = std::find_if(kTiers.begin(), kTiers.end(),
                                  [&](const TierWord& one) { return one.word == text; });
  return found == kTiers.end() ? std::nullopt : std::optional{found->tier};
}

double tolerated_loss_ratio(Tier tier) {
  return word_of(tier).loss_ratio;
}

std::size_t Job::most_units_off() const {
  const double tolerated = tolerated_loss_ratio(tier) * static_cast<double>(units.size());
  return std::min(units.size() - least_units, static_cast<std::size_t>(tolerated + 1e-9));
}

void check_jobs(std::span<const Job> jobs, std::size_t device_count) {
  std::set<std::string_view> ids;
  std::vector<char> is_taken(device_count, 0);
  for (const auto& job : jobs) {
    if (job.id.empty() || !ids.insert(job.id).second) {
      refuse(job, "has no id of its own", "give each job one");
    }
    check_job(job);
    for (const auto& unit : job.units) {
      if (unit.empty()) {
        refuse(job, "has a unit without devices", "give each unit the devices it runs on");
      }
      for (const auto device : unit) {
        if (device >= device_count) {
          refuse(job,
                 "is on device " + std::to_string(device) + " of " + std::to_string(device_count),
                 "number devices from 0");
        }
        if (std::exchange(is_taken[device], 1) != 0) {
          refuse(job, "is on device " + std::to_string(device) + ", which is taken",
                 "give each device to one unit");
        }
      }
    }
  }
}

}  // namespace perwatt::jobs
