// A controller whose every input and grant is in a file before anybody can act on a grant.
//
// The calls are those of Controller. tick() returns grants only once they, and all that was told to
// the controller since the tick before, are committed: what was sent is known after the process was
// killed at any moment (after a power failure the last ticks may be missing,
// docs/model/control.md). Opened again, the file gives a controller in the state of the last
// commit: all charges, caps, numbers, limits, curves and demands. What was told to it after that is
// lost like a message.
//
// Wattages and instants are kept to the bit, so that a file can be played again: replay().
//
// Instants. The file has a timeline of its own: the clock of its first start, carried on over
// restarts. Where the clock is another one than before (after a boot of the machine), no time is
// taken to have passed since the last entry: leases last longer in the books than in truth, never
// shorter. Callers give and get instants of their clock.
//
// All functions throw Error(peer_failed) when the file cannot be written. No grant of such a tick
// is sent; the journal must be opened anew, every further call throws.
//
// Thread rule: one thread at a time; one process at a time has the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/control/controller.hpp"

namespace perwatt::control {

struct JournalRules {
  Seconds keep = seconds(7.0 * 24 * 3600);  // older entries are dropped, a few with each tick
  int checkpoint_entries = 60;  // from one state to the next: what a restart reads; above 0
  int kept_checkpoints = 60;    // one state of so many stays, for replay() to begin with; above 0
};

/// When and by what clock a controller starts.
struct JournalStart {
  Instant now;
  std::string clock;  // another name: another clock, as that of another boot of the machine
  Seconds unix_time;  // of the wall clock, for people
};

class JournaledController final : public AnyController {
 public:
  /// Opens the file, or makes it. Throws as Controller and store::Database, and Error(bad_input)
  /// for rules out of range, for the journal of another site or other rules, naming what differs,
  /// and for a damaged file, naming the entry.
  JournaledController(const std::filesystem::path& file, const topology::PowerTree& tree,
                      std::vector<ControlledDevice> devices, const ControlRules& rules,
                      const JournalRules& journal_rules, const JournalStart& start);
  ~JournaledController() override;
  JournaledController(JournaledController&&) noexcept;
  JournaledController& operator=(JournaledController&&) noexcept;

  void ask(topology::DeviceIndex device, const device::LeaseAsk& ask, Instant now) override;

  void report(topology::DeviceIndex device, const device::LeaseReport& report,
              Instant now) override;
  void read(topology::DeviceIndex device, Instant at, Watts draw, Watts cap) override;

  /// Throws Error(bad_input) for a curve that is not concave, and nothing changes.
  void set_curve(topology::DeviceIndex device, std::vector<allocate::CurvePoint> curve);

  void hold_raises(topology::DeviceIndex device, bool is_held) override;
  void hold_raises(topology::NodeIndex node, bool is_held) override;
  void to_fail_safe(topology::NodeIndex node, bool is_on) override;
  void set_most(topology::DeviceIndex device, Watts most) override;
  void maintain(topology::NodeIndex node, bool is_on) override;
  void release(bool is_on) override;

  void switched_off(topology::DeviceIndex device) override;

  /// Committed when it returns: the order to come back may be sent.
  [[nodiscard]] bool switch_on(topology::DeviceIndex device) override;

  /// Committed when it returns: a restart keeps the limit.
  [[nodiscard]] bool set_limit(topology::NodeIndex node, Watts limit) override;

  /// The grants to send, committed. They hold until the next tick.
  [[nodiscard]] std::span<const Controller::Grant> tick(Instant now) override;

  /// Those of the file that may be in force, or come into force, after `now`, in the order they
  /// were made.
  [[nodiscard]] std::vector<Controller::Grant> open_grants(Instant now);

  [[nodiscard]] const ChargeLedger& ledger() const override;

  /// To look at: its instants are those of the file.
  [[nodiscard]] const Controller& controller() const;

  /// The file was there: this controller goes on with what one before it did.
  [[nodiscard]] bool is_continued() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

struct Replay {
  std::int64_t starts = 0;
  std::int64_t ticks = 0;
  std::int64_t grants = 0;
  std::int64_t checkpoints = 0;           // compared, written states
  std::int64_t skipped_ticks = 0;         // before the first state that is left
  std::optional<std::string> difference;  // the first, in words; the counts are those up to it
};

/// Plays all that the file tells to a controller of the same site and compares every grant and
/// every written state to the bit. Throws as the constructor above, and for a file that is not
/// there. REQUIRES: no controller has it open. Nothing in it is changed.
[[nodiscard]] Replay replay(const std::filesystem::path& file, const topology::PowerTree& tree,
                            std::vector<ControlledDevice> devices, const ControlRules& rules);

}  // namespace perwatt::control
