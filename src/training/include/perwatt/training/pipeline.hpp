// One iteration of a training pipeline: operations, what each may take, and what waits for what.
//
// Energy of an iteration of length T, per GPU of a tensor parallel group and summed over stages
// (zeus and Perseus, arXiv 2312.06902, section 4.1):
//   E = sum over operations (e - P t) + S T P,
// with t and e of the chosen settings, P the blocking power (what a GPU draws while it waits) and S
// the number of stages. The first term is the *effective energy*; a plan can change only it and T.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/training/profile.hpp"

namespace perwatt::training {

/// One setting of an operation and what it takes.
struct Option {
  Knob knob;
  Seconds time;
  Joules energy;
  Joules effective_energy;  // energy - blocking power * time

  [[nodiscard]] Watts power() const { return energy / time; }

  bool operator==(const Option&) const = default;
};

/// What operations of one stage and instruction have in common.
struct Work {
  int stage = 0;
  std::string instruction;
  /// From slow to fast, times falling and effective energies rising strictly: no option is
  /// dominated. Never empty.
  std::vector<Option> options;
  /// Every option in the order of the profile, dominated ones too.
  std::vector<Option> all;
  /// The fastest setting as practice has it without a plan: the highest frequency, else the
  /// shortest time. May be dominated.
  Option all_max;
  std::size_t dominated = 0;  // options left out

  bool operator==(const Work&) const = default;
};

/// Makes the work of `rows` (one stage and instruction); ranks that wait for the slowest one of
/// their group draw the blocking power. `time_share` of each row's time and energy counts, for
/// schedules that cut an instruction into parts.
[[nodiscard]] Work make_work(std::span<const ProfileRow> rows, Watts blocking_power,
                             double time_share = 1.0);

struct Operation {
  std::uint32_t work = 0;  // index into Pipeline::works
  int microbatch = 0;      // -1: once per iteration

  bool operator==(const Operation&) const = default;
};

/// `after` begins when `before` has ended and `delay` has passed.
struct Dependency {
  std::uint32_t before = 0;  // indices into Pipeline::operations
  std::uint32_t after = 0;
  Seconds delay;

  bool operator==(const Dependency&) const = default;
};

struct Pipeline {
  int stages = 0;
  Watts blocking_power;
  std::vector<Work> works;
  std::vector<Operation> operations;
  std::vector<Dependency> dependencies;
  /// Operations of each stage in the order of execution.
  std::vector<std::vector<std::uint32_t>> order;
  /// Follows the last operation in every iteration and no setting changes it.
  Seconds tail;
  /// Names of Knob::others, as Profile::other_knobs.
  std::vector<std::string> other_knobs;
  /// What was assumed to make the pipeline of this profile, for people.
  std::vector<std::string> notes;

  [[nodiscard]] const Work& work_of(std::uint32_t operation) const {
    return works[operations[operation].work];
  }

  bool operator==(const Pipeline&) const = default;
};

/// The pipeline on devices whose power is capped: without the settings that draw more than `cap` on
/// average over their operation, which a device under that cap does not hold. Nothing when an
/// operation has no setting left.
[[nodiscard]] std::optional<Pipeline> under_cap(Pipeline pipeline, Watts cap);

/// Operations in an order that keeps all dependencies. Throws Error(bad_input) naming two
/// operations of a cycle; `where` stands in front of the message.
[[nodiscard]] std::vector<std::uint32_t> topological_order(const Pipeline& pipeline,
                                                           const std::string& where);

/// When each operation of an iteration runs.
struct Timeline {
  std::vector<Seconds> begin;  // by operation, as early as it can, from 0
  /// By operation: how much longer it alone could take before the last one ends later. 0, to
  /// rounding, on a longest path.
  std::vector<Seconds> slack;
};

/// How long an iteration takes when each operation begins as early as it can.
class Makespan {
 public:
  /// REQUIRES: `topological` from topological_order().
  Makespan(const Pipeline& pipeline, std::span<const std::uint32_t> topological);

  /// With the tail. REQUIRES: one time per operation.
  [[nodiscard]] Seconds operator()(std::span<const Seconds> times) const;

  /// The same iteration, operation by operation. REQUIRES: one time per operation.
  [[nodiscard]] Timeline timeline(std::span<const Seconds> times) const;

 private:
  /// Fills `begin`; returns when the last operation ends.
  Seconds begin_early(std::span<const Seconds> times, std::vector<Seconds>& begin) const;

  struct Link {
    std::uint32_t after;
    Seconds delay;
  };

  std::vector<std::uint32_t> topological_;
  std::vector<std::uint32_t> first_link_;  // by operation
  std::vector<Link> links_;
  Seconds tail_;
};

/// An iteration carried out.
struct Replay {
  Seconds time;
  Joules energy;
  Joules effective_energy;
};

/// Each operation with its `chosen` option. REQUIRES: `makespan` of the same pipeline.
[[nodiscard]] Replay replay(const Pipeline& pipeline, const Makespan& makespan,
                            std::span<const Option* const> chosen);

/// Work::all_max of every operation. The pipeline must outlive it.
[[nodiscard]] std::vector<const Option*> all_max_choice(const Pipeline& pipeline);

/// Every operation at Work::all_max.
[[nodiscard]] Replay replay_all_max(const Pipeline& pipeline);

}  // namespace perwatt::training
