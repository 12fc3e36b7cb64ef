#include "perwatt/allocate/site_split.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "device_options.hpp"
#include "round_settings.hpp"

#include "perwatt/allocate/allocator.hpp"
#include "perwatt/allocate/problem.hpp"
#include "perwatt/allocate/site_limits.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/topology/loads.hpp"

namespace perwatt::allocate {

namespace {

using topology::PowerTree;

constexpr double kAtOnce = 1e-9;  // of a limit: two so near to each other are met at once
constexpr std::size_t kMostCrossEntries = 20'000'000;
constexpr double kLeastShare = 1e-6;  // of the greatest of a cross sum: less counts at its most
const Watts kNoLimit = Watts::from_base(std::numeric_limits<double>::infinity());

class Split {
 public:
  Split(const PowerTree& tree, const SiteCurves& curves)
      : tree_{tree}, curves_{curves}, limits_{site_limits(tree)}, problem_{Policy::value} {}

  SiteSplit solve() {
    add_sums();
    add_devices();
    add_cross_limits();
    Allocator allocator{problem_};
    const auto& answer = allocator.solve();
    split_.status = answer.status;
    split_.value_unit = curves_.value_unit;
    if (answer.status == Status::infeasible) {
      name_overfull(answer);
      return std::move(split_);
    }
    split_.value = answer.value;
    split_.bound = answer.bound;
    for (std::size_t d = 0; d < tree_.devices().size(); ++d) {
      split_.device_power.push_back(answer.device_watts[d] * (1 / factor(d)));
    }
    split_.supply = topology::loads_at(tree_, split_.device_power).supply;
    write_prices(answer);
    round(answer);
    return std::move(split_);
  }

 private:
  [[nodiscard]] double factor(std::size_t device) const {
    return limits_.units.device_factor[device];
  }

  [[nodiscard]] std::uint32_t sum_of(std::size_t device) const {
    return limits_.sum_of[tree_.devices()[device].parent.value];
  }

  /// The least limit of each sum.
  void add_sums() {
    least_ = limits_.least();
    for (std::size_t s = 0; s < limits_.nested.size(); ++s) {
      const auto parent = limits_.nested[s].parent;
      problem_.add_node(parent == kNoSum ? std::nullopt : std::optional{NodeIndex{parent}},
                        least_.nested[s]);
    }
  }

  void add_devices() {
    options_of_.resize(tree_.devices().size());
    for (std::size_t d = 0; d < tree_.devices().size(); ++d) {
      const NodeIndex sum{sum_of(d)};
      if (const auto curve = curves_.curve_of[d]) {
        options_of_[d] = &options(*curve, d);
        problem_.add_device(sum, options_of_[d]->hull);
      } else {
        problem_.add_device(sum, std::vector<CurvePoint>{{tree_.devices()[d].max * factor(d), 0}});
      }
    }
  }

  /// Devices that are alike share theirs.
  const DeviceOptions& options(std::size_t number, std::size_t d) {
    const auto& device = tree_.devices()[d];
    const auto key =
        std::tuple{number, in_watts(device.guaranteed), in_watts(device.max), factor(d)};
    auto found = options_.find(key);
    if (found == options_.end()) {
      const auto& curve = curves_.curves[number];
      auto made = device_options(curve, device.guaranteed, device.max, factor(d));
      if (!made) {
        throw_bad_input("all settings of the curve '" + printable(curve.id) +
                            "' take more than the " + shortest(in_watts(device.max)) + " W" +
                            " of device '" + printable(device.id) + "'",
                        curve.place, "give the device another curve or a higher max");
      }
      if (const auto fault = curve_fault(made->hull)) {
        throw_bad_input("the curve '" + printable(curve.id) + "': " + *fault, curve.place,
                        "give watts and values of a device in common units");
      }
      found = options_.emplace(key, std::move(*made)).first;
    }
    return found->second;
  }

  void add_cross_limits() {
    crossed_.resize(tree_.devices().size());
    std::size_t entries = 0;
    for (std::uint32_t k = 0; k < limits_.cross.size(); ++k) {
      double most = 0;
      Watts highest;  // with every device at its maximum
      for (const auto& [node, ratio] : limits_.cross[k].shares) {
        most = std::max(most, ratio);
        const auto devices = tree_.devices_of(node);
        for (auto d = devices.first.value; d < devices.end.value; ++d) {
          highest += limits_.units.device_max_at_root[d] * ratio;
        }
        entries += devices.end.value - devices.first.value;
      }
      cross_unit_.push_back(most);
      if (highest < least_.cross[k]) {  // never met: no row of the program
        problem_.add_cross_limit(kNoLimit, {});
        continue;
      }
      if (entries > kMostCrossEntries) {
        throw_bad_input("limits of feeds and phases bound more than " +
                            std::to_string(kMostCrossEntries) + " devices in all",
                        "topology", "leave out limits that hardly ever bind");
      }
      Watts limit = least_.cross[k] * (1 / most);
      std::vector<WattShare> shares;
      for (const auto& [node, own_ratio] : limits_.cross[k].shares) {
        const double ratio = own_ratio / most;
        const auto devices = tree_.devices_of(node);
        for (auto d = devices.first.value; d < devices.end.value; ++d) {
          if (ratio < kLeastShare) {
            limit -= limits_.units.device_max_at_root[d] * ratio;
            continue;
          }
          shares.push_back({DeviceIndex{d}, ratio});
          crossed_[d].emplace_back(k, ratio);
        }
      }
      problem_.add_cross_limit(std::max(limit, Watts{}), std::move(shares));
    }
  }

