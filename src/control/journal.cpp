#include "perwatt/control/journal.hpp"

#include <algorithm>
#include <utility>

#include "input_log.hpp"
#include "journal_file.hpp"

#include "perwatt/allocate/problem.hpp"
#include "perwatt/base/error.hpp"

namespace perwatt::control {

namespace {

/// A second of the past is dropped in a second even where ticks are ten times as frequent.
constexpr int kPrunedPerTick = 4;

constexpr Seconds kMostKeep = seconds(100 * 365.25 * 24 * 3600);

/// Grants of a device that wait for the report of one of them; older ones stay without a latency.
constexpr std::size_t kMostUnacknowledged = 8;

void check_journal_rules(const JournalRules& rules) {
  const bool is_fine = rules.keep >= Seconds{} && rules.keep <= kMostKeep &&
                       rules.checkpoint_entries > 0 && rules.kept_checkpoints > 0;
  if (!is_fine) {
    throw_bad_input("a rule of the journal is out of range", "journal",
                    "keep it for 0 s to 100 years, with checkpoints 1 or more entries apart");
  }
}

}  // namespace

struct JournaledController::Parts {
  Parts(const std::filesystem::path& path, const topology::PowerTree& tree,
        std::vector<ControlledDevice> devices, const ControlRules& with,
        const JournalRules& with_journal)
      : rules{with},
        journal_rules{with_journal},
        size{devices.size(), tree.nodes().size()},
        site{site_parts(tree, devices, with)},
        controller{tree, std::move(devices), with},
        file{path},
        waiting(size.devices) {}

  // ---- opening ----------------------------------------------------------------------------------

  void open(const JournalStart& start) {
    const auto kept = file.site();
    if (!kept.empty() || file.first_entry()) {
      check_same_site(kept, site, rules, file.name());
      is_continued = true;
      resume();
      continue_clock(start);
    } else {
      clock = {start.clock, 0};
      last_at = start.now;
    }
    store::Transaction transaction{file.database()};
    if (!is_continued) {
      file.write_site(site);
    }
    file.write_start({++last_entry, EntryKind::start, last_at, {}, false}, clock, start.unix_time);
    transaction.commit();
    site = {};
  }

  /// The state at the last commit: the last one written, and what came after it. Grants are entered
  /// as they were made, so that another version of this program cannot come to others.
  void resume() {
    if (auto checkpoint = file.checkpoint(true)) {
      controller.resume(checkpoint->state);
      last_entry = last_checkpoint = checkpoint->number;
      last_at = file.time_of(last_entry);
    }
    const auto enter = [&](const JournalEntry& entry, std::span<const Controller::Grant> grants) {
      const std::string where = file.name() + ": entry " + std::to_string(entry.number);
      const auto refuse = [&](const std::string& what) {
        throw_bad_input(what, where, "the file is damaged: see docs/model/control.md#journal");
      };
      if (entry.kind != EntryKind::start) {
        if (const auto difference = apply_inputs(entry.inputs, where, size, controller)) {
          refuse(*difference);
        }
      }
      if (entry.kind == EntryKind::tick && !controller.repeat(entry.at, grants)) {
        refuse("a grant does not follow from what was before it");
      }
      last_entry = entry.number;
      last_at = entry.at;
      return true;
    };
    file.for_each_behind(last_entry, size.devices, true, enter);
    controller.lay_out();
  }

  void continue_clock(const JournalStart& start) {
    clock = file.last_clock();
    const bool is_same = clock.name == start.clock && to_file(start.now) >= last_at;
    if (is_same) {
      for (const auto& one : file.grants_since(oldest_open(start.now), size.devices)) {
        if (!one.is_acknowledged) {
          wait_for(one.grant, one.tick, one.place, one.made_at);
        }
      }
      last_at = to_file(start.now);
    } else {
      clock = {start.clock, last_at.nanoseconds() - start.now.nanoseconds()};
    }
  }

  // ---- time -------------------------------------------------------------------------------------

  [[nodiscard]] Instant to_file(Instant of_caller) const {
    return Instant::from_nanoseconds(of_caller.nanoseconds() + clock.offset_nanoseconds);
  }

  [[nodiscard]] Instant to_caller(Instant of_file) const {
    return Instant::from_nanoseconds(of_file.nanoseconds() - clock.offset_nanoseconds);
  }

  /// No grant of a tick before it can be in force at `now`.
  [[nodiscard]] Instant oldest_open(Instant now) const {
    return to_file(now) - rules.lease - rules.wearing_in;
  }

