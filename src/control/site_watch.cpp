#include "perwatt/control/site_watch.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace perwatt::control {

namespace {

constexpr double kMostDraw = 2;  // of the highest cap: no reading can truly be above

std::vector<Watts> most_of_devices(std::span<const ControlledDevice> devices) {
  std::vector<Watts> most;
  for (const auto& device : devices) {
    most.push_back((device.most * (1 + device.terms.overshoot_ratio) + device.terms.beside) *
                   kMostDraw);
  }
  return most;
}

/// All devices below a meter at their most, and what is drawn beside them.
std::vector<Watts> most_of_meters(const topology::PowerTree& tree,
                                  const std::vector<Watts>& devices) {
  std::vector<Watts> most;
  Watts all;
  for (const auto device : devices) {
    all += device;
  }
  for (const auto& node : tree.nodes()) {
    all += node.fixed;
  }
  const double losses = topology::kMostPathFactor;
  most.assign(tree.nodes().size(), all * losses);
  return most;
}

std::vector<ChargeTerms> terms_of_devices(std::span<const ControlledDevice> devices) {
  std::vector<ChargeTerms> terms;
  for (const auto& device : devices) {
    terms.push_back(device.terms);
  }
  return terms;
}

/// Whether a step is for all below, tagged or not: only for what trips (breach_ladder.hpp).
bool takes_all(const topology::Limit& limit, BreachStep step) {
  const bool trips = limit.curve || limit.kind == topology::LimitKind::breaker ||
                     limit.kind == topology::LimitKind::ups;
  return trips && step >= BreachStep::fail_safe;
}

}  // namespace

SiteWatch::SiteWatch(const topology::PowerTree& tree, std::span<const ControlledDevice> devices,
                     std::vector<char> is_flexible, const WatchRules& rules)
    : tree_{&tree},
      controlled_(devices.begin(), devices.end()),
      is_flexible_{std::move(is_flexible)},
      device_trust_{most_of_devices(devices), rules.devices},
      meter_trust_{most_of_meters(tree, most_of_devices(devices)), rules.meters},
      node_trust_{tree, rules.nodes},
      supplies_{tree, rules.errors},
      alarms_{tree, terms_of_devices(devices), rules.alarms},
      ladder_{tree, rules.ladder},
      told_(devices.size()),
      orders_(tree.nodes().size(), NodeOrder::normal),
      is_sent_(tree.nodes().size(), 0),
      is_throttled_(tree.nodes().size(), 0),
      is_maintained_(tree.nodes().size(), 0),
      is_below_maintained_(tree.nodes().size(), 0) {}

void SiteWatch::maintain(topology::NodeIndex node, bool is_on) {
  is_maintained_[node.value] = is_on ? 1 : 0;
  for (std::uint32_t n = 0; n < is_maintained_.size(); ++n) {  // parents come first
    is_below_maintained_[n] = is_maintained_[n];
    for (const auto& supply : tree_->nodes()[n].supplies) {
      is_below_maintained_[n] =
          static_cast<char>(is_below_maintained_[n] | is_below_maintained_[supply.parent.value]);
    }
  }
}

bool SiteWatch::is_muted(const Alarm& alarm) const {
  const auto node =
      is_of_device(alarm.kind) ? tree_->devices()[alarm.index].parent.value : alarm.index;
  return is_below_maintained_[node] != 0;
}

void SiteWatch::begin(AnyController& controller) const {
  for (std::uint32_t d = 0; d < controlled_.size(); ++d) {
    controller.hold_raises(topology::DeviceIndex{d}, false);
    controller.set_most({d}, Watts::from_base(std::numeric_limits<double>::infinity()));
  }
  for (std::uint32_t n = 0; n < orders_.size(); ++n) {
    controller.hold_raises(topology::NodeIndex{n}, false);
    controller.to_fail_safe({n}, false);
  }
}

