// Random sites, a controller that grants at random, and every fault of the model mixed in: messages
// lost, late, reordered and doubled, a controller that dies and comes back from its journal, agents
// that die, agents that fall silent, writes that act late, other writers, limits that fall. After
// every single event each device may draw no more than it is charged with, no limit of the tree is
// passed by the charges, nor by the true draws; a limit that fell is kept again once leases granted
// before have run out, whatever was lost.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <optional>
#include <random>
#include <vector>

#include "random_site.hpp"
#include <gtest/gtest.h>

#include "perwatt/agent/lease.hpp"
#include "perwatt/control/charge_ledger.hpp"
#include "perwatt/topology/loads.hpp"

namespace perwatt::agent {
namespace {

using control::ChargeLedger;
using topology::DeviceIndex;
using topology::PowerTree;

constexpr double kLeaseSeconds = 6;
constexpr double kSettleSeconds = 2;  // a write acts within it
constexpr double kPeriodSeconds =
    0.2;  // the longest time between two looks of an agent at its lease
// After an ask came in, until nothing of its grant can be left.
constexpr double kVoidSeconds = kLeaseSeconds + kPeriodSeconds + kSettleSeconds;

class Storm {
 public:
  Storm(std::uint64_t seed, const PowerTree& tree) : random_{seed}, tree_{tree} {
    for (std::uint32_t d = 0; d < tree.devices().size(); ++d) {
      const auto& device = tree.devices()[d];
      // random_site leaves room for the minima: what fail-safe is charged with.
      const double overshoot_ratio = 0.05 * unit();
      const Watts beside = device.min * (0.2 * unit());
      const Watts fail_safe = (device.min - beside) * (0.999 / (1 + overshoot_ratio));
      terms_.push_back({fail_safe, overshoot_ratio, beside});
      limits_.push_back({fail_safe * 0.7, device.max, fail_safe, seconds(kSettleSeconds)});
      nodes_.push_back({Lease{limits_.back(), 1, at(0)}, 1, fail_safe, {}, 0, {}});
    }
    ledger_.emplace(tree_, terms_);
    last_id_.assign(nodes_.size(), 0);
    time_ = 2 * kSettleSeconds;
  }

  void step() {
    time_ += kPeriodSeconds * unit();
    act_on_time();
    const auto d = static_cast<std::uint32_t>(below(nodes_.size()));
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
        if (!nodes_[d].is_silent()) {
          asks_.emplace_back(d, nodes_[d].lease.ask(at(time_)));
        }
        break;
      case 3:
      case 4:
        answer_an_ask();
        break;
      case 5:
      case 6:
        deliver_a_grant();
        break;
      case 7:
        if (!nodes_[d].is_silent()) {
          send_report(d);
        }
        break;
      case 8:
        hear_a_report();
        break;
      case 9:
        lose_something();
        break;
      default:
        rare_event(d);
    }
    check();
  }

  int raises = 0;
  int refusals = 0;
  int limits_lowered = 0;
  int lowered_together = 0;
  int quiet_checks = 0;

 private:
  struct Grant {
    std::uint32_t device;
    device::LeaseGrant grant;
  };

  struct Journalled {
    std::uint32_t device;
    device::AgentEpoch epoch;
    device::GrantId id;
    Watts cap;
    double void_after;
  };

  struct Node {
    Lease lease;
    device::AgentEpoch epoch;
    Watts cap;                                      // that the agent wants in force
    std::vector<std::pair<Watts, double>> wearing;  // caps of before, until when they may act
    double silent_until = 0;
    std::optional<Watts> other_writer;

    [[nodiscard]] Watts highest(double time) const {
      Watts most = cap;
      for (const auto& [before, until] : wearing) {
        most = time < until ? std::max(most, before) : most;
      }
      return most;
    }

    [[nodiscard]] bool is_silent() const { return silent_until > 0; }
  };

  static Instant at(double time_seconds) { return Instant{} + seconds(time_seconds); }

  double unit() { return uniform_unit(random_); }

  std::uint64_t below(std::uint64_t n) { return uniform_below(random_, n); }

  /// Leases run out and writes act, heard or not.
  void act_on_time() {
    for (std::uint32_t d = 0; d < nodes_.size(); ++d) {
      apply(d, nodes_[d].lease.cap(at(time_)));
      auto& node = nodes_[d];
      node.silent_until = node.silent_until > time_ ? node.silent_until : 0;
    }
    ledger_->advance(at(time_));
    std::erase_if(journal_, [&](const Journalled& entry) { return entry.void_after <= time_; });
  }

  void apply(std::uint32_t d, Watts cap) {
    auto& node = nodes_[d];
    std::erase_if(node.wearing, [&](const auto& one) { return one.second <= time_; });
    if (cap < node.cap) {
      node.wearing.emplace_back(node.cap, time_ + kSettleSeconds);
    }
    node.cap = cap;
  }

