// A scenario, or a recording of a site, that runs beside the clock on a thread of its own, and what
// is seen of it.
//
// Pace: after t seconds of the monotonic clock t * speed_ratio simulated seconds are done, to one
// look (kLook), counted from the start: nothing adds up. Where the machine is too slow for that it
// runs as fast as it can, and says so in LiveState::speed_reached_ratio. At its end the run stands
// still; states go on.
//
// Thread rule: newest(), failure() and order() may be called from any thread, the others from one.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "perwatt/serve/live_state.hpp"
#include "perwatt/simulate/run_means.hpp"
#include "perwatt/simulate/scenario.hpp"
#include "perwatt/simulate/site_order.hpp"

namespace perwatt::serve {

inline constexpr Seconds kLook = seconds(0.05);
inline constexpr Seconds kStateEvery = seconds(1);

struct LiveSettings {
  std::uint64_t seed = 1;
  double speed_ratio = 10;
  std::string version;
  simulate::RunMeans means = {};
};

class LiveSimulation {
 public:
  /// Begins the run, which stands still until start(). `scenario` and `policy` outlive it.
  LiveSimulation(const simulate::Scenario& scenario, const simulate::PolicyPlan& policy,
                 LiveSettings settings);

  /// A recording, `csv` and `name` as of RecordedRun.
  LiveSimulation(const simulate::Scenario& scenario, const simulate::PolicyPlan& policy,
                 LiveSettings settings, std::string_view csv, const std::string& name);
  ~LiveSimulation();
  LiveSimulation(const LiveSimulation&) = delete;
  LiveSimulation& operator=(const LiveSimulation&) = delete;

  [[nodiscard]] const LiveSite& site() const;

  /// Never null.
  [[nodiscard]] std::shared_ptr<const LiveState> newest() const;

  /// What ended the thread; null while all is well.
  [[nodiscard]] std::exception_ptr failure() const;

  /// `on_news` is called on the thread of the run, after each new state and after a failure; it
  /// must not throw.
  void start(std::function<void()> on_news);

  /// From the next step on: LiveSite::takes_orders. From any thread.
  void order(const simulate::SiteOrder& order);

  /// Returns when the thread has ended. The destructor does it too.
  void stop();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace perwatt::serve