  // ---- acknowledgements -------------------------------------------------------------------------

  struct Waiting {
    device::GrantId id = 0;
    device::AgentEpoch epoch = 0;
    EntryNumber tick = 0;
    std::int64_t place = 0;
    Instant made_at;
  };

  void wait_for(const Controller::Grant& grant, EntryNumber tick, std::int64_t place, Instant at) {
    auto& of_device = waiting[grant.device.value];
    if (of_device.size() == kMostUnacknowledged) {
      of_device.erase(of_device.begin());
    }
    of_device.push_back({grant.grant.id, grant.grant.answers.epoch, tick, place, at});
  }

  /// A device takes rising numbers: what is below the one it took will not be taken any more.
  void acknowledge(topology::DeviceIndex device, const device::LeaseReport& report, Instant at) {
    auto& of_device = waiting[device.value];
    for (const auto& one : of_device) {
      if (one.epoch == report.epoch && one.id == report.accepted) {
        acknowledged.push_back({one.tick, one.place, at.nanoseconds() - one.made_at.nanoseconds()});
      }
    }
    std::erase_if(of_device, [&](const Waiting& one) {
      return one.epoch < report.epoch || (one.epoch == report.epoch && one.id <= report.accepted);
    });
  }

  // ---- writing ----------------------------------------------------------------------------------

  /// Everything that throws midway leaves the controller ahead of the file: no more of it then.
  template <class Write>
  void commit(const Write& write) {
    is_behind = true;
    store::Transaction transaction{file.database()};
    write();
    transaction.commit();
    is_behind = false;
  }

  void require_whole() const {
    if (is_behind) {
      throw Error{ErrorCode::peer_failed, "the journal could not be written before", file.name(),
                  "open it anew"};
    }
  }

  bool set_limit(topology::NodeIndex node, Watts limit) {
    return commit_now([&] {
      const bool is_accepted = controller.set_limit(node, limit);
      inputs.set_limit(node, limit, is_accepted);
      return is_accepted;
    });
  }

  bool switch_on(topology::DeviceIndex device) {
    return commit_now([&] {
      const bool is_accepted = controller.switch_on(device);
      inputs.switch_on(device, is_accepted);
      return is_accepted;
    });
  }

  /// An input whose answer the caller acts on.
  template <class Give>
  bool commit_now(const Give& give) {
    require_whole();
    is_behind = true;
    const bool is_accepted = give();
    commit([&] {
      file.write_entry({last_entry + 1, EntryKind::inputs, last_at, {}, false}, inputs.bytes(), {});
    });
    ++last_entry;
    inputs.clear();
    return is_accepted;
  }

  std::span<const Controller::Grant> tick(Instant now) {
    require_whole();
    is_behind = true;
    last_at = to_file(now);
    const auto made = controller.tick(last_at);
    commit([&] { write_tick(made); });
    ++last_entry;
    inputs.clear();
    acknowledged.clear();
    sent.assign(made.begin(), made.end());
    std::int64_t place = 0;
    for (auto& one : sent) {
      wait_for(one, last_entry, place++, last_at);
      one.void_after = to_caller(one.void_after);
    }
    return sent;
  }

  void write_tick(std::span<const Controller::Grant> made) {
    const EntryNumber number = last_entry + 1;
    const bool is_checkpoint = number - last_checkpoint >= journal_rules.checkpoint_entries;
    file.write_entry({number, EntryKind::tick, last_at, {}, is_checkpoint}, inputs.bytes(), made);
    file.write_acknowledgements(acknowledged);
    if (is_checkpoint) {
      const EntryNumber apart =
          EntryNumber{journal_rules.checkpoint_entries} * journal_rules.kept_checkpoints;
      const bool is_before_kept = last_checkpoint / apart != number / apart;
      file.write_checkpoint({number, controller.state()}, is_before_kept ? 0 : last_checkpoint);
      controller.lay_out();
      last_checkpoint = number;
    }
    const Seconds keep = std::max(journal_rules.keep, rules.lease + rules.wearing_in);
    file.prune(last_at - keep, last_checkpoint, kPrunedPerTick);
  }