  void answer_an_ask() {
    if (asks_.empty()) {
      return;
    }
    const auto chosen = below(asks_.size());
    const auto [d, ask] = asks_[chosen];
    asks_.erase(asks_.begin() + static_cast<std::ptrdiff_t>(chosen));
    const auto& bounds = limits_[d];
    const Watts cap = bounds.least + (bounds.most - bounds.least) * unit();
    const double void_after = time_ + kVoidSeconds;
    const auto id = last_id_[d] + 1;
    const Watts before = ledger_->charge({d});
    if (!ledger_->admit({{d}, ask.epoch, id, cap, at(void_after)})) {
      ++refusals;
      return;
    }
    raises += ledger_->charge({d}) > before ? 1 : 0;
    last_id_[d] = id;
    journal_.push_back({d, ask.epoch, id, cap, void_after});
    if (below(20) == 0) {  // dies after the journal, before the message
      restart_controller();
      return;
    }
    grants_.push_back({d, {id, ask, cap, seconds(kLeaseSeconds)}});
  }

  void deliver_a_grant() {
    if (grants_.empty()) {
      return;
    }
    const auto chosen = below(grants_.size());
    const auto [d, grant] = grants_[chosen];
    if (below(5) > 0) {  // else it comes a second time
      grants_.erase(grants_.begin() + static_cast<std::ptrdiff_t>(chosen));
    }
    if (nodes_[d].is_silent()) {
      return;
    }
    if (nodes_[d].lease.take(grant, at(time_)) == Answer::accepted) {
      apply(d, grant.cap);
    }
  }

  void send_report(std::uint32_t d) {
    auto& node = nodes_[d];
    // A write that has not acted yet reads back as what still is in force.
    Watts enforced = below(2) == 0 ? node.cap : node.highest(time_);
    enforced = node.other_writer ? std::min(enforced, *node.other_writer) : enforced;
    reports_.emplace_back(d, node.lease.report(at(time_), enforced));
  }

  void hear_a_report() {
    if (reports_.empty()) {
      return;
    }
    const auto chosen = below(reports_.size());
    const auto [d, report] = reports_[chosen];
    if (below(5) > 0) {
      reports_.erase(reports_.begin() + static_cast<std::ptrdiff_t>(chosen));
    }
    ledger_->report({d}, report);
  }

  void lose_something() {
    if (!grants_.empty() && below(2) == 0) {
      grants_.erase(grants_.begin() + static_cast<std::ptrdiff_t>(below(grants_.size())));
    } else if (!reports_.empty()) {
      reports_.erase(reports_.begin() + static_cast<std::ptrdiff_t>(below(reports_.size())));
    }
    while (grants_.size() > 40) {
      grants_.pop_front();
    }
    while (reports_.size() > 40) {
      reports_.pop_front();
    }
    while (asks_.size() > 40) {
      asks_.pop_front();
    }
  }

  void rare_event(std::uint32_t d) {
    switch (below(8)) {
      case 0:
        restart_controller();
        break;
      case 1: {  // the agent dies; its guardian writes fail-safe, which acts like any write
        auto& node = nodes_[d];
        ++node.epoch;
        node.lease = Lease{limits_[d], node.epoch, at(time_)};
        apply(d, limits_[d].fail_safe);
        break;
      }
      case 2:
        nodes_[d].silent_until = time_ + 10 * unit();
        break;
      case 3:
        nodes_[d].other_writer =
            below(2) == 0 ? std::nullopt : std::optional{limits_[d].least * (0.5 + unit())};
        break;
      case 4:
        change_a_limit();
        break;
      default:
        break;
    }
  }

  void restart_controller() {
    const auto limits = lowered_;
    ledger_.emplace(tree_, terms_);
    for (const auto& [node, limit] : limits) {
      ASSERT_TRUE(ledger_->set_limit(node, limit));
    }
    for (const auto& entry : journal_) {
      ledger_->restore({{entry.device}, entry.epoch, entry.id, entry.cap, at(entry.void_after)});
    }
    restored_ = time_;
  }

  void change_a_limit() {
    const topology::NodeIndex n{static_cast<std::uint32_t>(below(tree_.nodes().size()))};
    const auto limit = tree_.node(n).steady_limit();
    if (!limit) {
      return;
    }
    const Watts lower = *limit * (0.6 + 0.4 * unit());
    if (!ledger_->set_limit(n, lower)) {
      return;
    }
    std::erase_if(lowered_, [&](const auto& one) { return one.first == n; });
    lowered_.emplace_back(n, lower);
    lowered_at_ = time_;
    ++limits_lowered;
    if (below(2) == 0) {
      lower_all(unit());
    }
  }

