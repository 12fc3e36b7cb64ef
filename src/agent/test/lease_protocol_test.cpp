// Every order of events between the controller and one device, with the ledger and the lease that
// the product runs: no state in which the device may draw more than the ledger charges it with. The
// sum of charges is kept within the limits by the ledger itself (charge_ledger_test.cpp), device by
// device: so one device is all that need be searched.
//
// A state is what ledger, journal, agent, device and messages under way hold, with times counted
// from now and numbers by rank, so that there are finitely many and all of them are visited.
// Messages may be lost, late, reordered and doubled; the controller may die and come back from its
// journal, the agent may die (its guardian puts fail-safe back). Broken variants of each rule must
// be found out: a search that cannot fail shows nothing.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

#include "perwatt/agent/lease.hpp"
#include "perwatt/control/charge_ledger.hpp"

namespace perwatt::agent {
namespace {

using control::ChargeLedger;
using device::AgentEpoch;
using device::GrantId;
using topology::DeviceIndex;

constexpr int kDuration = 2;                     // ticks of a lease
constexpr int kSettle = 1;                       // ticks until a lower has worn in
constexpr std::array<double, 3> kCaps{1, 2, 4};  // fail-safe is 1 W
constexpr std::uint32_t kDevices = 1;

enum class Mutation {
  none,
  raise_before_lower,    // a lower counts as soon as it is sent
  lease_dropped,         // the agent does not fall back
  late_grant_taken,      // the lease counts from when the grant came
  stale_report_trusted,  // an old report counts as the state of now
  unsettled_trusted,     // a lower counts before it has worn in
  journal_after_send,    // a grant is lost to the journal when the controller dies
  epoch_ignored,         // a grant of before the agent's restart is taken
};

Instant tick(int number) {
  return Instant{} + seconds(number);
}

struct Message {
  enum class Kind : std::uint8_t { grant, report } kind;
  std::uint32_t device;
  device::LeaseGrant grant;
  device::LeaseReport report;
};

struct JournalEntry {
  std::uint32_t device;
  AgentEpoch epoch;
  GrantId id;
  double cap;
  int void_after;
};

/// The agent and its device; what the lease holds is kept beside it, to tell states apart.
struct Node {
  Lease lease;
  AgentEpoch epoch = 1;
  std::vector<std::pair<std::uint64_t, int>> asks;  // number, tick
  GrantId accepted = 0;
  int expires = -1;
  double cap = 1;
  int lowered = 0;
  double worn_from = 1;  // the cap before `lowered`
};

topology::PowerTree one_device() {
  topology::NodeSpec rack;
  rack.id = rack.place = "rack";
  rack.limits = {{topology::LimitKind::breaker, watts(1000), {}, std::nullopt, std::nullopt}};
  std::vector<topology::DeviceSpec> devices(kDevices);
  for (std::uint32_t d = 0; d < kDevices; ++d) {
    devices[d].id = devices[d].place = "d" + std::to_string(d);
    devices[d].parent = "rack";
    devices[d].max = watts(4);
  }
  return topology::PowerTree::build({rack}, devices);
}

ChargeLedger fresh_ledger() {
  return ChargeLedger{one_device(), std::vector<control::ChargeTerms>(kDevices, {watts(1), 0, {}})};
}

Lease fresh_lease(AgentEpoch epoch, int now) {
  return Lease{{watts(1), watts(4), watts(1), seconds(kSettle)}, epoch, tick(now)};
}

struct State {
  int now = 10;
  ChargeLedger ledger = fresh_ledger();
  std::array<GrantId, kDevices> last_id{};
  std::array<bool, kDevices> is_granted{};   // in this tick: the controller grants once
  std::array<bool, kDevices> is_reported{};  // as is reported
  std::vector<JournalEntry> journal;
  std::vector<Node> nodes;
  std::vector<Message> channel;

  State() {
    for (std::uint32_t d = 0; d < kDevices; ++d) {
      nodes.push_back({fresh_lease(1, 0), 1, {}, 0, -1, 1, 0, 1});
    }
  }
};

/// What the search does beside the rules under test.
struct Scope {
  bool controller_dies = false;
  bool agents_die = false;
  std::size_t grants_under_way = 1;  // of a device
  std::size_t most_states = 8'000'000;
};

class Explorer {
 public:
  Explorer(const Scope& scope, Mutation mutation) : scope_{scope}, mutation_{mutation} {}

