// What the loop knows of a device beside its terms, and the bytes of it.
#pragma once

#include <cstdint>
#include <optional>

#include "perwatt/base/bytes.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/control/demand.hpp"
#include "perwatt/device/lease_terms.hpp"

namespace perwatt::control {

/// One cache line of a device: grants are made in order of worth, all over the site.
struct alignas(64) DeviceLoop {
  std::optional<device::LeaseAsk> ask;  // the last, not answered yet
  Instant asked_at;
  device::GrantId last_id = 0;
  Watts cap;         // of the newest grant; fail-safe before
  Instant runs_out;  // the newest grant, at the latest
  Watts fail_safe;

  void save(ByteWriter& to) const {
    const auto asked = ask.value_or(device::LeaseAsk{});
    to.put(std::uint8_t{ask.has_value()});
    to.put(asked.epoch);
    to.put(asked.number);
    to.put(asked_at);
    to.put(last_id);
    to.put(cap);
    to.put(runs_out);
  }

  void resume(ByteReader& from) {
    const bool has_ask = from.get<std::uint8_t>() != 0;
    device::LeaseAsk asked;
    asked.epoch = from.get<device::AgentEpoch>();
    asked.number = from.get<std::uint64_t>();
    ask = has_ask ? std::optional{asked} : std::nullopt;
    asked_at = from.instant();
    last_id = from.get<device::GrantId>();
    cap = from.watts();
    runs_out = from.instant();
  }
};

inline void save(const Demand& demand, ByteWriter& to) {
  const auto& memory = demand.memory();
  to.put(memory.before);
  to.put(memory.now);
  to.put(memory.half_began);
  to.put(memory.last);
  for (const float above : memory.above) {
    to.put(above);
  }
  to.put(std::uint8_t{memory.has_read});
}

inline void resume(Demand& demand, ByteReader& from) {
  Demand::Memory memory;
  memory.before = from.watts();
  memory.now = from.watts();
  memory.half_began = from.instant();
  memory.last = from.instant();
  for (float& above : memory.above) {
    above = from.get<float>();
  }
  memory.has_read = from.get<std::uint8_t>() != 0;
  demand.resume(memory);
}

}  // namespace perwatt::control
