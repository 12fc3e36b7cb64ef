#include "perwatt/control/relief.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <tuple>

#include "relief_cover.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::control {

namespace {

constexpr double kSpareWatts = 0.01;   // more than rounding up to microwatts adds to any sum
constexpr double kLowered = 1 - 1e-9;  // of the tree's own limit

enum ReliefStep { kScale, kResize, kPause, kReliefSteps };

std::vector<double> limits_by_row(const allocate::SiteLimits& limits) {
  const auto least = limits.least();
  std::vector<double> rows;
  for (const auto* sums : {&least.nested, &least.cross}) {
    for (const Watts limit : *sums) {
      rows.push_back(in_watts(limit));
    }
  }
  return rows;
}

}  // namespace

Relief::Relief(const topology::PowerTree& tree, std::span<const ControlledDevice> devices,
               std::vector<jobs::Job> jobs, const ReliefRules& rules)
    : tree_{&tree},
      jobs_{std::move(jobs)},
      rules_{rules},
      limits_{tree},
      tree_limits_{limits_by_row(limits_.limits())},
      job_of_(devices.size(), -1),
      of_node_(tree.nodes().size()),
      is_paused_(jobs_.size(), 0),
      told_shut_(tree.nodes().size(), 0),
      off_(devices.size(), 0),
      clocks_(devices.size(), 1),
      taken_(jobs_.size()) {
  jobs::check_jobs(jobs_, devices.size());
  const auto& site = limits_.limits();
  for (std::uint32_t n = 0; n < of_node_.size(); ++n) {
    for (auto s = site.sum_of[n]; s != allocate::kNoSum; s = site.nested[s].parent) {
      of_node_[n].emplace_back(s, 1.0);
    }
  }
  for (std::size_t k = 0; k < site.cross.size(); ++k) {
    for (const auto& [node, ratio] : site.cross[k].shares) {
      of_node_[node.value].emplace_back(static_cast<std::uint32_t>(site.nested.size() + k), ratio);
    }
  }
  make_units(devices);
}

void Relief::make_units(std::span<const ControlledDevice> devices) {
  for (std::size_t d = 0; d < devices.size(); ++d) {
    const auto& [fail_safe, overshoot, beside] = devices[d].terms;
    const double factor = limits_.limits().units.device_factor[d];
    at_fail_safe_.push_back(in_watts(fail_safe * (1 + overshoot)) * factor);
    beside_.push_back(in_watts(beside) * factor);
    worth_.push_back(std::max(0.0, allocate::value_at(devices[d].curve, fail_safe)));
  }
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    first_unit_.push_back(units_.size());
    for (const auto& own : jobs_[j].units) {
      units_.push_back({j, own, {}, 0, false, false, {}, {}});
      make_rows(units_.back());
      for (const auto d : own) {
        job_of_[d] = static_cast<int>(j);
      }
    }
  }
  first_unit_.push_back(units_.size());
  for (std::uint32_t n = 0; n < tree_->nodes().size(); ++n) {
    const auto range = tree_->devices_of(topology::NodeIndex{n});
    shut_.emplace_back();
    for (auto d = range.first.value; d < range.end.value; ++d) {
      shut_.back().devices.push_back(d);
    }
    make_rows(shut_.back());
  }
}

void Relief::make_rows(Unit& unit) const {
  std::map<std::uint32_t, double> rows;
  for (const auto d : unit.devices) {
    unit.worth += worth_[d];
    for (const auto& [row, ratio] : of_node_[tree_->devices()[d].parent.value]) {
      rows[row] += ratio * at_fail_safe_[d];
    }
  }
  for (const auto& [row, watts] : rows) {
    if (watts > 0) {
      unit.rows.emplace_back(row, watts);
    }
  }
}