  /// True when no state breaks the limit.
  bool run() {
    std::vector<State> open;
    visit(State{}, open);
    while (!open.empty() && !is_broken_ && seen_.size() < scope_.most_states) {
      const State state = std::move(open.back());
      open.pop_back();
      expand(state, open);
    }
    return !is_broken_;
  }

  [[nodiscard]] std::size_t states() const { return seen_.size(); }

  [[nodiscard]] bool is_exhausted() const { return seen_.size() < scope_.most_states; }

 private:
  void visit(State state, std::vector<State>& open) {
    if (seen_.insert(key_of(state)).second) {
      is_broken_ =
          is_broken_ || highest(state.nodes[0], state.now) > charge(state) || state.ledger.fault();
      open.push_back(std::move(state));
    }
  }

  /// The most that the device may draw now.
  static double highest(const Node& node, int now) {
    return now < node.lowered + kSettle ? std::max(node.cap, node.worn_from) : node.cap;
  }

  static double charge(const State& state) {
    return in_watts(state.ledger.charge({0})) * (1 + 1e-9);
  }

  [[nodiscard]] static std::size_t count(const State& state, Message::Kind kind, std::uint32_t d) {
    return static_cast<std::size_t>(std::count_if(
        state.channel.begin(), state.channel.end(),
        [&](const Message& message) { return message.kind == kind && message.device == d; }));
  }

  void expand(const State& state, std::vector<State>& open) {
    {
      State next = state;
      pass_time(next);
      visit(std::move(next), open);
    }
    for (std::uint32_t d = 0; d < kDevices; ++d) {
      if (!state.is_granted[d] && count(state, Message::Kind::grant, d) < scope_.grants_under_way) {
        for (const auto& asked : state.nodes[d].asks) {  // any that may have come in by now
          for (const double cap : kCaps) {
            State next = state;
            if (grant(next, d, {state.nodes[d].epoch, asked.first}, cap)) {
              visit(std::move(next), open);
            }
          }
        }
      }
      if (!state.is_reported[d] && count(state, Message::Kind::report, d) == 0) {
        State next = state;
        report(next, d);
        visit(std::move(next), open);
      }
      if (scope_.agents_die) {
        State next = state;
        restart_agent(next, d);
        visit(std::move(next), open);
      }
    }
    if (scope_.controller_dies) {
      State next = state;
      restart_controller(next);
      visit(std::move(next), open);
    }
    for (std::size_t m = 0; m < state.channel.size(); ++m) {
      {
        State next = state;  // lost
        next.channel.erase(next.channel.begin() + static_cast<std::ptrdiff_t>(m));
        visit(std::move(next), open);
      }
      deliver(state, m, open);
    }
  }

  static void set_cap(Node& node, double cap, int now) {
    if (cap < node.cap) {
      node.worn_from = highest(node, now);
      node.lowered = now;
    }
    node.cap = cap;
  }

  void pass_time(State& state) const {
    ++state.now;
    state.is_granted = {};
    state.is_reported = {};
    for (auto& node : state.nodes) {
      if (mutation_ != Mutation::lease_dropped) {
        set_cap(node, in_watts(node.lease.cap(tick(state.now))), state.now);
        if (node.expires >= 0 && state.now >= node.expires) {
          node.expires = -1;
        }
      }
      std::erase_if(node.asks,
                    [&](const auto& asked) { return asked.second + kDuration <= state.now; });
      ask(node, state.now);
    }
    state.ledger.advance(tick(state.now));
    std::erase_if(state.journal,
                  [&](const JournalEntry& entry) { return entry.void_after <= state.now; });
  }

  /// Every agent asks at every tick; asks may come in late, or never.
  static void ask(Node& node, int now) {
    const auto asked = node.lease.ask(tick(now));
    node.asks.emplace_back(asked.number, now);
  }

  static void report(State& state, std::uint32_t d) {
    auto& node = state.nodes[d];
    const auto report = node.lease.report(tick(state.now), watts(node.cap));
    state.channel.push_back({Message::Kind::report, d, {}, report});
    state.is_reported[d] = true;
  }

  static void restart_agent(State& state, std::uint32_t d) {
    auto& node = state.nodes[d];
    ++node.epoch;
    node.lease = fresh_lease(node.epoch, state.now);
    node.worn_from = highest(node, state.now);
    node.cap = 1;
    node.lowered = state.now;  // the lease does not know what stood before: it waits in any case
    node.asks.clear();
    node.accepted = 0;
    node.expires = -1;
  }

