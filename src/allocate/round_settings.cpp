#include "round_settings.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>

namespace perwatt::allocate {

namespace {

constexpr double kFits = 1e-9;  // of a setting's watts: so little more than there is fits

class Rounding {
 public:
  Rounding(const std::vector<NestedSum>& sums, std::vector<DiscreteDevice>& devices, Room& room,
           std::size_t most_steps)
      : sums_{sums},
        devices_{devices},
        room_{room},
        steps_left_{most_steps},
        next_(sums.size(), kNoSum) {
    for (std::uint32_t s = 0; s < sums.size(); ++s) {
      const auto above = sums[s].parent;
      next_[s] = above == kNoSum || std::isfinite(room_.nested[above]) ? above : next_[above];
    }
  }

  void take_what_fits() {
    std::vector<double> freed(sums_.size(), 0.0);
    for (auto& device : devices_) {
      const auto& options = device.options->options;
      const double given = in_watts(device.given) * (1 + kFits);
      while (device.chosen + 1 < options.size() &&
             in_watts(options[device.chosen + 1].power) <= given) {
        ++device.chosen;
      }
      const double less = in_watts(device.given - options[device.chosen].power);
      freed[device.sum] += less;
      for (const auto& [sum, ratio] : device.cross) {
        room_.cross[sum] += less * ratio;
      }
    }
    for (std::size_t s = sums_.size(); s-- > 0;) {
      room_.nested[s] += freed[s];
      if (sums_[s].parent != kNoSum) {
        freed[sums_[s].parent] += freed[s];
      }
    }
  }

  /// False when steps ran out.
  bool raise() {
    std::priority_queue<std::pair<double, std::size_t>> open;
    for (std::size_t d = 0; d < devices_.size() && steps_left_ > 0; ++d) {
      if (const auto best = best_raise(devices_[d])) {
        open.emplace(best->worth, d);
      }
    }
    while (!open.empty() && steps_left_ > 0) {
      const auto [worth, d] = open.top();
      open.pop();
      auto& device = devices_[d];
      auto best = best_raise(device);
      if (best && best->worth >= worth) {
        const auto& options = device.options->options;
        use(device, in_watts(options[best->option].power - options[device.chosen].power));
        device.chosen = best->option;
        best = best_raise(device);
      }
      if (best) {
        open.emplace(best->worth, d);
      }
    }
    return steps_left_ > 0;
  }

 private:
  struct Raise {
    std::size_t option = 0;
    double worth = 0;  // per root watt
  };

  void count(std::size_t steps) { steps_left_ -= std::min(steps, steps_left_); }

  [[nodiscard]] double room_of(const DiscreteDevice& device) {
    double room = std::numeric_limits<double>::infinity();
    std::size_t steps = device.cross.size();
    for (auto s = device.sum; s != kNoSum; s = next_[s]) {
      room = std::min(room, room_.nested[s]);
      ++steps;
    }
    for (const auto& [sum, ratio] : device.cross) {
      room = std::min(room, room_.cross[sum] / ratio);
    }
    count(steps);
    return room;
  }

  /// The raise of most worth per watt that there is room for.
  [[nodiscard]] std::optional<Raise> best_raise(const DiscreteDevice& device) {
    const auto& options = device.options->options;
    if (device.chosen + 1 == options.size()) {
      return std::nullopt;
    }
    const auto& now = options[device.chosen];
    const double room = room_of(device);
    std::optional<Raise> best;
    for (std::size_t o = device.chosen + 1; o < options.size(); ++o) {
      const double more = in_watts(options[o].power - now.power);
      if (more > room + in_watts(options[o].power) * kFits) {
        break;
      }
      const double worth = (options[o].value - now.value) / more;
      if (!best || worth > best->worth) {
        best = {o, worth};
      }
    }
    count(options.size() - device.chosen);
    return best;
  }

  void use(const DiscreteDevice& device, double more) {
    for (auto s = device.sum; s != kNoSum; s = next_[s]) {
      room_.nested[s] -= more;
    }
    for (const auto& [sum, ratio] : device.cross) {
      room_.cross[sum] -= more * ratio;
    }
  }

  const std::vector<NestedSum>& sums_;
  std::vector<DiscreteDevice>& devices_;
  Room& room_;
  std::size_t steps_left_;
  std::vector<std::uint32_t> next_;  // by sum: the next above with a limit, or kNoSum
};

}  // namespace

bool round_settings(const std::vector<NestedSum>& sums, std::vector<DiscreteDevice>& devices,
                    Room& room, std::size_t most_steps) {
  Rounding rounding{sums, devices, room, most_steps};
  rounding.take_what_fits();
  return rounding.raise();
}

}  // namespace perwatt::allocate