/// By node: it or one above, along any feed, requires the step.
std::vector<char> Relief::below(std::span<const Breach> required, BreachStep step) const {
  std::vector<char> is_below(tree_->nodes().size(), 0);
  for (const auto& breach : required) {
    if (breach.step >= step) {
      is_below[breach.node.value] = 1;
    }
  }
  for (std::size_t n = 0; n < is_below.size(); ++n) {  // parents come first
    for (const auto& supply : tree_->nodes()[n].supplies) {
      is_below[n] = static_cast<char>(is_below[n] | is_below[supply.parent.value]);
    }
  }
  return is_below;
}

void Relief::order_off(Unit& unit, Instant now) {
  if (!unit.is_off) {
    unit.is_off = true;
    unit.ordered_at = now;
  }
  unit.fits_since.reset();
}

void Relief::force_pause(Instant now, const std::vector<char>& is_below) {
  const auto touches = [&](const Unit& unit) {
    return std::any_of(unit.devices.begin(), unit.devices.end(), [&](std::uint32_t d) {
      return is_below[tree_->devices()[d].parent.value] != 0;
    });
  };
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    const std::span own{units_.begin() + static_cast<std::ptrdiff_t>(first_unit_[j]),
                        first_unit_[j + 1] - first_unit_[j]};
    const bool is_touched = std::any_of(own.begin(), own.end(), touches);
    if (jobs_[j].may_pause() && is_touched) {
      is_paused_[j] = 1;
      for (auto& unit : own) {
        order_off(unit, now);
        unit.is_forced = true;
      }
      continue;
    }
    auto left = jobs_[j].most_units_off();
    for (auto& unit : own) {  // those that are off already count
      unit.is_forced = unit.is_off && touches(unit);
      left -= unit.is_off && left > 0 ? 1 : 0;
    }
    for (auto& unit : own) {
      if (left > 0 && !unit.is_off && touches(unit)) {
        order_off(unit, now);
        unit.is_forced = true;
        --left;
      }
    }
  }
}

void Relief::shut(Instant now, const Breach& breach, std::span<const Watts> draws) {
  const auto [known, is_new] = shuts_.try_emplace({breach.node.value, breach.limit});
  auto& shut = known->second;
  const bool takes_all = !is_new && breach.is_over && now - shut.since > rules_.shut_within;
  if (is_new || takes_all) {
    const auto is_below = below(std::span{&breach, 1}, BreachStep::shut);
    const Watts limit = tree_->node(breach.node).limits[breach.limit].power;
    double excess = in_watts(breach.supply - limit * (1 - rules_.release_ratio));
    shut.since = now;
    shut.nodes.resize(shut_.size(), 0);
    std::vector<std::tuple<int, double, std::uint32_t, double>> order;
    for (std::uint32_t n = 0; n < shut_.size(); ++n) {
      double draw = 0;
      int priority = 0;
      for (const auto d : shut_[n].devices) {
        draw += off_[d] == 0 ? in_watts(draws[d]) : 0;
        priority = std::max(
            priority, job_of_[d] < 0 ? 0 : jobs_[static_cast<std::size_t>(job_of_[d])].priority);
      }
      if (is_below[n] != 0 && draw > 0) {
        order.emplace_back(priority, shut_[n].worth / draw, n, draw);
      }
    }
    std::sort(order.begin(), order.end());
    for (const auto& [priority, worth, n, draw] : order) {
      if (excess > 0 || takes_all) {
        shut.nodes[n] = 1;
        excess -= draw;
      }
    }
  }
  for (std::size_t n = 0; n < shut_.size(); ++n) {
    if (shut.nodes[n] != 0) {
      order_off(shut_[n], now);
      shut_[n].is_forced = true;
    }
  }
}