  void restart_controller(State& state) const {
    auto ledger = fresh_ledger();
    for (const auto& entry : state.journal) {
      ledger.restore(
          {{entry.device}, entry.epoch, entry.id, watts(entry.cap), tick(entry.void_after)});
    }
    state.ledger = std::move(ledger);
  }

  void deliver(const State& state, std::size_t m, std::vector<State>& open) {
    const Message message = state.channel[m];
    State next = state;
    next.channel.erase(next.channel.begin() + static_cast<std::ptrdiff_t>(m));
    switch (message.kind) {
      case Message::Kind::grant: {
        State doubled = next;
        doubled.channel.push_back(message);  // delivered, and under way still
        take(next, message);
        take(doubled, message);
        visit(std::move(doubled), open);
        break;
      }
      case Message::Kind::report:
        hear(next, message);
        break;
    }
    visit(std::move(next), open);
  }

  bool grant(State& state, std::uint32_t d, const device::LeaseAsk& ask, double cap) const {
    const int void_after = state.now + kDuration + kSettle;
    const GrantId id = state.last_id[d] + 1;
    if (!state.ledger.admit({{d}, ask.epoch, id, watts(cap), tick(void_after)})) {
      return false;
    }
    if (mutation_ == Mutation::raise_before_lower) {
      state.ledger.report({d}, {ask.epoch, id, false, true, {}});
    }
    state.last_id[d] = id;
    state.is_granted[d] = true;
    if (scope_.controller_dies && mutation_ != Mutation::journal_after_send) {
      state.journal.push_back({d, ask.epoch, id, cap, void_after});
    }
    state.channel.push_back(
        {Message::Kind::grant, d, {id, ask, watts(cap), seconds(kDuration)}, {}});
    return true;
  }

  void take(State& state, const Message& message) const {
    auto& node = state.nodes[message.device];
    auto grant = message.grant;
    int asked_at = -1;
    for (const auto& [number, at] : node.asks) {
      asked_at =
          number == grant.answers.number && grant.answers.epoch == node.epoch ? at : asked_at;
    }
    const bool is_mended =
        mutation_ == Mutation::late_grant_taken ||
        (mutation_ == Mutation::epoch_ignored && grant.answers.epoch != node.epoch);
    if (is_mended) {  // as if it had been asked for now
      grant.answers = node.lease.ask(tick(state.now));
      asked_at = state.now;
    }
    if (node.lease.take(grant, tick(state.now)) != Answer::accepted) {
      return;
    }
    ASSERT_GE(asked_at, 0);
    node.accepted = grant.id;
    node.expires = asked_at + kDuration;
    set_cap(node, in_watts(grant.cap), state.now);
  }

  void hear(State& state, const Message& message) const {
    auto report = message.report;
    if (mutation_ == Mutation::stale_report_trusted) {
      report.accepted = state.last_id[message.device];
      report.is_settled = true;
    }
    if (mutation_ == Mutation::unsettled_trusted) {
      report.is_settled = true;
    }
    state.ledger.report({message.device}, report);
  }

  // ---- keys -------------------------------------------------------------------------------------

  static void put(std::string& key, std::int64_t value) {
    key += static_cast<char>(std::clamp<std::int64_t>(value, -100, 100));
  }

  static void put_time(std::string& key, int time, int now) {
    put(key, std::max(time - now, -kDuration - kSettle));
  }

  static int tick_of(Instant instant) {
    return static_cast<int>(instant.nanoseconds() / kNanosecondsPerSecond);
  }

  /// Numbers of a device by their rank among all that are still known somewhere.
  struct Ranks {
    std::vector<std::uint64_t> values;

    void add(std::uint64_t value) { values.push_back(value); }

    void close() {
      std::sort(values.begin(), values.end());
      values.erase(std::unique(values.begin(), values.end()), values.end());
    }

    [[nodiscard]] std::int64_t of(std::uint64_t value) const {
      return std::lower_bound(values.begin(), values.end(), value) - values.begin();
    }
  };

