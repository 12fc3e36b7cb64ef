#include "journal_file.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "perwatt/base/bytes.hpp"
#include "perwatt/base/hash.hpp"

namespace perwatt::control {

namespace {

// kind: 0 start, 1 inputs, 2 tick. *_ns count on the journal's own timeline.
constexpr const char* kJournalTables = R"(
CREATE TABLE site (
  position INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  device INTEGER);
CREATE TABLE entries (
  entry INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,
  at_ns INTEGER NOT NULL,
  inputs BLOB NOT NULL,
  inputs_fnv1a INTEGER NOT NULL,
  grant_count INTEGER NOT NULL,
  grants_fnv1a INTEGER NOT NULL,
  is_laid_out INTEGER NOT NULL);
CREATE TABLE starts (
  entry INTEGER PRIMARY KEY,
  clock TEXT NOT NULL,
  offset_ns INTEGER NOT NULL,
  unix_time_seconds REAL NOT NULL);
CREATE TABLE grants (
  tick INTEGER NOT NULL,
  place INTEGER NOT NULL,
  device INTEGER NOT NULL,
  id INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  ask INTEGER NOT NULL,
  cap_watts REAL NOT NULL,
  before_watts REAL NOT NULL,
  duration_seconds REAL NOT NULL,
  void_after_ns INTEGER NOT NULL,
  cause TEXT NOT NULL,
  ack_latency_ns INTEGER,
  PRIMARY KEY (tick, place)) WITHOUT ROWID;
CREATE TABLE checkpoints (
  entry INTEGER PRIMARY KEY,
  state BLOB NOT NULL,
  state_fnv1a INTEGER NOT NULL);
CREATE VIEW named_grants AS
  SELECT site.name AS device_name, grants.*
  FROM grants JOIN site ON site.device = grants.device;
CREATE INDEX site_devices ON site (device);
)";

constexpr std::int32_t kJournalApplication = 0x7077636a;  // "pwcj"

constexpr const char* kGrantColumns =
    "SELECT tick, place, device, id, epoch, ask, cap_watts, before_watts, duration_seconds, "
    "void_after_ns, cause, ack_latency_ns IS NOT NULL, at_ns "
    "FROM grants JOIN entries ON entry = tick ";

constexpr std::array kGrantCauses{GrantCause::lowered, GrantCause::over_limit, GrantCause::raised,
                                  GrantCause::raised_in_part, GrantCause::renewed};

std::int64_t signed_of(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

std::int64_t inputs_sum(const JournalEntry& entry, std::string_view inputs) {
  ByteWriter to;
  to.put(entry.number);
  to.put(static_cast<std::uint8_t>(entry.kind));
  to.put(entry.at);
  to.put(std::uint8_t{entry.is_laid_out});
  to.put(fnv1a(inputs));
  return signed_of(fnv1a(to.bytes()));
}

std::int64_t grants_sum(std::span<const Controller::Grant> grants) {
  ByteWriter to;
  for (const auto& one : grants) {
    to.put(one.device.value);
    to.put(one.grant.id);
    to.put(one.grant.answers.epoch);
    to.put(one.grant.answers.number);
    to.put(one.grant.cap + Watts{});  // -0 comes back as 0
    to.put(one.grant.duration);
    to.put(one.void_after);
    to.put(one.before + Watts{});
    to.put(static_cast<std::uint8_t>(one.cause));
  }
  return signed_of(fnv1a(to.bytes()));
}

std::int64_t first_number(store::Database& database, const char* sql) {
  auto statement = database.prepare(sql);
  return statement.step() ? statement.integer(0) : 0;
}

}  // namespace

JournalFile::JournalFile(const std::filesystem::path& file)
    : name_{file.string()},
      database_{file, {kJournalApplication, 1, kJournalTables}},
      insert_entry_{database_.prepare("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)")},
      insert_grant_{
          database_.prepare("INSERT INTO grants VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)")},
      select_grants_{
          database_.prepare(std::string{kGrantColumns} + "WHERE tick = ? ORDER BY place")},
      acknowledge_{
          database_.prepare("UPDATE grants SET ack_latency_ns = ? WHERE tick = ? AND place = ?")} {}

void JournalFile::fail(const std::string& what_is_wrong) const {
  throw_bad_input(what_is_wrong, name_, "the file is damaged: see docs/model/control.md#journal");
}

std::vector<SitePart> JournalFile::site() {
  std::vector<SitePart> parts;
  auto rows = database_.prepare("SELECT kind, name, value FROM site ORDER BY position");
  while (rows.step()) {
    parts.push_back({rows.text(0), rows.text(1), rows.text(2)});
  }
  return parts;
}

std::optional<EntryNumber> JournalFile::first_entry() {
  auto rows = database_.prepare("SELECT entry FROM entries ORDER BY entry LIMIT 1");
  return rows.step() ? std::optional{rows.integer(0)} : std::nullopt;
}

std::optional<Checkpoint> JournalFile::checkpoint(bool is_last) {
  const auto number = first_number(database_, is_last ? "SELECT max(entry) FROM checkpoints"
                                                      : "SELECT min(entry) FROM checkpoints");
  auto state = checkpoint_at(number);
  return state ? std::optional{Checkpoint{number, std::move(*state)}} : std::nullopt;
}

std::optional<std::string> JournalFile::checkpoint_at(EntryNumber number) {
  auto rows = database_.prepare("SELECT state, state_fnv1a FROM checkpoints WHERE entry = ?");
  if (!rows.bind(1, number).step()) {
    return std::nullopt;
  }
  auto state = rows.bytes(0);
  if (signed_of(fnv1a(state)) != rows.integer(1)) {
    fail("the checkpoint of entry " + std::to_string(number) + " is not as it was written");
  }
  return state;
}

std::int64_t JournalFile::ticks_up_to(EntryNumber number) {
  auto rows = database_.prepare("SELECT count(*) FROM entries WHERE kind = 2 AND entry <= ?");
  return rows.bind(1, number).step() ? rows.integer(0) : 0;
}

Instant JournalFile::time_of(EntryNumber number) {
  auto rows = database_.prepare("SELECT at_ns FROM entries WHERE entry = ?");
  if (!rows.bind(1, number).step()) {
    fail("entry " + std::to_string(number) + " is missing");
  }
  return Instant::from_nanoseconds(rows.integer(0));
}

JournalClock JournalFile::last_clock() {
  auto rows = database_.prepare("SELECT clock, offset_ns FROM starts ORDER BY entry DESC LIMIT 1");
  if (!rows.step()) {
    fail("it tells of no start");
  }
  return {rows.text(0), rows.integer(1)};
}

void JournalFile::for_each_behind(EntryNumber after, std::size_t devices, bool are_grants_checked,
                                  const Visit& visit) {
  auto rows = database_.prepare(
      "SELECT entry, kind, at_ns, inputs, inputs_fnv1a, grant_count, grants_fnv1a, is_laid_out "
      "FROM entries WHERE entry > ? ORDER BY entry");
  rows.bind(1, after);
  while (rows.step()) {
    JournalEntry entry;
    entry.number = rows.integer(0);
    entry.kind = static_cast<EntryKind>(rows.integer(1));
    entry.at = Instant::from_nanoseconds(rows.integer(2));
    entry.inputs = rows.bytes(3);
    entry.is_laid_out = rows.integer(7) != 0;
    if (entry.number != ++after) {
      fail("entry " + std::to_string(after) + " is missing");
    }
    const bool is_as_written = rows.integer(1) >= 0 && rows.integer(1) <= 2 &&
                               rows.integer(4) == inputs_sum(entry, entry.inputs);
    if (!is_as_written) {
      fail("entry " + std::to_string(after) + " is not as it was written");
    }
    const auto grants = grants_of(entry.number, rows.integer(5), devices);
    if (are_grants_checked && rows.integer(6) != grants_sum(grants)) {
      fail("the grants of entry " + std::to_string(after) + " are not as they were written");
    }
    if (!visit(entry, grants)) {
      return;
    }
  }
}

JournalGrant JournalFile::grant_in(const store::Statement& rows, std::size_t devices) const {
  JournalGrant found;
  found.tick = rows.integer(0);
  found.place = rows.integer(1);
  found.is_acknowledged = rows.integer(11) != 0;
  found.made_at = Instant::from_nanoseconds(rows.integer(12));
  const auto device = rows.integer(2);
  const auto epoch = rows.integer(4);
  const auto cause = rows.text(10);
  const auto* known = std::find_if(kGrantCauses.begin(), kGrantCauses.end(),
                                   [&](GrantCause one) { return to_string(one) == cause; });
  const bool is_fine = device >= 0 && device < static_cast<std::int64_t>(devices) && epoch >= 0 &&
                       epoch <= std::numeric_limits<device::AgentEpoch>::max() &&
                       known != kGrantCauses.end();
  if (!is_fine) {
    fail("grant " + std::to_string(found.place) + " of entry " + std::to_string(found.tick) +
         " is none");
  }
  auto& grant = found.grant;
  grant.device = {static_cast<std::uint32_t>(device)};
  grant.grant.id = static_cast<device::GrantId>(rows.integer(3));
  grant.grant.answers = {static_cast<device::AgentEpoch>(epoch),
                         static_cast<std::uint64_t>(rows.integer(5))};
  grant.grant.cap = watts(rows.number(6));
  grant.before = watts(rows.number(7));
  grant.grant.duration = seconds(rows.number(8));
  grant.void_after = Instant::from_nanoseconds(rows.integer(9));
  grant.cause = *known;
  return found;
}

std::vector<Controller::Grant> JournalFile::grants_of(EntryNumber entry, std::int64_t count,
                                                      std::size_t devices) {
  std::vector<Controller::Grant> grants;
  select_grants_.bind(1, entry);
  while (select_grants_.step()) {
    grants.push_back(grant_in(select_grants_, devices).grant);
  }
  if (static_cast<std::int64_t>(grants.size()) != count) {
    fail("entry " + std::to_string(entry) + " has " + std::to_string(grants.size()) + " of its " +
         std::to_string(count) + " grants");
  }
  return grants;
}

std::vector<JournalGrant> JournalFile::grants_since(Instant from, std::size_t devices) {
  auto before =
      database_.prepare("SELECT entry FROM entries WHERE at_ns < ? ORDER BY entry DESC LIMIT 1");
  const bool is_any_before = before.bind(1, from.nanoseconds()).step();
  auto rows = database_.prepare(std::string{kGrantColumns} + "WHERE tick > ? ORDER BY tick, place");
  rows.bind(1, is_any_before ? before.integer(0) : 0);
  std::vector<JournalGrant> grants;
  while (rows.step()) {
    grants.push_back(grant_in(rows, devices));
  }
  return grants;
}

void JournalFile::write_site(std::span<const SitePart> parts) {
  auto insert = database_.prepare("INSERT INTO site VALUES (?, ?, ?, ?, ?)");
  std::int64_t position = 0;
  std::int64_t device = 0;
  for (const auto& part : parts) {
    insert.bind(1, position++).bind(2, part.kind).bind(3, part.name).bind(4, part.value);
    part.kind == "device" ? insert.bind(5, device++) : insert.bind_null(5);
    insert.run();
  }
}

void JournalFile::write_start(const JournalEntry& entry, const JournalClock& clock,
                              Seconds unix_time) {
  database_.prepare("INSERT INTO starts VALUES (?, ?, ?, ?)")
      .bind(1, entry.number)
      .bind(2, clock.name)
      .bind(3, clock.offset_nanoseconds)
      .bind(4, in_seconds(unix_time))
      .run();
  write_entry(entry, {}, {});
}

void JournalFile::write_entry(const JournalEntry& entry, std::string_view inputs,
                              std::span<const Controller::Grant> grants) {
  insert_entry_.bind(1, entry.number)
      .bind(2, static_cast<std::int64_t>(entry.kind))
      .bind(3, entry.at.nanoseconds())
      .bind_bytes(4, inputs)
      .bind(5, inputs_sum(entry, inputs))
      .bind(6, static_cast<std::int64_t>(grants.size()))
      .bind(7, grants_sum(grants))
      .bind(8, std::int64_t{entry.is_laid_out})
      .run();
  std::int64_t place = 0;
  for (const auto& one : grants) {
    insert_grant_.bind(1, entry.number)
        .bind(2, place++)
        .bind(3, std::int64_t{one.device.value})
        .bind(4, signed_of(one.grant.id))
        .bind(5, std::int64_t{one.grant.answers.epoch})
        .bind(6, signed_of(one.grant.answers.number))
        .bind(7, in_watts(one.grant.cap))
        .bind(8, in_watts(one.before))
        .bind(9, in_seconds(one.grant.duration))
        .bind(10, one.void_after.nanoseconds())
        .bind(11, to_string(one.cause))
        .run();
  }
}

void JournalFile::write_acknowledgements(std::span<const Acknowledgement> acknowledgements) {
  for (const auto& one : acknowledgements) {
    acknowledge_.bind(1, one.latency_nanoseconds).bind(2, one.tick).bind(3, one.place).run();
  }
}

void JournalFile::write_checkpoint(const Checkpoint& checkpoint, EntryNumber drop) {
  database_.prepare("INSERT INTO checkpoints VALUES (?, ?, ?)")
      .bind(1, checkpoint.number)
      .bind_bytes(2, checkpoint.state)
      .bind(3, signed_of(fnv1a(checkpoint.state)))
      .run();
  database_.prepare("DELETE FROM checkpoints WHERE entry = ?").bind(1, drop).run();
}

void JournalFile::prune(Instant before, EntryNumber behind, int most) {
  auto oldest = database_.prepare("SELECT entry, at_ns FROM entries ORDER BY entry LIMIT 1");
  for (int i = 0; i < most; ++i) {
    if (!oldest.step()) {
      return;
    }
    const auto entry = oldest.integer(0);
    const bool is_old = oldest.integer(1) < before.nanoseconds() && entry < behind;
    while (oldest.step()) {  // ends the reading before rows are dropped
    }
    if (!is_old) {
      return;
    }
    for (const auto* sql :
         {"DELETE FROM grants WHERE tick = ?", "DELETE FROM checkpoints WHERE entry = ?",
          "DELETE FROM entries WHERE entry = ?",
          "DELETE FROM starts WHERE entry = ? AND entry < (SELECT max(entry) FROM starts)"}) {
      database_.prepare(sql).bind(1, entry).run();
    }
  }
}

}  // namespace perwatt::control