void Relief::force(Instant now, std::span<const Breach> required, std::span<const Watts> draws) {
  for (auto* units : {&units_, &shut_}) {
    for (auto& unit : *units) {
      unit.is_forced = false;
    }
  }
  const auto is_step = [&](BreachStep step) {
    return std::any_of(required.begin(), required.end(),
                       [&](const Breach& breach) { return breach.step >= step; });
  };
  if (is_step(BreachStep::pause)) {
    force_pause(now, below(required, BreachStep::pause));
  }
  std::erase_if(shuts_, [&](const auto& one) {
    return std::none_of(required.begin(), required.end(), [&](const Breach& breach) {
      return breach.step >= BreachStep::shut && breach.node.value == one.first.first &&
             breach.limit == one.first.second;
    });
  });
  for (const auto& breach : required) {
    if (breach.step >= BreachStep::shut) {
      shut(now, breach, draws);
    }
  }
}

/// Root watts by row, all at fail-safe but what is off, or is told to be and still has time for it.
/// With a ledger: but what is known to be off.
std::vector<double> Relief::sums(Instant now, const ChargeLedger* ledger) const {
  std::vector<char> is_on(off_.size(), 1);
  for (const auto* units : {&units_, &shut_}) {
    for (const auto& unit : *units) {
      if (!unit.is_off) {
        continue;
      }
      const Seconds takes = units == &units_ ? jobs_[unit.job].stops_within : Seconds{};
      const bool has_time =
          ledger == nullptr || now - unit.ordered_at <= rules_.obeys_within + takes;
      for (const auto d : unit.devices) {
        is_on[d] = has_time || ledger->is_off({d}) ? 0 : is_on[d];
      }
    }
  }
  return sums_of(is_on);
}

/// `is_on` by device.
std::vector<double> Relief::sums_of(std::span<const char> is_on) const {
  std::vector<double> sums(tree_limits_.size(), 0);
  for (std::size_t d = 0; d < is_on.size(); ++d) {
    const double charge = beside_[d] + (is_on[d] != 0 ? at_fail_safe_[d] : 0);
    for (const auto& [row, ratio] : of_node_[tree_->devices()[d].parent.value]) {
      sums[row] += ratio * charge;
    }
  }
  return sums;
}

/// By row, what may be charged; of those that are lowered less by the ratio.
std::vector<double> Relief::limits(double release_ratio) const {
  auto rows = limits_by_row(limits_.limits());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (rows[r] < tree_limits_[r] * kLowered) {  // else fail-safe fits, be there a guard or not
      rows[r] = rows[r] * (1 - release_ratio) * (1 - rules_.guard_ratio) - kSpareWatts;
    }
  }
  return rows;
}

bool Relief::has_lowered_limits() const {
  const auto rows = limits_by_row(limits_.limits());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (rows[r] < tree_limits_[r] * kLowered) {
      return true;
    }
  }
  return false;
}

/// True where the needs are met.
bool Relief::take_step(Instant now, std::span<const double> needs, int step) {
  std::vector<std::uint32_t> row_of(needs.size(), 0);
  std::vector<double> short_rows;
  for (std::size_t r = 0; r < needs.size(); ++r) {
    if (needs[r] > 0) {
      row_of[r] = static_cast<std::uint32_t>(short_rows.size());
      short_rows.push_back(needs[r]);
    }
  }
  std::vector<CoverUnit> units;
  std::vector<CoverJob> jobs;
  std::vector<Unit*> own;
  std::vector<std::size_t> numbers;
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    const auto& job = jobs_[j];
    const bool shrinks = step >= (job.shrinking == jobs::Shrinking::scaled ? kScale : kResize);
    const bool pauses = step >= kPause && job.may_pause();
    if (job.tier == jobs::Tier::none || is_paused_[j] != 0 || (!shrinks && !pauses)) {
      continue;
    }
    CoverJob one{job.priority, units.size(), units.size(), 0, pauses};
    std::size_t off = 0;
    for (auto u = first_unit_[j]; u < first_unit_[j + 1]; ++u) {
      off += units_[u].is_off ? 1 : 0;
      if (units_[u].is_off) {
        continue;
      }
      CoverUnit unit{{}, units_[u].worth};
      for (const auto& [row, watts] : units_[u].rows) {
        if (needs[row] > 0) {
          unit.relief_watts.emplace_back(row_of[row], watts);
        }
      }
      units.push_back(std::move(unit));
      own.push_back(&units_[u]);
    }
    const auto most = job.most_units_off();
    one.end_unit = units.size();
    one.most_off = shrinks && most > off ? most - off : 0;
    jobs.push_back(one);
    numbers.push_back(j);
  }
  const auto found = cheapest_cover(short_rows, jobs, units);
  if (!found.is_met && step < kPause) {
    return false;
  }
  for (std::size_t u = 0; u < own.size(); ++u) {
    if (found.is_off[u] != 0) {
      order_off(*own[u], now);
    }
  }
  for (std::size_t j = 0; j < numbers.size(); ++j) {
    is_paused_[numbers[j]] = static_cast<char>(is_paused_[numbers[j]] | found.is_paused[j]);
  }
  return found.is_met;
}

