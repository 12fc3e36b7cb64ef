// What WriteRules leave of a raise, device by device.
#pragma once

#include <cstddef>
#include <vector>

#include "perwatt/base/bytes.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/control/write_rules.hpp"

namespace perwatt::control {

class WriteDiscipline {
 public:
  /// Throws Error(bad_input) for rules out of range.
  WriteDiscipline(const WriteRules& rules, std::size_t devices, Watts dead_band);

  /// At the beginning of a tick.
  void advance(Instant now);

  /// The highest cap that the device may be given in this tick, `cap` before: `cap` itself where it
  /// is not to be raised now, `target` where nothing holds it back.
  [[nodiscard]] Watts highest(std::size_t device, Watts cap, Watts target) const;

  /// A grant of the tick. The same cap again costs nothing.
  void spend(std::size_t device, Watts before, Watts after);

  /// All that was counted.
  void save(ByteWriter& to) const;
  void resume(ByteReader& from);

 private:
  struct Account {
    double rise_watts = 0;
    double changes = 0;
  };

  [[nodiscard]] bool is_on() const { return rules_.slew || rules_.changes_per_hour; }

  [[nodiscard]] double most_changes() const;
  [[nodiscard]] bool has_turn(std::size_t device) const;

  WriteRules rules_;
  Watts dead_band_;
  std::vector<Account> accounts_;  // empty where nothing is counted
  bool has_ticked_ = false;
  Instant before_;  // the tick before
  Instant now_;
};

}  // namespace perwatt::control