  void name_overfull(const Allocation& answer) {
    const auto add = [&](std::size_t sum, bool is_cross) {
      for (const auto& limit : limits_.limits) {
        if (limit.sum == sum && limit.is_cross == is_cross && is_least(limit)) {
          split_.overfull.push_back(limit.node);
        }
      }
    };
    for (const auto sum : answer.overfull) {
      add(static_cast<std::size_t>(sum), false);
    }
    for (const auto sum : answer.overfull_cross) {
      add(static_cast<std::size_t>(sum), true);
    }
  }

  [[nodiscard]] bool is_least(const SiteLimit& limit) const {
    const Watts least = limit.is_cross ? least_.cross[limit.sum] : least_.nested[limit.sum];
    return limit.limit_on_sum() <= least * (1 + kAtOnce);
  }

  void write_prices(const Allocation& answer) {
    std::vector<std::size_t> least_of(limits_.nested.size(),
                                      0);  // nodes whose limits are the least
    std::vector<std::optional<topology::NodeIndex>> last(limits_.nested.size());
    for (const auto& limit : limits_.limits) {  // those of a node stand together
      if (!limit.is_cross && is_least(limit) && last[limit.sum] != limit.node) {
        ++least_of[limit.sum];
        last[limit.sum] = limit.node;
      }
    }
    split_.prices.resize(tree_.nodes().size());
    for (const auto& limit : limits_.limits) {
      if (!is_least(limit)) {
        continue;
      }
      const auto& use = limit.is_cross ? answer.cross_limits[limit.sum] : answer.nodes[limit.sum];
      // Of the sum per watt of the limit.
      const double units = 1 / (limit.ratio * (limit.is_cross ? cross_unit_[limit.sum] : 1));
      const bool is_alone = limit.is_cross || least_of[limit.sum] == 1;
      auto& price = split_.prices[limit.node.value];
      price.price_per_watt =
          std::max(price.price_per_watt, is_alone ? use.price_per_watt * units : 0.0);
      if (!use.loss_per_watt || !price.loss_per_watt) {
        price.loss_per_watt = std::nullopt;
      } else {
        price.loss_per_watt = std::max(*price.loss_per_watt, *use.loss_per_watt * units);
      }
    }
  }

  void round(const Allocation& answer) {
    Room room;
    for (std::size_t s = 0; s < least_.nested.size(); ++s) {
      room.nested.push_back(in_watts(least_.nested[s] - answer.nodes[s].power));
    }
    for (std::size_t k = 0; k < answer.cross_limits.size(); ++k) {
      room.cross.push_back(
          in_watts(problem_.cross_limits()[k].limit - answer.cross_limits[k].power));
    }
    std::vector<DiscreteDevice> discrete;
    std::vector<std::size_t> device_of;
    for (std::size_t d = 0; d < options_of_.size(); ++d) {
      if (options_of_[d] != nullptr && !options_of_[d]->options.empty()) {
        discrete.push_back({options_of_[d], sum_of(d), crossed_[d], answer.device_watts[d], 0});
        device_of.push_back(d);
      }
    }
    auto& settings = split_.settings;
    settings.is_complete = round_settings(limits_.nested, discrete, room);
    settings.device_power = split_.device_power;
    settings.setting.resize(options_of_.size());
    long double value = 0;
    for (std::size_t i = 0; i < discrete.size(); ++i) {
      const auto d = device_of[i];
      const auto& option = discrete[i].options->options[discrete[i].chosen];
      settings.device_power[d] = option.power * (1 / factor(d));
      settings.setting[d] = option.setting;
      value += static_cast<long double>(option.value);
    }
    for (std::size_t d = 0; d < options_of_.size(); ++d) {
      if (options_of_[d] != nullptr && options_of_[d]->options.empty()) {
        value += static_cast<long double>(value_at(options_of_[d]->hull, answer.device_watts[d]));
      }
    }
    settings.value = static_cast<double>(value);
  }

  const PowerTree& tree_;
  const SiteCurves& curves_;
  SiteLimits limits_;
  Problem problem_;
  SumLimits least_;
  std::vector<double> cross_unit_;  // what its sum is divided by in the problem
  std::map<std::tuple<std::size_t, double, double, double>, DeviceOptions> options_;
  std::vector<const DeviceOptions*> options_of_;  // by device; null: not steered
  std::vector<std::vector<std::pair<std::uint32_t, double>>> crossed_;  // by device
  SiteSplit split_;
};

}  // namespace

SiteSplit split_site(const PowerTree& tree, const SiteCurves& curves) {
  return Split{tree, curves}.solve();
}

}  // namespace perwatt::allocate
