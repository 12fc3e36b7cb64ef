#include "input_log.hpp"

#include "curve_bytes.hpp"

namespace perwatt::control {

namespace {

constexpr std::uint8_t kInputVersion = 3;

enum class InputKind : std::uint8_t {
  ask = 1,
  report,
  read,
  set_curve,
  set_most,
  hold_device,
  set_limit,
  hold_node,
  fail_safe_node,
  maintain_node,
  release_all,  // of the root
  switched_off,
  switch_on
};

bool is_of_node(InputKind kind) {
  return kind >= InputKind::set_limit && kind <= InputKind::release_all;
}

void put_kind(ByteWriter& to, InputKind kind, std::uint32_t index) {
  to.put(static_cast<std::uint8_t>(kind));
  to.put(index);
}

void apply_ask(ByteReader& from, topology::DeviceIndex device, Controller& controller) {
  device::LeaseAsk ask;
  ask.epoch = from.get<device::AgentEpoch>();
  ask.number = from.get<std::uint64_t>();
  controller.ask(device, ask, from.instant());
}

void apply_report(ByteReader& from, topology::DeviceIndex device, Controller& controller) {
  device::LeaseReport report;
  report.epoch = from.get<device::AgentEpoch>();
  report.accepted = from.get<device::GrantId>();
  report.is_lapsed = from.get<std::uint8_t>() != 0;
  report.is_settled = from.get<std::uint8_t>() != 0;
  report.enforced = from.watts();
  static_cast<void>(from.instant());  // when it came in: for the latency alone
  controller.report(device, report);
}

void apply_read(ByteReader& from, topology::DeviceIndex device, Controller& controller) {
  const Instant at = from.instant();
  const Watts draw = from.watts();
  controller.read(device, at, draw, from.watts());
}

/// What it answers otherwise than it did then.
std::optional<std::string> apply_switch_on(ByteReader& from, topology::DeviceIndex device,
                                           Controller& controller) {
  const bool was_accepted = from.get<std::uint8_t>() != 0;
  if (controller.switch_on(device) == was_accepted) {
    return std::nullopt;
  }
  return "device " + std::to_string(device.value) + (was_accepted ? " might" : " might not") +
         " come back then, and now it is otherwise";
}

/// Likewise.
std::optional<std::string> apply_to_node(InputKind kind, ByteReader& from, const SiteSize& size,
                                         Controller& controller) {
  const auto node = from.index(size.nodes);
  if (kind == InputKind::hold_node) {
    controller.hold_raises(topology::NodeIndex{node}, from.get<std::uint8_t>() != 0);
    return std::nullopt;
  }
  if (kind == InputKind::fail_safe_node) {
    controller.to_fail_safe({node}, from.get<std::uint8_t>() != 0);
    return std::nullopt;
  }
  if (kind == InputKind::maintain_node) {
    controller.maintain({node}, from.get<std::uint8_t>() != 0);
    return std::nullopt;
  }
  if (kind == InputKind::release_all) {
    controller.release(from.get<std::uint8_t>() != 0);
    return std::nullopt;
  }
  const Watts limit = from.watts();
  const bool was_accepted = from.get<std::uint8_t>() != 0;
  if (controller.set_limit({node}, limit) == was_accepted) {
    return std::nullopt;
  }
  return std::string{"a limit of node "} + std::to_string(node) + " was " +
         (was_accepted ? "accepted" : "refused") + " then, and not now";
}

}  // namespace

void InputLog::clear() {
  to_.clear();
  to_.put(kInputVersion);
}

void InputLog::ask(topology::DeviceIndex device, const device::LeaseAsk& ask, Instant at) {
  put_kind(to_, InputKind::ask, device.value);
  to_.put(ask.epoch);
  to_.put(ask.number);
  to_.put(at);
}

void InputLog::report(topology::DeviceIndex device, const device::LeaseReport& report, Instant at) {
  put_kind(to_, InputKind::report, device.value);
  to_.put(report.epoch);
  to_.put(report.accepted);
  to_.put(std::uint8_t{report.is_lapsed});
  to_.put(std::uint8_t{report.is_settled});
  to_.put(report.enforced);
  to_.put(at);
}

void InputLog::read(topology::DeviceIndex device, Instant at, Watts draw, Watts cap) {
  put_kind(to_, InputKind::read, device.value);
  to_.put(at);
  to_.put(draw);
  to_.put(cap);
}

void InputLog::set_curve(topology::DeviceIndex device,
                         std::span<const allocate::CurvePoint> curve) {
  put_kind(to_, InputKind::set_curve, device.value);
  put_curve(to_, curve);
}

void InputLog::set_limit(topology::NodeIndex node, Watts limit, bool is_accepted) {
  put_kind(to_, InputKind::set_limit, node.value);
  to_.put(limit);
  to_.put(std::uint8_t{is_accepted});
}

void InputLog::hold_raises(topology::DeviceIndex device, bool is_held) {
  put_kind(to_, InputKind::hold_device, device.value);
  to_.put(std::uint8_t{is_held});
}

void InputLog::hold_raises(topology::NodeIndex node, bool is_held) {
  put_kind(to_, InputKind::hold_node, node.value);
  to_.put(std::uint8_t{is_held});
}

void InputLog::to_fail_safe(topology::NodeIndex node, bool is_on) {
  put_kind(to_, InputKind::fail_safe_node, node.value);
  to_.put(std::uint8_t{is_on});
}

void InputLog::maintain(topology::NodeIndex node, bool is_on) {
  put_kind(to_, InputKind::maintain_node, node.value);
  to_.put(std::uint8_t{is_on});
}

void InputLog::release(bool is_on) {
  put_kind(to_, InputKind::release_all, 0);
  to_.put(std::uint8_t{is_on});
}

void InputLog::set_most(topology::DeviceIndex device, Watts most) {
  put_kind(to_, InputKind::set_most, device.value);
  to_.put(most);
}

void InputLog::switched_off(topology::DeviceIndex device) {
  put_kind(to_, InputKind::switched_off, device.value);
}

void InputLog::switch_on(topology::DeviceIndex device, bool is_accepted) {
  put_kind(to_, InputKind::switch_on, device.value);
  to_.put(std::uint8_t{is_accepted});
}

std::optional<std::string> apply_inputs(std::string_view bytes, const std::string& where,
                                        const SiteSize& size, Controller& controller) {
  ByteReader from{bytes, where, kDamagedRemedy};
  if (const auto version = from.get<std::uint8_t>(); version != kInputVersion) {
    from.fail("its inputs are of version " + std::to_string(version));
  }
  std::optional<std::string> difference;
  while (!from.is_at_end()) {
    const auto kind = static_cast<InputKind>(from.get<std::uint8_t>());
    if (is_of_node(kind)) {
      const auto found = apply_to_node(kind, from, size, controller);
      difference = difference ? difference : found;
      continue;
    }
    const topology::DeviceIndex device{from.index(size.devices)};
    switch (kind) {
      case InputKind::ask:
        apply_ask(from, device, controller);
        break;
      case InputKind::report:
        apply_report(from, device, controller);
        break;
      case InputKind::read:
        apply_read(from, device, controller);
        break;
      case InputKind::set_curve:
        controller.set_curve(device, get_curve(from));
        break;
      case InputKind::set_most:
        controller.set_most(device, from.watts());
        break;
      case InputKind::hold_device:
        controller.hold_raises(device, from.get<std::uint8_t>() != 0);
        break;
      case InputKind::switched_off:
        controller.switched_off(device);
        break;
      case InputKind::switch_on: {
        const auto found = apply_switch_on(from, device, controller);
        difference = difference ? difference : found;
        break;
      }
      default:
        from.fail("it has an input of an unknown kind");
    }
  }
  return difference;
}

}  // namespace perwatt::control
