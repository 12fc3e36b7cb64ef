// The policies that perwatt is compared with, after what is published of them; each writes all its
// caps at once and keeps the sum of caps within the limits.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "policy.hpp"

#include "perwatt/allocate/allocator.hpp"
#include "perwatt/allocate/site_problem.hpp"
#include "perwatt/simulate/plant_meters.hpp"

namespace perwatt::simulate {

namespace {

constexpr int kLevels = 24;         // pieces of an even split
constexpr double kHeadroom = 1e-4;  // worth of watts that nobody asked for, to those asked for
constexpr double kHeadroomValue = 1e-12;  // USD/s per watt
constexpr double kBandWorth = 1e3;        // of a priority, to the next lower
constexpr double kHeldRatio = 0.97;       // of its cap: a draw above it asks for more
constexpr double kMargin = 1.1;           // of a draw, asked for
constexpr std::size_t kWindow = 5;        // samples (DPS 0.7.6: windowSize)

/// What a device asks for and how watts are worth to it.
struct Claim {
  Watts wanted;
  Watts unit;        // of which equal parts are worth the same
  double worth = 1;  // of the first part
};

class SplitPolicy : public Policy {
 public:
  explicit SplitPolicy(const PolicySite& site)
      : site_{site},
        limits_{site.scenario.tree},
        caps_(site.values.size()),
        readings_(site.values.size()),
        meters_(site.scenario.tree.nodes().size()) {}

  void start(Instant now) override {
    next_ = now + site_.plan.cadence;
    act();
  }

  void step(Instant now) override {
    observe(now);
    if (now >= next_) {
      next_ = next_ + site_.plan.cadence;
      act();
    }
  }

  void set_limits(std::span<const Watts> limits) override {
    for (std::uint32_t n = 0; n < limits.size(); ++n) {
      limits_.set({n}, limits[n]);
    }
    is_changed_ = true;
  }

 protected:
  /// What device d asks for now.
  [[nodiscard]] virtual Claim claim(std::size_t d) const = 0;

  virtual void observe(Instant /*now*/) {}

  [[nodiscard]] const topology::Device& device(std::size_t d) const {
    return site_.scenario.tree.devices()[d];
  }

  [[nodiscard]] bool is_working(std::size_t d) const { return site_.values[d].has_job; }

  [[nodiscard]] virtual std::vector<allocate::CurvePoint> curve(std::size_t d) const {
    const Claim claimed = claim(d);
    const Watts least = device(d).min;
    const Watts most = device(d).max;
    std::vector<allocate::CurvePoint> points{{at_root(d, least), 0}};
    double value = 0;
    Watts from = least;
    const auto add = [&](Watts to, double slope) {
      if (at_root(d, to) > points.back().power) {
        value += slope * in_watts(at_root(d, to) - points.back().power);
        points.push_back({at_root(d, to), value});
      }
      from = to;
    };
    // Worth falls in equal steps with the share of `unit` that it has.
    const auto levels = [&](Watts until, double scale) {
      for (int k = 0; k < kLevels; ++k) {
        const Watts level = claimed.unit * ((k + 1) / double{kLevels});
        if (level > from && from < until) {
          add(std::min(level, until), scale * claimed.worth * (kLevels - k) / kLevels);
        }
      }
    };
    levels(std::clamp(claimed.wanted, least, most), 1);
    levels(most, kHeadroom);
    return points;
  }

  /// A clairvoyant's devices do not overshoot.
  [[nodiscard]] bool is_ideal() const { return site_.plan.kind == PolicyKind::clairvoyant; }

  [[nodiscard]] Watts at_root(std::size_t d, Watts cap) const {
    const double overshoot = is_ideal() ? 0 : site_.scenario.overshoot_ratio;
    return cap * ((1 + overshoot) * limits_.limits().units.device_factor[d]);
  }