  /// Asks of all devices, answered at once with caps nearer to their least ones.
  void lower_all(double part) {
    std::vector<ChargeLedger::Request> requests;
    std::vector<Grant> grants;
    const double void_after = time_ + kVoidSeconds;
    for (std::uint32_t d = 0; d < nodes_.size(); ++d) {
      const auto ask = nodes_[d].lease.ask(at(time_));
      const Watts least = limits_[d].least;
      const Watts cap = least + (limits_[d].most - least) * (part * 0.3);
      requests.push_back({{d}, ask.epoch, last_id_[d] + 1, cap, at(void_after)});
      grants.push_back({d, {last_id_[d] + 1, ask, cap, seconds(kLeaseSeconds)}});
    }
    if (!ledger_->admit_lowers(requests)) {
      return;
    }
    ++lowered_together;
    for (std::uint32_t d = 0; d < nodes_.size(); ++d) {
      ++last_id_[d];
      journal_.push_back({d, requests[d].epoch, requests[d].id, requests[d].cap, void_after});
      grants_.push_back(grants[d]);
    }
  }

  void check() {
    std::vector<Watts> draws;
    for (std::uint32_t d = 0; d < nodes_.size(); ++d) {
      const auto& terms = terms_[d];
      const Watts highest = nodes_[d].highest(time_) * (1 + terms.overshoot_ratio) + terms.beside;
      ASSERT_LE(in_watts(highest), in_watts(ledger_->charge({d})) * (1 + 1e-9) + 1e-6);
      draws.push_back(highest);
    }
    ASSERT_EQ(ledger_->fault(), std::nullopt);
    const double quiet = time_ - std::max(lowered_at_, restored_);
    const bool may_be_over = quiet < kVoidSeconds;
    if (!may_be_over) {
      ++quiet_checks;
      ASSERT_EQ(ledger_->is_over(), std::nullopt);
    }
    // What was restored may be charged twice over, the draws are not: they keep every limit of the
    // tree unless one has just been lowered.
    const auto loads = topology::loads_at(tree_, draws);
    for (std::uint32_t n = 0; n < tree_.nodes().size(); ++n) {
      for (const auto& limit : tree_.node({n}).limits) {
        ASSERT_LE(in_watts(loads.bounded_by(limit, {n})), in_watts(limit.power) * (1 + 1e-9));
      }
    }
    for (const auto& [n, limit] : lowered_) {
      if (time_ - lowered_at_ > kVoidSeconds) {
        ASSERT_LE(in_watts(loads.supply[n.value]), in_watts(limit) * (1 + 1e-9));
      }
    }
  }

  std::mt19937_64 random_;
  const PowerTree& tree_;
  std::vector<control::ChargeTerms> terms_;
  std::vector<LeaseLimits> limits_;
  std::vector<Node> nodes_;
  std::optional<ChargeLedger> ledger_;
  std::vector<device::GrantId> last_id_;
  std::vector<Journalled> journal_;
  std::deque<std::pair<std::uint32_t, device::LeaseAsk>> asks_;
  std::deque<Grant> grants_;
  std::deque<std::pair<std::uint32_t, device::LeaseReport>> reports_;
  std::vector<std::pair<topology::NodeIndex, Watts>> lowered_;
  double time_ = 0;
  double lowered_at_ = -1e9;
  double restored_ = -1e9;
};

TEST(LeaseStorm, NoFaultOfTheModelPassesALimit) {
  const char* wanted = std::getenv("PERWATT_STORM_STEPS");
  const int steps = wanted != nullptr ? std::atoi(wanted) : 1000000;
  int raises = 0;
  int refusals = 0;
  int limits_lowered = 0;
  int lowered_together = 0;
  int quiet_checks = 0;
  constexpr int kSites = 40;
  for (std::uint64_t seed = 0; seed < kSites; ++seed) {
    SCOPED_TRACE(seed);
    const auto tree = allocate::random_site(seed, {seed % 2 == 1, seed % 4 >= 2, 6});
    Storm storm{seed, tree};
    for (int i = 0; i < steps / kSites; ++i) {
      storm.step();
      if (HasFatalFailure()) {
        return;
      }
    }
    raises += storm.raises;
    refusals += storm.refusals;
    limits_lowered += storm.limits_lowered;
    lowered_together += storm.lowered_together;
    quiet_checks += storm.quiet_checks;
  }
  EXPECT_GT(raises, steps / 200);
  EXPECT_GT(refusals, steps / 200);
  EXPECT_GT(limits_lowered, steps / 2000);
  EXPECT_GT(lowered_together, steps / 10000);
  EXPECT_GT(quiet_checks, steps / 50);
  std::printf("%d raises, %d refused, %d limits lowered, %d times all at once, %d quiet checks\n",
              raises, refusals, limits_lowered, lowered_together, quiet_checks);
}

}  // namespace
}  // namespace perwatt::agent