  ControlRules rules;
  JournalRules journal_rules;
  SiteSize size;
  std::vector<SitePart> site;  // until it is open
  Controller controller;
  JournalFile file;
  JournalClock clock;
  Instant last_at;  // of the file
  EntryNumber last_entry = 0;
  EntryNumber last_checkpoint = 0;
  bool is_continued = false;
  bool is_behind = false;
  InputLog inputs;  // since the last entry
  std::vector<Acknowledgement> acknowledged;
  std::vector<std::vector<Waiting>> waiting;  // by device, rising
  std::vector<Controller::Grant> sent;
};

JournaledController::JournaledController(const std::filesystem::path& file,
                                         const topology::PowerTree& tree,
                                         std::vector<ControlledDevice> devices,
                                         const ControlRules& rules,
                                         const JournalRules& journal_rules,
                                         const JournalStart& start) {
  check_journal_rules(journal_rules);
  parts_ = std::make_unique<Parts>(file, tree, std::move(devices), rules, journal_rules);
  parts_->open(start);
}

JournaledController::~JournaledController() = default;
JournaledController::JournaledController(JournaledController&&) noexcept = default;
JournaledController& JournaledController::operator=(JournaledController&&) noexcept = default;

void JournaledController::ask(topology::DeviceIndex device, const device::LeaseAsk& ask,
                              Instant now) {
  parts_->require_whole();
  const Instant at = parts_->to_file(now);
  parts_->inputs.ask(device, ask, at);
  parts_->controller.ask(device, ask, at);
}

void JournaledController::report(topology::DeviceIndex device, const device::LeaseReport& report,
                                 Instant now) {
  parts_->require_whole();
  const Instant at = parts_->to_file(now);
  parts_->inputs.report(device, report, at);
  parts_->controller.report(device, report);
  parts_->acknowledge(device, report, at);
}

void JournaledController::read(topology::DeviceIndex device, Instant at, Watts draw, Watts cap) {
  parts_->require_whole();
  const Instant of_file = parts_->to_file(at);
  parts_->inputs.read(device, of_file, draw, cap);
  parts_->controller.read(device, of_file, draw, cap);
}

void JournaledController::set_curve(topology::DeviceIndex device,
                                    std::vector<allocate::CurvePoint> curve) {
  parts_->require_whole();
  if (const auto fault = allocate::curve_fault(curve)) {
    throw_bad_input(*fault, "curve", "give the upper hull of its points, least watts first");
  }
  parts_->inputs.set_curve(device, curve);
  parts_->controller.set_curve(device, std::move(curve));
}

void JournaledController::hold_raises(topology::DeviceIndex device, bool is_held) {
  parts_->require_whole();
  parts_->inputs.hold_raises(device, is_held);
  parts_->controller.hold_raises(device, is_held);
}

void JournaledController::hold_raises(topology::NodeIndex node, bool is_held) {
  parts_->require_whole();
  parts_->inputs.hold_raises(node, is_held);
  parts_->controller.hold_raises(node, is_held);
}

void JournaledController::to_fail_safe(topology::NodeIndex node, bool is_on) {
  parts_->require_whole();
  parts_->inputs.to_fail_safe(node, is_on);
  parts_->controller.to_fail_safe(node, is_on);
}

void JournaledController::maintain(topology::NodeIndex node, bool is_on) {
  parts_->require_whole();
  parts_->inputs.maintain(node, is_on);
  parts_->controller.maintain(node, is_on);
}

void JournaledController::release(bool is_on) {
  parts_->require_whole();
  parts_->inputs.release(is_on);
  parts_->controller.release(is_on);
}

void JournaledController::set_most(topology::DeviceIndex device, Watts most) {
  parts_->require_whole();
  parts_->inputs.set_most(device, most);
  parts_->controller.set_most(device, most);
}

void JournaledController::switched_off(topology::DeviceIndex device) {
  parts_->require_whole();
  parts_->inputs.switched_off(device);
  parts_->controller.switched_off(device);
}

bool JournaledController::switch_on(topology::DeviceIndex device) {
  return parts_->switch_on(device);
}

bool JournaledController::set_limit(topology::NodeIndex node, Watts limit) {
  return parts_->set_limit(node, limit);
}

std::span<const Controller::Grant> JournaledController::tick(Instant now) {
  return parts_->tick(now);
}

std::vector<Controller::Grant> JournaledController::open_grants(Instant now) {
  std::vector<Controller::Grant> open;
  for (const auto& one :
       parts_->file.grants_since(parts_->oldest_open(now), parts_->size.devices)) {
    auto grant = one.grant;
    grant.void_after = parts_->to_caller(grant.void_after);
    if (grant.void_after > now) {
      open.push_back(grant);
    }
  }
  return open;
}

const ChargeLedger& JournaledController::ledger() const {
  return parts_->controller.ledger();
}

const Controller& JournaledController::controller() const {
  return parts_->controller;
}

bool JournaledController::is_continued() const {
  return parts_->is_continued;
}

}  // namespace perwatt::control