  static std::string device_key(const State& state, std::uint32_t d) {
    const auto& node = state.nodes[d];
    Ranks ids;
    Ranks epochs;
    ids.add(0);
    ids.add(node.accepted);
    epochs.add(node.epoch);
    for (const auto& grant : state.ledger.grants({d})) {
      ids.add(grant.id);
      epochs.add(grant.epoch);
    }
    for (const auto& entry : state.journal) {
      if (entry.device == d) {
        ids.add(entry.id);
        epochs.add(entry.epoch);
      }
    }
    for (const auto& message : state.channel) {
      if (message.device == d) {
        ids.add(message.kind == Message::Kind::grant ? message.grant.id : message.report.accepted);
        epochs.add(message.kind == Message::Kind::grant ? message.grant.answers.epoch
                                                        : message.report.epoch);
      }
    }
    ids.close();
    epochs.close();
    std::string key;
    const auto put_ask = [&](const device::LeaseAsk& ask) {
      put(key, epochs.of(ask.epoch));
      std::int64_t rank = -1;  // too old, or of another epoch: not to be answered
      for (std::size_t a = 0; ask.epoch == node.epoch && a < node.asks.size(); ++a) {
        rank = node.asks[a].first == ask.number ? static_cast<std::int64_t>(a) : rank;
      }
      put(key, rank);
    };
    put(key, state.is_granted[d]);
    put(key, state.is_reported[d]);
    put(key, ids.of(node.accepted));
    put_time(key, node.expires < 0 ? -100 : node.expires, state.now);
    put(key, static_cast<std::int64_t>(node.cap));
    put_time(key, node.lowered + kSettle, state.now);
    put(key, state.now < node.lowered + kSettle ? static_cast<std::int64_t>(node.worn_from) : 0);
    put(key, epochs.of(node.epoch));
    for (const auto& asked : node.asks) {
      put_time(key, asked.second, state.now);
    }
    key += '|';
    for (const auto& grant : state.ledger.grants({d})) {
      put(key, ids.of(grant.id));
      put(key, epochs.of(grant.epoch));
      put(key, grant.charge / 1'000'000);
      put_time(key, tick_of(grant.void_after), state.now);
    }
    key += '|';
    for (const auto& entry : state.journal) {
      if (entry.device == d) {
        put(key, ids.of(entry.id));
        put(key, epochs.of(entry.epoch));
        put(key, static_cast<std::int64_t>(entry.cap));
        put_time(key, entry.void_after, state.now);
      }
    }
    std::vector<std::string> messages;
    for (const auto& message : state.channel) {
      if (message.device != d) {
        continue;
      }
      std::swap(key, messages.emplace_back());  // written to the list, then swapped back
      put(key, static_cast<std::int64_t>(message.kind));
      if (message.kind == Message::Kind::grant) {
        put(key, ids.of(message.grant.id));
        put_ask(message.grant.answers);
        put(key, static_cast<std::int64_t>(in_watts(message.grant.cap)));
      } else {
        put(key, epochs.of(message.report.epoch));
        put(key, ids.of(message.report.accepted));
        put(key, message.report.is_lapsed);
        put(key, message.report.is_settled);
      }
      std::swap(key, messages.back());
    }
    std::sort(messages.begin(), messages.end());
    for (const auto& message : messages) {
      key += '|' + message;
    }
    return key;
  }

  static std::string key_of(const State& state) { return device_key(state, 0); }

  Scope scope_;
  Mutation mutation_;
  std::unordered_set<std::string> seen_;
  bool is_broken_ = false;
};

struct Case {
  const char* name;
  Scope scope;
};

const Case kCases[] = {
    {"messages", {false, false, 2}},
    {"controller dies", {true, false, 1}},
    {"agent dies", {false, true, 1}},
    {"both die", {true, true, 1}},
};

TEST(LeaseProtocol, NoOrderOfEventsLetsADeviceDrawMoreThanItsCharge) {
  for (const auto& one : kCases) {
    SCOPED_TRACE(one.name);
    Explorer explorer{one.scope, Mutation::none};
    EXPECT_TRUE(explorer.run());
    EXPECT_TRUE(explorer.is_exhausted());
    EXPECT_GT(explorer.states(), 1000U);
    std::printf("%s: %zu states, all of them\n", one.name, explorer.states());
  }
}

TEST(LeaseProtocol, EveryBrokenRuleIsFoundOut) {
  const std::pair<Mutation, Scope> mutations[] = {
      {Mutation::raise_before_lower, kCases[0].scope},
      {Mutation::lease_dropped, kCases[0].scope},
      {Mutation::late_grant_taken, kCases[0].scope},
      {Mutation::stale_report_trusted, kCases[0].scope},
      {Mutation::unsettled_trusted, kCases[0].scope},
      {Mutation::journal_after_send, kCases[1].scope},
      {Mutation::epoch_ignored, kCases[2].scope},
  };
  for (const auto& [mutation, scope] : mutations) {
    Explorer explorer{scope, mutation};
    EXPECT_FALSE(explorer.run()) << static_cast<int>(mutation);
  }
}

}  // namespace
}  // namespace perwatt::agent