  /// Splits anew and writes what changed.
  virtual void act() {
    const allocate::CurveOf curve_of = [this](std::size_t d) { return curve(d); };
    if (!allocator_ || is_changed_) {
      allocator_.emplace(allocate::site_problem(site_.scenario.tree, limits_.limits(),
                                                is_ideal() ? 1 : 1 - site_.plan.guard_ratio,
                                                curve_of));
      is_changed_ = false;
      write(allocator_->solve());
      return;
    }
    for (std::uint32_t d = 0; d < caps_.size(); ++d) {
      allocator_->set_curve(allocate::DeviceIndex{d}, curve_of(d));
    }
    write(allocator_->solve());
  }

  void write(const allocate::Allocation& answer) {
    std::vector<device::CapCommand> commands;
    for (std::uint32_t d = 0; d < caps_.size(); ++d) {
      Watts cap = device(d).min;
      if (answer.status == allocate::Status::optimal) {
        const double factor = in_watts(at_root(d, watts(1)));
        cap = std::clamp(watts(std::floor(in_watts(answer.device_watts[d]) / factor + 1e-6)),
                         device(d).min, device(d).max);
      }
      if (cap != caps_[d]) {
        commands.push_back({d, cap});
        caps_[d] = cap;
      }
    }
    std::vector<device::CapAnswer> answers(commands.size());
    site_.platform.write(commands, answers);
  }

  void read() { site_.platform.read(readings_, meters_); }

  PolicySite site_;
  allocate::ChangingLimits limits_;
  std::optional<allocate::Allocator> allocator_;
  bool is_changed_ = false;
  std::vector<Watts> caps_;
  std::vector<Reading> readings_;
  std::vector<Reading> meters_;
  Instant next_;
};

/// Who works claims its highest cap, used or not, for good; new limits are kept.
class FixedPolicy : public SplitPolicy {
 public:
  using SplitPolicy::SplitPolicy;

 protected:
  void act() override {
    if (!allocator_ || is_changed_) {
      SplitPolicy::act();
    }
  }

  [[nodiscard]] Claim claim(std::size_t d) const override {
    return {is_working(d) ? device(d).max : device(d).min, device(d).max, worth(d)};
  }

  [[nodiscard]] virtual double worth(std::size_t /*d*/) const { return 1; }
};

/// The same by bands of priority.
class StealingPolicy final : public FixedPolicy {
 public:
  explicit StealingPolicy(const PolicySite& site) : FixedPolicy{site} {
    for (const auto& value : site.values) {
      bands_.emplace(value.priority, 1.0);
    }
    double worth = 1;
    for (auto& [priority, band] : bands_) {
      band = worth;
      worth = std::min(worth * kBandWorth, 1e9);
    }
  }

 protected:
  [[nodiscard]] double worth(std::size_t d) const override {
    return bands_.at(site_.values[d].priority);
  }

 private:
  std::map<int, double> bands_;
};

/// By the last reading of every device.
class DemandPolicy : public SplitPolicy {
 public:
  using SplitPolicy::SplitPolicy;

 protected:
  void act() override {
    read();
    SplitPolicy::act();
  }

  [[nodiscard]] Watts demand(std::size_t d) const {
    const auto& reading = readings_[d];
    if (caps_[d] == Watts{} || !reading.power) {
      return is_working(d) ? device(d).max : device(d).min;
    }
    return *reading.power >= caps_[d] * kHeldRatio ? device(d).max : *reading.power * kMargin;
  }
};

class EvenPolicy final : public DemandPolicy {
 public:
  using DemandPolicy::DemandPolicy;

 protected:
  [[nodiscard]] Claim claim(std::size_t d) const override { return {demand(d), device(d).max, 1}; }
};

class ProportionalPolicy final : public DemandPolicy {
 public:
  using DemandPolicy::DemandPolicy;

 protected:
  [[nodiscard]] Claim claim(std::size_t d) const override { return {demand(d), demand(d), 1}; }
};

/// Every 90 s: whose mean over the last samples is below its cap gives, who is at its cap gets.
class SteeringPolicy final : public SplitPolicy {
 public:
  explicit SteeringPolicy(const PolicySite& site)
      : SplitPolicy{site}, samples_(site.values.size()) {}