void Relief::take_more(Instant now, const std::vector<double>& charged) {
  auto needs = limits(0);
  const bool was_short = is_short_;
  is_short_ = false;
  for (std::size_t r = 0; r < needs.size(); ++r) {
    needs[r] = charged[r] - needs[r];
    is_short_ = is_short_ || needs[r] > 0;
  }
  for (int step = kScale; is_short_ && step < kReliefSteps; ++step) {
    is_short_ = !take_step(now, needs, step);
  }
  if (is_short_ != was_short) {
    messages_.push_back(is_short_ ? "all that may be taken is not enough for a lowered limit"
                                  : "what is taken is enough for the lowered limits");
  }
}

std::vector<Relief::Return> Relief::returns() {
  std::vector<Return> all;
  for (auto& node : shut_) {
    if (node.is_off && !node.is_forced) {
      all.push_back({{&node}, 0, false, 0, 0, node.worth});
    }
  }
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    const auto& job = jobs_[j];
    std::size_t returning = job.units.size() - job.most_units_off();
    Return pause{{}, j, true, 1, job.priority, 0};
    for (auto u = first_unit_[j]; u < first_unit_[j + 1]; ++u) {
      auto& unit = units_[u];
      if (!unit.is_off || unit.is_forced) {
        continue;
      }
      if (is_paused_[j] != 0 && returning > 0) {
        --returning;
        pause.units.push_back(&unit);
        pause.worth_per_watt += unit.worth;
        continue;
      }
      double watts = 0;
      for (const auto d : unit.devices) {
        watts += at_fail_safe_[d];
      }
      const int rank = job.shrinking == jobs::Shrinking::resized ? 2 : 3;
      if (is_paused_[j] == 0) {
        all.push_back({{&unit}, j, false, rank, job.priority, unit.worth / std::max(1e-9, watts)});
      }
    }
    if (!pause.units.empty()) {
      all.push_back(std::move(pause));
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const Return& a, const Return& b) {
    return std::tuple{a.rank, -a.priority, -a.worth_per_watt} <
           std::tuple{b.rank, -b.priority, -b.worth_per_watt};
  });
  return all;
}

void Relief::bring_back(Instant now, const std::vector<char>& is_throttled) {
  auto charged = sums(now, nullptr);
  const auto room = limits(rules_.release_ratio);
  for (auto& one : returns()) {
    auto with = charged;
    for (const auto* unit : one.units) {
      for (const auto& [row, watts] : unit->rows) {
        with[row] += watts;
      }
    }
    bool fits = true;
    for (const auto* unit : one.units) {
      for (const auto& [row, watts] : unit->rows) {
        fits = fits && with[row] <= room[row];
      }
      for (const auto d : unit->devices) {
        fits = fits && is_throttled[tree_->devices()[d].parent.value] == 0;
      }
    }
    for (auto* unit : one.units) {
      if (!fits) {
        unit->fits_since.reset();
      } else if (!unit->fits_since) {
        unit->fits_since = now;
      }
    }
    if (!fits) {
      continue;
    }
    charged = std::move(with);
    const bool is_time = std::all_of(one.units.begin(), one.units.end(), [&](const Unit* unit) {
      return now - *unit->fits_since >= rules_.release_after;
    });
    if (is_time) {
      for (auto* unit : one.units) {
        unit->is_off = false;
        unit->fits_since.reset();
      }
      if (one.ends_pause) {
        is_paused_[one.job] = 0;
      }
    }
  }
}

