// The events behind InferenceService.
//
// Every instance does one thing at a time: nothing, a prefill, or a block of equal decode steps
// that lasts until the first of its sequences ends. Work is kept in nanoseconds at full speed,
// counted from the last change of speed, so that looking at an instance changes nothing. A request
// that comes to a block cuts it at the end of the step under way.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "perwatt/simulate/service.hpp"

namespace perwatt::simulate {

class InferenceService::Engine {
 public:
  explicit Engine(const ServiceSetup& setup);

  void offer(const Request& request);
  void advance_to(std::int64_t time);
  void set_speed(Pool pool, PhaseSpeed speed);
  void set_speed(std::size_t index, PhaseSpeed speed);
  std::size_t add_instance(Pool pool);
  void drain(std::size_t index);
  void pause(std::size_t index);
  void resume(std::size_t index);
  void fail(std::size_t index);

  [[nodiscard]] std::int64_t now() const { return now_; }

  [[nodiscard]] InstanceState state(std::size_t index) const { return instances_.at(index).state; }

  [[nodiscard]] Pool pool_of(std::size_t index) const { return instances_.at(index).pool; }

  [[nodiscard]] std::size_t instances() const { return instances_.size(); }

  [[nodiscard]] std::size_t sequences(std::size_t index) const {
    return instances_.at(index).load();
  }

  [[nodiscard]] Watts gpu_demand(std::size_t index) const;
  [[nodiscard]] Watts demand(Pool pool) const;
  [[nodiscard]] RequestCounts counts() const;

  [[nodiscard]] const LatencyRecord& record() const { return record_; }

  [[nodiscard]] LatencyRecord take_record();
  [[nodiscard]] PoolUse take_use(Pool pool);
  [[nodiscard]] PoolUse take_use(std::size_t index);

 private:
  using Slot = std::size_t;

  /// A request that is in the service.
  struct Live {
    Request request;
    std::int64_t number = 0;       // in order of arrival
    std::int64_t first_token = 0;  // time
  };

  /// When a sequence ends, on its instance's count of steps.
  struct Ending {
    std::int64_t at_step;
    std::int64_t number;
    Slot slot;

    bool operator>(const Ending& other) const {
      return std::pair{at_step, number} > std::pair{other.at_step, other.number};
    }
  };

  template <class T>
  using EarliestFirst = std::priority_queue<T, std::vector<T>, std::greater<>>;

  enum class Activity { none, prefill, decode };

  struct Instance {
    Pool pool = Pool::aggregated;
    InstanceState state = InstanceState::active;
    PhaseSpeed speed;
    std::optional<Slot> assigned;    // starts its prefill at the end of the step under way
    std::optional<Slot> prefilling;  // with activity prefill
    std::vector<Slot> joining;       // of a decode pool: at the end of the step under way
    EarliestFirst<Ending> running;
    std::int64_t steps = 0;  // done in whole blocks

    Activity activity = Activity::none;
    std::int64_t work = 0;   // nanoseconds at full speed
    double done = 0;         // of the work, at `since`
    std::int64_t since = 0;  // last change of speed or block
    std::int64_t step_work = 0;
    std::int64_t block_steps = 0;
    std::int64_t counted_steps = 0;  // whose tokens are recorded
    std::uint64_t version = 0;       // ends of earlier ones are stale
    std::int64_t used_until = 0;
    PoolUse use;

    [[nodiscard]] std::size_t load() const {
      return running.size() + joining.size() + (assigned ? 1 : 0) + (prefilling ? 1 : 0);
    }
  };

  struct End {
    std::int64_t at;
    std::uint64_t order;  // of equal times, the one set first
    std::size_t instance;
    std::uint64_t version;

    bool operator>(const End& other) const {
      return std::pair{at, order} > std::pair{other.at, other.order};
    }
  };

  [[nodiscard]] const InstanceModel& model(const Instance& instance) const;
  [[nodiscard]] double speed_ratio(const Instance& instance) const;
  [[nodiscard]] Instance& known(std::size_t index);

  // Work under way.
  [[nodiscard]] double progress(const Instance& instance) const;
  void rebase(Instance& instance);
  void schedule_end(std::size_t index);
  void begin(std::size_t index, Activity activity, std::int64_t work);
  void cut_block(std::size_t index);
  void count_steps(Instance& instance);
  void count_use(Instance& instance);

  // Routing.
  [[nodiscard]] bool takes_prompts(const Instance& instance) const;
  [[nodiscard]] bool takes_sequences(const Instance& instance) const;
  [[nodiscard]] std::optional<std::size_t> least_loaded(bool (Engine::*takes)(const Instance&)
                                                            const) const;
  void arrive();
  void assign(std::size_t index, Slot slot);
  void join(std::size_t index, Slot slot);
  void hand_over(Slot slot);
  void serve_queues();

  // What an instance does next.
  void continue_work(std::size_t index);
  void start_prefill(std::size_t index);
  void start_block(std::size_t index);
  void end_activity(std::size_t index);
  void end_prefill(std::size_t index);
  void end_block(std::size_t index);
  void run(Instance& instance, Slot slot);
  void complete(Slot slot);
  [[nodiscard]] std::vector<Slot> drop_all(Instance& instance);
  [[nodiscard]] bool is_good(const Live& live) const;

  ServiceSetup setup_;
  std::optional<std::int64_t> max_ttft_;  // nanoseconds
  std::optional<double> max_tpot_;        // nanoseconds
  std::array<PoolUse, kPools> uses_;
  std::vector<Instance> instances_;
  std::deque<Request> offered_;
  std::deque<Slot> prompts_;    // wait for a prefill
  std::deque<Slot> sequences_;  // prefilled, wait for a decode instance
  std::vector<Live> lives_;
  std::vector<Slot> free_slots_;
  EarliestFirst<End> ends_;
  std::uint64_t order_ = 0;
  std::int64_t now_ = 0;
  std::int64_t arrived_ = 0;
  std::int64_t completed_ = 0;
  LatencyRecord record_;
};

}  // namespace perwatt::simulate
