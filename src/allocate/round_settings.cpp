#include "round_settings.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>

namespace perwatt::allocate {

namespace {

constexpr double kGiven = 1e-9;  // of the watts given: a setting so little above fits

class Rounding {
 public:
  Rounding(const std::vector<NestedSum>& sums, std::vector<DiscreteDevice>& devices, Room& room)
      : devices_{devices}, room_{room}, next_(sums.size(), kNoSum), depth_(sums.size(), 0) {
    for (std::uint32_t s = 0; s < sums.size(); ++s) {
      const auto above = sums[s].parent;
      next_[s] = above == kNoSum || std::isfinite(room_.nested[above]) ? above : next_[above];
      depth_[s] = above == kNoSum ? 1 : depth_[above] + (std::isfinite(room_.nested[s]) ? 1 : 0);
    }
  }

  void take_what_fits() {
    for (auto& device : devices_) {
      const auto& options = device.options->options;
      const double given = in_watts(device.given) * (1 + kGiven);
      while (device.chosen + 1 < options.size() &&
             in_watts(options[device.chosen + 1].power) <= given) {
        ++device.chosen;
      }
      use(device, in_watts(options[device.chosen].power) - in_watts(device.given));
    }
  }

  void raise(std::size_t most_steps) {
    std::size_t walk = 0;
    for (const auto& device : devices_) {
      walk += (depth_[device.sum] + device.cross.size()) * device.options->options.size();
    }
    if (walk > most_steps) {
      return;
    }
    std::priority_queue<std::pair<double, std::size_t>> open;
    for (std::size_t d = 0; d < devices_.size(); ++d) {
      if (const auto best = best_raise(devices_[d])) {
        open.emplace(best->worth, d);
      }
    }
    while (!open.empty()) {
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
  }

 private:
  struct Raise {
    std::size_t option = 0;
    double worth = 0;  // per root watt
  };

  [[nodiscard]] double room_of(const DiscreteDevice& device) const {
    double room = std::numeric_limits<double>::infinity();
    for (auto s = device.sum; s != kNoSum; s = next_[s]) {
      room = std::min(room, room_.nested[s]);
    }
    for (const auto& [sum, ratio] : device.cross) {
      room = std::min(room, room_.cross[sum] / ratio);
    }
    return room;
  }

  /// The raise of most worth per watt that there is room for.
  [[nodiscard]] std::optional<Raise> best_raise(const DiscreteDevice& device) const {
    const auto& options = device.options->options;
    const auto& now = options[device.chosen];
    const double room = room_of(device);
    std::optional<Raise> best;
    for (std::size_t o = device.chosen + 1; o < options.size(); ++o) {
      const double more = in_watts(options[o].power - now.power);
      if (more > room) {
        break;
      }
      const double worth = (options[o].value - now.value) / more;
      if (!best || worth > best->worth) {
        best = {o, worth};
      }
    }
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

  std::vector<DiscreteDevice>& devices_;
  Room& room_;
  std::vector<std::uint32_t> next_;  // by sum: the next above with a limit, or kNoSum
  std::vector<std::uint32_t> depth_;
};

}  // namespace

void round_settings(const std::vector<NestedSum>& sums, std::vector<DiscreteDevice>& devices,
                    Room& room, std::size_t most_steps) {
  Rounding rounding{sums, devices, room};
  rounding.take_what_fits();
  rounding.raise(most_steps);
}

}  // namespace perwatt::allocate