void Relief::note_changes() {
  std::fill(off_.begin(), off_.end(), 0);
  for (const auto* units : {&units_, &shut_}) {
    for (const auto& unit : *units) {
      for (const auto d : unit.devices) {
        off_[d] = static_cast<char>(off_[d] | (unit.is_off ? 1 : 0));
      }
    }
  }
  for (std::uint32_t n = 0; n < shut_.size(); ++n) {
    const char is_shut = shut_[n].is_off ? 1 : 0;
    if (std::exchange(told_shut_[n], is_shut) != is_shut) {
      messages_.push_back("node '" + printable(tree_->nodes()[n].id) +
                          (is_shut != 0 ? "' is shut" : "' is on again"));
    }
  }
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    Taken now;
    now.is_paused = is_paused_[j] != 0;
    for (auto u = first_unit_[j]; u < first_unit_[j + 1]; ++u) {
      now.units += units_[u].is_off ? 1 : 0;
    }
    if (now == taken_[j]) {
      continue;
    }
    taken_[j] = now;
    const auto& job = jobs_[j];
    const std::string name = "'" + printable(job.id) + "'";
    const char* way = job.shrinking == jobs::Shrinking::scaled ? " instances" : " parts";
    messages_.push_back(now.is_paused    ? name + " is paused"
                        : now.units == 0 ? name + " has all it had"
                                         : name + " goes on without " + std::to_string(now.units) +
                                               " of " + std::to_string(job.units.size()) + way);
  }
}

/// Lower where a sum is not kept yet, or the ladder throttles.
void Relief::set_clocks(const std::vector<double>& charged, const std::vector<char>& is_throttled) {
  const auto most = limits(0);
  std::vector<char> is_slow = is_throttled;
  for (std::size_t n = 0; n < is_slow.size(); ++n) {
    for (const auto& [row, ratio] : of_node_[n]) {
      is_slow[n] = static_cast<char>(is_slow[n] | (charged[row] > most[row] ? 1 : 0));
    }
  }
  for (std::size_t d = 0; d < clocks_.size(); ++d) {
    const auto tier =
        job_of_[d] < 0 ? jobs::Tier::none : jobs_[static_cast<std::size_t>(job_of_[d])].tier;
    const double loss =
        std::min(jobs::tolerated_loss_ratio(tier), jobs::tolerated_loss_ratio(jobs::Tier::half));
    clocks_[d] = is_slow[tree_->devices()[d].parent.value] != 0 ? 1 - loss : 1;
  }
}

void Relief::tick(Instant now, std::span<const Breach> required, std::span<const Watts> draws,
                  const ChargeLedger& ledger) {
  const bool is_idle = required.empty() && !has_lowered_limits();
  if (is_idle && !is_active_) {
    return;
  }
  force(now, required, draws);
  take_more(now, sums(now, &ledger));
  const auto is_throttled = below(required, BreachStep::throttle);
  bring_back(now, is_throttled);
  note_changes();
  std::vector<char> is_on(off_.size(), 1);
  for (std::uint32_t d = 0; d < is_on.size(); ++d) {
    is_on[d] = ledger.is_off({d}) ? 0 : 1;
  }
  set_clocks(sums_of(is_on), is_throttled);
  is_active_ = !is_idle || std::any_of(off_.begin(), off_.end(), [](char one) { return one != 0; });
}

std::vector<std::string> Relief::take_messages() {
  return std::exchange(messages_, {});
}

}  // namespace perwatt::control
