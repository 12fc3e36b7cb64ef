#include "perwatt/serve/live_simulation.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "live_observer.hpp"

#include "perwatt/base/instant.hpp"
#include "perwatt/simulate/recorded_run.hpp"
#include "perwatt/simulate/scenario_run.hpp"

namespace perwatt::serve {

namespace {

using LiveRun = std::variant<simulate::ScenarioRun, simulate::RecordedRun>;

}  // namespace

struct LiveSimulation::Parts {
  Parts(const simulate::Scenario& scenario, const simulate::PolicyPlan& policy, LiveRun run,
        LiveSettings settings)
      : observer_{scenario, policy},
        site_{observer_.site()},
        run_{std::move(run)},
        step_{scenario.plant.step()} {
    if (std::holds_alternative<simulate::RecordedRun>(run_)) {
      site_.is_recorded = true;
      site_.duration = step_ * static_cast<double>(steps());
    }
    site_.speed_ratio = settings.speed_ratio;
    site_.version = std::move(settings.version);
    publish(observe());
  }

  [[nodiscard]] std::int64_t steps() const {
    return std::visit([](const auto& run) { return run.steps(); }, run_);
  }

  [[nodiscard]] std::int64_t steps_done() const {
    return std::visit([](const auto& run) { return run.steps_done(); }, run_);
  }

  void step() {
    std::visit([](auto& run) { run.step(); }, run_);
  }

  [[nodiscard]] LiveState observe() {
    return std::visit([this](const auto& run) { return observer_.observe(run); }, run_);
  }

  void take_orders() {
    std::vector<simulate::SiteOrder> orders;
    {
      const std::lock_guard guard{mutex_};
      orders.swap(orders_);
    }
    if (auto* run = std::get_if<simulate::ScenarioRun>(&run_)) {
      for (const auto& order : orders) {
        run->order(order);
      }
    }
  }

  void publish(LiveState state) {
    auto next = std::make_shared<const LiveState>(std::move(state));
    const std::lock_guard guard{mutex_};
    newest_ = std::move(next);
  }

  /// Due at `now`, from the beginning.
  [[nodiscard]] std::int64_t steps_due(Instant now) const {
    const double due = std::floor((now - begin_) * site_.speed_ratio / step_);
    return due >= static_cast<double>(steps()) ? steps() : std::llround(due);
  }

  /// False when more is due than a look has time for.
  [[nodiscard]] bool catch_up() {
    const auto now = Instant::now();
    const auto due = steps_due(now);
    while (steps_done() < due) {
      step();
      if (Instant::now() - now >= kLook) {
        return steps_done() >= due;
      }
    }
    return true;
  }

  void look() {
    take_orders();
    const bool is_in_time = catch_up();
    const auto now = Instant::now();
    const bool ends_now = steps_done() == steps() && !is_over_;
    if (now >= next_state_ || ends_now) {
      is_over_ = is_over_ || ends_now;
      auto state = observe();
      state.speed_reached_ratio = (state.time - seen_time_) / (now - seen_at_);
      seen_time_ = state.time;
      seen_at_ = now;
      publish(std::move(state));
      on_news_();
      while (next_state_ <= now) {
        next_state_ = next_state_ + kStateEvery;
      }
    }
    if (is_in_time) {
      rest(is_over_ ? next_state_ - Instant::now() : std::min(kLook, next_state_ - Instant::now()));
    }
  }

  void rest(Seconds time) {
    std::unique_lock lock{mutex_};
    wake_.wait_for(lock, std::chrono::duration<double>{std::max(0.0, in_seconds(time))},
                   [this] { return is_stopping_; });
  }

  [[nodiscard]] bool is_stopping() const {
    const std::lock_guard guard{mutex_};
    return is_stopping_;
  }

  void run() {
    begin_ = seen_at_ = Instant::now();
    next_state_ = begin_ + kStateEvery;
    try {
      while (!is_stopping()) {
        look();
      }
    } catch (...) {
      {
        const std::lock_guard guard{mutex_};
        failure_ = std::current_exception();
      }
      on_news_();
    }
  }

  LiveObserver observer_;  // down to is_over_: of the thread while it runs
  LiveSite site_;
  LiveRun run_;
  Seconds step_;
  std::function<void()> on_news_;
  Instant begin_;
  Instant next_state_;
  Instant seen_at_;  // of the last state
  Seconds seen_time_;
  bool is_over_ = false;

  mutable std::mutex mutex_;  // guards the next four
  std::shared_ptr<const LiveState> newest_;
  std::exception_ptr failure_;
  std::vector<simulate::SiteOrder> orders_;
  bool is_stopping_ = false;
  std::condition_variable wake_;
  std::thread thread_;
};

LiveSimulation::LiveSimulation(const simulate::Scenario& scenario,
                               const simulate::PolicyPlan& policy, LiveSettings settings)
    : parts_{std::make_unique<Parts>(
          scenario, policy, simulate::ScenarioRun{scenario, policy, settings.seed, settings.means},
          settings)} {}

LiveSimulation::LiveSimulation(const simulate::Scenario& scenario,
                               const simulate::PolicyPlan& policy, LiveSettings settings,
                               std::string_view csv, const std::string& name)
    : parts_{std::make_unique<Parts>(
          scenario, policy, simulate::RecordedRun{scenario, policy, csv, name}, settings)} {}

LiveSimulation::~LiveSimulation() {
  stop();
}

const LiveSite& LiveSimulation::site() const {
  return parts_->site_;
}

std::shared_ptr<const LiveState> LiveSimulation::newest() const {
  const std::lock_guard guard{parts_->mutex_};
  return parts_->newest_;
}

std::exception_ptr LiveSimulation::failure() const {
  const std::lock_guard guard{parts_->mutex_};
  return parts_->failure_;
}

void LiveSimulation::start(std::function<void()> on_news) {
  parts_->on_news_ = std::move(on_news);
  parts_->thread_ = std::thread{[this] { parts_->run(); }};
}

void LiveSimulation::order(const simulate::SiteOrder& order) {
  const std::lock_guard guard{parts_->mutex_};
  parts_->orders_.push_back(order);
}

void LiveSimulation::stop() {
  {
    const std::lock_guard guard{parts_->mutex_};
    parts_->is_stopping_ = true;
  }
  parts_->wake_.notify_all();
  if (parts_->thread_.joinable()) {
    parts_->thread_.join();
  }
}

}  // namespace perwatt::serve