 protected:
  void observe(Instant now) override {
    if (now < sample_at_) {
      return;
    }
    sample_at_ = now + site_.plan.cadence * (1.0 / kWindow);
    read();
    for (std::size_t d = 0; d < samples_.size(); ++d) {
      if (readings_[d].power) {
        samples_[d].push_back(in_watts(*readings_[d].power));
      }
    }
  }

  void act() override {
    means_.assign(samples_.size(), 0);
    for (std::size_t d = 0; d < samples_.size(); ++d) {
      for (const double sample : samples_[d]) {
        means_[d] += sample / static_cast<double>(samples_[d].size());
      }
      samples_[d].clear();
    }
    SplitPolicy::act();
  }

  [[nodiscard]] Claim claim(std::size_t d) const override {
    const Watts mean = watts(means_[d]);
    if (mean == Watts{}) {
      return {is_working(d) ? device(d).max : device(d).min, device(d).max, 1};
    }
    const bool is_held = mean >= caps_[d] * 0.9;
    return {is_held ? device(d).max : mean * kMargin, device(d).max, 1};
  }

 private:
  Instant sample_at_;
  std::vector<std::vector<double>> samples_;
  std::vector<double> means_;
};

/// The best split of what devices truly ask for in this moment.
class ClairvoyantPolicy final : public SplitPolicy {
 public:
  using SplitPolicy::SplitPolicy;

  void start(Instant now) override {
    for (std::uint32_t d = 0; d < site_.values.size(); ++d) {
      if (site_.plan.locks_clocks) {
        static_cast<void>(site_.platform.lock_clock(d, site_.values[d].clock_ratio));
      }
    }
    SplitPolicy::start(now);
  }

 protected:
  void act() override {
    demands_ = site_.true_demands();
    SplitPolicy::act();
  }

  [[nodiscard]] Claim claim(std::size_t d) const override {
    return {demands_[d], device(d).max, 1};
  }

  [[nodiscard]] std::vector<allocate::CurvePoint> curve(std::size_t d) const override {
    const auto& value = site_.values[d];
    const Watts wanted = std::clamp(demands_[d], device(d).min, device(d).max);
    std::vector<allocate::CurvePoint> points{{at_root(d, device(d).min), 0}};
    const double base = allocate::value_at(value.curve, device(d).min);
    for (const auto& point : value.curve) {
      if (point.power > device(d).min && point.power < wanted) {
        points.push_back({at_root(d, point.power), point.value - base});
      }
    }
    double worth = allocate::value_at(value.curve, wanted) - base;
    if (at_root(d, wanted) > points.back().power) {
      points.push_back({at_root(d, wanted), worth});
    }
    if (device(d).max > wanted && is_working(d)) {  // for what comes before the next look
      worth += kHeadroomValue * in_watts(device(d).max - wanted);
      points.push_back({at_root(d, device(d).max), worth});
    }
    return points;
  }

 private:
  std::vector<Watts> demands_;
};

}  // namespace

std::unique_ptr<Policy> make_policy(const PolicySite& site) {
  switch (site.plan.kind) {
    case PolicyKind::fixed:
      return std::make_unique<FixedPolicy>(site);
    case PolicyKind::proportional:
      return std::make_unique<ProportionalPolicy>(site);
    case PolicyKind::even:
      return std::make_unique<EvenPolicy>(site);
    case PolicyKind::steering:
      return std::make_unique<SteeringPolicy>(site);
    case PolicyKind::stealing:
      return std::make_unique<StealingPolicy>(site);
    case PolicyKind::clairvoyant:
      return std::make_unique<ClairvoyantPolicy>(site);
    case PolicyKind::perwatt:
      break;
  }
  return site.plan.mode == control::Mode::control ? make_managed_policy(site)
                                                  : make_shadow_policy(site);
}

}  // namespace perwatt::simulate
