// What of the work goes off when caps cannot keep a limit, and when it comes back.
//
// Two things ask for it:
//   a limit that fail-safe caps do not fit. Charged at fail-safe, with what is off at nothing, for
//   every limit        sum of charges <= limit * (1 - guard)
//   is to hold. What is missing is taken from tagged work (jobs::Tier) in this order, each only
//   where those before it cannot do: instances out of service, resized jobs, paused jobs. Among
//   units it takes those whose loss is least: lowest priority first, least value at fail-safe caps
//   (relief_cover.hpp: exact where it can be searched);
//   the breach ladder, which has measured that caps do not hold. `pause` takes all that tiers below
//   the node leave to be taken: there is no time to try less. `shut`, which only what trips
//   requires, shuts nodes tagged or not, least value per watt drawn first, until the supply as read
//   fits; all below where that has not helped within `shut_within`.
// Meanwhile, and while the ladder throttles, clocks of tagged devices below are lowered to what
// their tier tolerates. Caps come first of all: to_fail_safe() and set_most() of the controller.
//
// What was told to go off and is not off in time is charged again, and more is taken in its place.
// When there is room for it, with `release` below a limit that is lowered, it comes back after
// `release_after`, in reverse order: nodes, paused jobs, parts, instances, the dearest first; below
// a node that the ladder has a step for nothing does.
//
// The caller keeps the order of writes: Switchboard. docs/model/control.md#relief
//
// Thread rule: one thread at a time. No clock, no device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "perwatt/allocate/site_problem.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/control/breach_ladder.hpp"
#include "perwatt/control/charge_ledger.hpp"
#include "perwatt/control/controller.hpp"
#include "perwatt/jobs/job.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::control {

struct ReliefRules {
  double guard_ratio = 0;       // of every limit, kept free; as of the controller
  double release_ratio = 0.02;  // of a lowered limit: below it before anything comes back
  Seconds release_after = seconds(30);
  Seconds obeys_within = seconds(10);  // an order, beside what the job takes to stop
  Seconds shut_within = seconds(11);   // until shut nodes show in the readings
};

class Relief {
 public:
  /// Throws Error(bad_input) as jobs::check_jobs. `tree` must outlive it.
  Relief(const topology::PowerTree& tree, std::span<const ControlledDevice> devices,
         std::vector<jobs::Job> jobs, const ReliefRules& rules);

  /// What the node as a whole may carry, whether caps can keep it or not; never above the tree's.
  void set_limit(topology::NodeIndex node, Watts limit) { limits_.set(node, limit); }

  /// `required` of the ladder; draws as read by device, or what is believed of them; `ledger` knows
  /// what is off. Linear in devices while something is short or off.
  void tick(Instant now, std::span<const Breach> required, std::span<const Watts> draws,
            const ChargeLedger& ledger);

  /// By device: is to be off.
  [[nodiscard]] std::span<const char> off() const { return off_; }

  /// By device: the clock it may have, of its highest.
  [[nodiscard]] std::span<const double> clock_ratios() const { return clocks_; }

  /// Some limit is not kept, with all that may be taken: as of the last tick.
  [[nodiscard]] bool is_short() const { return is_short_; }

  /// By job, of the last tick.
  struct Taken {
    std::size_t units = 0;
    bool is_paused = false;

    bool operator==(const Taken&) const = default;
  };

  [[nodiscard]] std::span<const Taken> taken() const { return taken_; }

  [[nodiscard]] const std::vector<jobs::Job>& jobs() const { return jobs_; }

  /// What changed since the last call, in words: jobs that lost units or got them back, nodes that
  /// were shut.
  [[nodiscard]] std::vector<std::string> take_messages();

 private:
  using Row = std::pair<std::uint32_t, double>;  // a sum of SiteLimits, and root watts in it

  /// A unit of a job; or a node that was shut.
  struct Unit {
    std::size_t job = 0;  // not of a node
    std::vector<std::uint32_t> devices;
    std::vector<Row> rows;
    double worth = 0;
    bool is_off = false;
    bool is_forced = false;  // by the ladder, now
    Instant ordered_at;
    std::optional<Instant> fits_since;
  };

  /// What comes back in one piece.
  struct Return {
    std::vector<Unit*> units;
    std::size_t job = 0;
    bool ends_pause = false;
    int rank = 0;  // nodes first, then pauses, parts, instances
    int priority = 0;
    double worth_per_watt = 0;
  };

  struct Shut {
    Instant since;
    std::vector<char> nodes;  // of shut_
  };

  void make_units(std::span<const ControlledDevice> devices);
  void make_rows(Unit& unit) const;
  [[nodiscard]] std::vector<char> below(std::span<const Breach> required, BreachStep step) const;
  void force(Instant now, std::span<const Breach> required, std::span<const Watts> draws);
  void force_pause(Instant now, const std::vector<char>& is_below);
  void shut(Instant now, const Breach& breach, std::span<const Watts> draws);
  void order_off(Unit& unit, Instant now);
  [[nodiscard]] std::vector<double> sums(Instant now, const ChargeLedger* ledger) const;
  [[nodiscard]] std::vector<double> sums_of(std::span<const char> is_on) const;
  [[nodiscard]] std::vector<double> limits(double release_ratio) const;
  [[nodiscard]] bool has_lowered_limits() const;
  void take_more(Instant now, const std::vector<double>& charged);
  bool take_step(Instant now, std::span<const double> needs, int step);
  void bring_back(Instant now, const std::vector<char>& is_throttled);
  [[nodiscard]] std::vector<Return> returns();
  void note_changes();
  void set_clocks(const std::vector<double>& charged, const std::vector<char>& is_throttled);

  const topology::PowerTree* tree_;
  std::vector<jobs::Job> jobs_;
  ReliefRules rules_;
  allocate::ChangingLimits limits_;
  std::vector<double> tree_limits_;        // by row, in root watts
  std::vector<double> at_fail_safe_;       // by device, in root watts: what off relieves
  std::vector<double> worth_;              // by device, at fail-safe
  std::vector<double> beside_;             // by device, in root watts
  std::vector<int> job_of_;                // by device; -1: none
  std::vector<std::vector<Row>> of_node_;  // by node: rows of a root watt of its own devices
  std::vector<Unit> units_;                // job by job
  std::vector<std::size_t> first_unit_;    // by job; one more at the end
  std::vector<Unit> shut_;                 // nodes with devices
  std::vector<char> is_paused_;            // by job
  std::vector<char> told_shut_;            // by node
  std::map<std::pair<std::uint32_t, std::uint32_t>, Shut> shuts_;  // by node and limit
  std::vector<char> off_;
  std::vector<double> clocks_;
  std::vector<Taken> taken_;
  std::vector<std::string> messages_;
  bool is_short_ = false;
  bool is_active_ = false;
};

}  // namespace perwatt::control
