// The file of a journal: its tables, and reading and writing them. What they mean is said in
// perwatt/control/journal.hpp and docs/model/control.md#journal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "site_print.hpp"

#include "perwatt/control/controller.hpp"
#include "perwatt/store/database.hpp"

namespace perwatt::control {

/// Numbered from 1, without gaps, in the order of events.
using EntryNumber = std::int64_t;

enum class EntryKind : std::uint8_t {
  start,   // a controller began, on the state of before
  inputs,  // inputs of before the next tick, kept early
  tick     // inputs, then a tick
};

struct JournalEntry {
  EntryNumber number = 0;
  EntryKind kind = EntryKind::start;
  Instant at;                // on the journal's timeline
  std::string inputs;        // of an InputLog
  bool is_laid_out = false;  // a tick after which the split was laid out anew
};

/// How instants of a controller became those of the journal.
struct JournalClock {
  std::string name;
  std::int64_t offset_nanoseconds = 0;
};

/// That a device was seen to have taken a grant.
struct Acknowledgement {
  EntryNumber tick = 0;
  std::int64_t place = 0;
  std::int64_t latency_nanoseconds = 0;
};

/// A grant and where it stands.
struct JournalGrant {
  EntryNumber tick = 0;
  Instant made_at;
  std::int64_t place = 0;  // in its tick, from 0
  Controller::Grant grant;
  bool is_acknowledged = false;
};

struct Checkpoint {
  EntryNumber number = 0;  // the tick after which it was
  std::string state;
};

class JournalFile {
 public:
  /// Throws as store::Database.
  explicit JournalFile(const std::filesystem::path& file);

  [[nodiscard]] const std::string& name() const { return name_; }

  // Reading. All throw Error(bad_input) for rows that no journal can have.

  [[nodiscard]] std::vector<SitePart> site();
  [[nodiscard]] std::optional<EntryNumber> first_entry();
  [[nodiscard]] std::optional<Checkpoint> checkpoint(bool is_last);
  [[nodiscard]] std::optional<std::string> checkpoint_at(EntryNumber number);
  [[nodiscard]] std::int64_t ticks_up_to(EntryNumber number);
  [[nodiscard]] Instant time_of(EntryNumber number);
  [[nodiscard]] JournalClock last_clock();

  /// False: no more.
  using Visit = std::function<bool(const JournalEntry&, std::span<const Controller::Grant>)>;

  /// Every entry behind `after`, in order, with its grants in theirs. Inputs must be those that
  /// were written; grants where `are_grants_checked`.
  void for_each_behind(EntryNumber after, std::size_t devices, bool are_grants_checked,
                       const Visit& visit);

  /// In the order they were made: those of ticks at `from` or later. It looks back no further.
  [[nodiscard]] std::vector<JournalGrant> grants_since(Instant from, std::size_t devices);

  // Writing, inside a Transaction of the caller.

  [[nodiscard]] store::Database& database() { return database_; }

  void write_site(std::span<const SitePart> parts);
  void write_start(const JournalEntry& entry, const JournalClock& clock, Seconds unix_time);
  void write_entry(const JournalEntry& entry, std::string_view inputs,
                   std::span<const Controller::Grant> grants);
  void write_acknowledgements(std::span<const Acknowledgement> acknowledgements);

  /// Keeps the state, and drops that of the checkpoint before unless one is to stay.
  void write_checkpoint(const Checkpoint& checkpoint, EntryNumber drop);

  /// Drops the oldest entries of before `before` whose numbers are below `behind`, `most` at most.
  void prune(Instant before, EntryNumber behind, int most);

 private:
  [[nodiscard]] JournalGrant grant_in(const store::Statement& rows, std::size_t devices) const;
  [[nodiscard]] std::vector<Controller::Grant> grants_of(EntryNumber entry, std::int64_t count,
                                                         std::size_t devices);
  [[noreturn]] void fail(const std::string& what_is_wrong) const;

  std::string name_;
  store::Database database_;
  store::Statement insert_entry_;
  store::Statement insert_grant_;
  store::Statement select_grants_;
  store::Statement acknowledge_;
};

}  // namespace perwatt::control