void SiteWatch::look_at_devices(Instant now, std::span<const device::PowerReading> readings,
                                std::span<const std::optional<Watts>> enforced,
                                AnyController& controller) {
  for (std::uint32_t d = 0; d < readings.size(); ++d) {
    const topology::DeviceIndex device{d};
    const auto& standing = device_trust_.read(d, readings[d], now);
    const auto& terms = controlled_[d].terms;
    const Watts charge = controller.ledger().charge(device);
    const Watts cap = std::min(enforced[d].value_or(controlled_[d].most), charge);
    if (standing.is_trusted() && standing.is_new) {
      controller.read(device, standing.time, standing.draw, cap);
    }
    if (standing.is_trusted() == told_[d].is_held) {
      told_[d].is_held = !standing.is_trusted();
      controller.hold_raises(device, told_[d].is_held);
    }
    const bool is_lost =
        told_[d].is_held && is_below_maintained_[tree_->devices()[d].parent.value] == 0;
    if (is_lost != told_[d].is_counted_lost) {
      told_[d].is_counted_lost = is_lost;
      node_trust_.set_trusted(device, !is_lost);
    }
    const auto demand = device_trust_.demand(d, cap, charge, now);
    const bool has_beside = demand.source == ReadingTrust::Source::charge;
    if (controller.ledger().is_off(device)) {  // where a sensor tells no more than its noise
      supplies_.set_device(device, terms.beside, Watts{});
    } else {
      supplies_.set_device(device, has_beside ? demand.draw : demand.draw + terms.beside,
                           standing.is_trusted() ? Watts{} : charge);
    }
    alarms_.look(device, standing, enforced[d]);
  }
}

void SiteWatch::look_at_meters(Instant now, std::span<const device::PowerReading> readings) {
  for (std::uint32_t n = 0; n < readings.size(); ++n) {
    if (tree_->nodes()[n].meter) {
      const auto& standing = meter_trust_.read(n, readings[n], now);
      supplies_.set_meter({n}, standing.is_trusted() ? std::optional{standing.draw} : std::nullopt);
    }
  }
  supplies_.update();
  for (std::uint32_t n = 0; n < readings.size(); ++n) {
    if (tree_->nodes()[n].meter) {
      alarms_.look({n}, meter_trust_.standing(n), supplies_);
    }
  }
}

void SiteWatch::obey_nodes(Instant now, AnyController& controller) {
  for (const auto& [node, order] : node_trust_.tick(now)) {
    controller.hold_raises(node, order != NodeOrder::normal);
    orders_[node.value] = order;
    controller.to_fail_safe(node, order == NodeOrder::to_fail_safe || is_sent_[node.value] != 0);
  }
  alarms_.look(node_trust_);
}

void SiteWatch::take_steps(Instant now, AnyController& controller) {
  required_ = ladder_.tick(supplies_, now);
  alarms_.look(ladder_);
  if (required_.empty() && !has_steps_) {
    return;
  }
  has_steps_ = !required_.empty();
  has_throttled_ = false;
  std::vector<char> is_sent(is_sent_.size(), 0);
  for (const auto& breach : required_) {
    if (takes_all(tree_->node(breach.node).limits[breach.limit], breach.step)) {
      is_sent[breach.node.value] = 1;
    }
  }
  for (std::uint32_t n = 0; n < is_sent.size(); ++n) {
    if (is_sent[n] != is_sent_[n]) {
      controller.to_fail_safe(topology::NodeIndex{n},
                              is_sent[n] != 0 || orders_[n] == NodeOrder::to_fail_safe);
    }
    is_throttled_[n] = ladder_.step({n}) >= BreachStep::throttle ? 1 : 0;
    for (const auto& supply : tree_->nodes()[n].supplies) {
      is_throttled_[n] = static_cast<char>(is_throttled_[n] | is_throttled_[supply.parent.value]);
    }
    has_throttled_ = has_throttled_ || is_throttled_[n] != 0;
  }
  is_sent_ = std::move(is_sent);
}

/// The least of what another writer leaves and what throttling leaves.
void SiteWatch::limit_devices(std::span<const std::optional<Watts>> enforced,
                              AnyController& controller) {
  if (!alarms_.has_ceilings() && !has_throttled_ && !has_limited_) {
    return;
  }
  has_limited_ = false;
  for (std::uint32_t d = 0; d < enforced.size(); ++d) {
    const topology::DeviceIndex device{d};
    auto most = alarms_.ceiling(device);
    if (is_flexible_[d] != 0 && is_throttled_[tree_->devices()[d].parent.value] != 0) {
      most = controlled_[d].least;
    }
    if (most || told_[d].is_limited) {
      told_[d].is_limited = most.has_value();
      has_limited_ = has_limited_ || most.has_value();
      controller.set_most(device,
                          most.value_or(Watts::from_base(std::numeric_limits<double>::infinity())));
    }
  }
}

void SiteWatch::tick(Instant now, std::span<const device::PowerReading> devices,
                     std::span<const device::PowerReading> meters,
                     std::span<const std::optional<Watts>> enforced, AnyController& controller) {
  alarms_.begin(now);
  look_at_devices(now, devices, enforced, controller);
  look_at_meters(now, meters);
  obey_nodes(now, controller);
  take_steps(now, controller);
  limit_devices(enforced, controller);
}

}  // namespace perwatt::control
