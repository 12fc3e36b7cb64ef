#include "relief_link.hpp"

#include <algorithm>
#include <utility>

namespace perwatt::simulate {

namespace {

/// The devices of a job in equal units.
std::vector<std::vector<std::uint32_t>> units_of(std::span<const topology::DeviceIndex> gpus,
                                                 std::size_t each) {
  std::vector<std::vector<std::uint32_t>> units(gpus.size() / each);
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    units[i / each].push_back(gpus[i].value);
  }
  return units;
}

}  // namespace

std::vector<jobs::Job> jobs_of(const Scenario& scenario) {
  std::vector<jobs::Job> jobs;
  for (const auto& service : scenario.services) {
    for (const auto& [pool, name] :
         {std::pair{Pool::aggregated, ""}, std::pair{Pool::prefill, "/prefill"},
          std::pair{Pool::decode, "/decode"}}) {
      const auto number = static_cast<std::size_t>(pool);
      if (service.gpus[number].empty()) {
        continue;
      }
      jobs::Job job;
      job.id = service.id + name;
      job.units = units_of(service.gpus[number],
                           static_cast<std::size_t>(service.setup.pool(pool).model.gpus));
      job.priority = service.pool_terms[number].priority;
      job.tier = service.pool_terms[number].tier;
      job.least_units = static_cast<std::size_t>(service.least_instances[number]);
      jobs.push_back(std::move(job));
    }
  }
  for (const auto& training : scenario.trainings) {
    jobs::Job job;
    job.id = training.id;
    const bool has_parts = training.part_gpus > 0;
    job.units = units_of(training.gpus, has_parts ? static_cast<std::size_t>(training.part_gpus)
                                                  : training.gpus.size());
    job.shrinking = jobs::Shrinking::resized;
    job.priority = training.terms.priority;
    job.tier = training.terms.tier;
    job.least_units = static_cast<std::size_t>(training.least_parts);
    job.stops_within =
        training.checkpoint_every > seconds(0) ? training.checkpoint_takes : Seconds{};
    jobs.push_back(std::move(job));
  }
  return jobs;
}

ReliefLink::ReliefLink(const PolicySite& site)
    : site_{site}, switches_(site.values.size()), draws_(site.values.size()) {
  for (const auto& value : site.values) {
    clocks_.push_back(site.plan.locks_clocks ? value.clock_ratio : 1);
  }
}

void ReliefLink::start(std::span<const control::ControlledDevice> devices,
                       const control::ReliefRules& rules, std::span<const Watts> limits,
                       const control::ChargeLedger& ledger) {
  relief_.emplace(site_.scenario.tree, devices, jobs_of(site_.scenario), rules);
  std::vector<char> is_off;
  for (std::uint32_t d = 0; d < devices.size(); ++d) {
    is_off.push_back(ledger.is_off({d}) ? 1 : 0);
  }
  board_.emplace(is_off, ++starts_);
  set_limits(limits);
}

void ReliefLink::stop() {
  relief_.reset();
  board_.reset();
}

void ReliefLink::set_limits(std::span<const Watts> limits) {
  for (std::uint32_t n = 0; relief_ && n < limits.size(); ++n) {
    relief_->set_limit({n}, limits[n]);
  }
}

device::SwitchReport ReliefLink::report(std::uint32_t device) const {
  const bool is_off = !site_.is_stopped.empty() && site_.is_stopped[device] != 0;
  return switches_[device].report(is_off);
}

void ReliefLink::take(std::uint32_t device, const device::SwitchReport& report,
                      control::AnyController& controller) {
  if (board_->report({device}, report)) {
    controller.switched_off({device});
  }
}

void ReliefLink::tick(Instant now, std::span<const control::Breach> required,
                      std::span<const device::PowerReading> readings,
                      control::AnyController& controller, const std::function<bool()>& is_lost) {
  for (std::uint32_t d = 0; d < draws_.size(); ++d) {
    draws_[d] = readings[d].power.value_or(controller.ledger().charge({d}));
  }
  relief_->tick(now, required, draws_, controller.ledger());
  set_clocks();
  const auto orders = board_->tick(
      relief_->off(), [&](topology::DeviceIndex device) { return controller.switch_on(device); });
  for (const auto& order : orders) {
    if (!is_lost()) {
      sent_.push_back({now + site_.scenario.message_delay, order});
    }
  }
}

/// Those of jobs that may lose speed for the site. No safety hangs on them, so that no agent needs
/// to answer.
void ReliefLink::set_clocks() {
  const auto clocks = relief_->clock_ratios();
  for (std::uint32_t d = 0; d < clocks_.size(); ++d) {
    const double own = site_.plan.locks_clocks ? site_.values[d].clock_ratio : 1;
    const double ratio = std::min(own, clocks[d]);
    if (ratio != clocks_[d] && site_.platform.lock_clock(d, ratio)) {
      clocks_[d] = ratio;
    }
  }
}

void ReliefLink::deliver(Instant now) {
  for (; !sent_.empty() && sent_.front().arrives <= now; sent_.pop_front()) {
    const auto& [device, order] = sent_.front().order;
    if (switches_[device.value].take(order) && !site_.is_to_stop.empty()) {
      site_.is_to_stop[device.value] = switches_[device.value].wants_off() ? 1 : 0;
    }
  }
}

std::vector<std::string> ReliefLink::take_messages() {
  return relief_ ? relief_->take_messages() : std::vector<std::string>{};
}

}  // namespace perwatt::simulate
