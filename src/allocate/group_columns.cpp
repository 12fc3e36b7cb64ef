#include "group_columns.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>

#include "perwatt/base/error.hpp"

namespace perwatt::allocate {

namespace {

constexpr std::size_t kMostSlopes = 20000000;
constexpr std::size_t kMostEqual = 10000;  // devices that share columns

/// The slope of a curve over [from, to], which lies between two of its points.
double slope_between(std::span<const CurvePoint> curve, double from) {
  for (std::size_t i = 1; i < curve.size(); ++i) {
    if (from < curve[i].power.in_base()) {
      return (curve[i].value - curve[i - 1].value) /
             (curve[i].power - curve[i - 1].power).in_base();
    }
  }
  return 0;
}

class Builder {
 public:
  Builder(const Problem& problem, const std::vector<Watts>& device_watts, GroupColumns& into)
      : problem_{problem}, device_watts_{device_watts}, into_{into} {}

  void build() {
    into_.least_watts.resize(problem_.devices().size());
    std::set<Priority, std::greater<>> classes;
    std::vector<std::vector<std::uint32_t>> groups(problem_.cap_group_count());
    for (std::uint32_t d = 0; d < problem_.devices().size(); ++d) {
      classes.insert(class_of(d));
      if (const auto group = problem_.devices()[d].terms.same_cap) {
        groups[static_cast<std::size_t>(*group)].push_back(d);
      }
    }
    into_.classes.assign(classes.begin(), classes.end());
    find_crossings();
    std::vector<std::uint32_t> equal;
    for (std::uint32_t d = 0; d < problem_.devices().size(); ++d) {
      if (problem_.devices()[d].terms.same_cap) {
        continue;
      }
      if (!equal.empty() && (equal.size() == kMostEqual || !are_equal(equal.front(), d))) {
        add(equal, false);
        equal.clear();
      }
      equal.push_back(d);
    }
    if (!equal.empty()) {
      add(equal, false);
    }
    for (std::size_t g = 0; g < groups.size(); ++g) {
      if (!groups[g].empty() && !add(groups[g], true)) {
        into_.split.push_back(CapGroupIndex{static_cast<std::uint32_t>(g)});
      }
    }
  }

 private:
  [[nodiscard]] Priority class_of(std::uint32_t device) const {
    return problem_.policy() == Policy::priority ? problem_.devices()[device].terms.priority : 0;
  }

  void find_crossings() {
    into_.crossed.resize(problem_.devices().size());
    for (std::uint32_t k = 0; k < problem_.cross_limits().size(); ++k) {
      for (const auto& [device, ratio] : problem_.cross_limits()[k].shares) {
        into_.crossed[static_cast<std::size_t>(device)].emplace_back(k, ratio);
      }
    }
  }

  [[nodiscard]] bool are_equal(std::uint32_t a, std::uint32_t b) const {
    const auto& one = problem_.devices()[a];
    const auto& other = problem_.devices()[b];
    const auto curve = problem_.curve(DeviceIndex{a});
    const auto other_curve = problem_.curve(DeviceIndex{b});
    return one.parent == other.parent && class_of(a) == class_of(b) &&
           one.terms.guarantee == other.terms.guarantee && into_.crossed[a] == into_.crossed[b] &&
           std::equal(curve.begin(), curve.end(), other_curve.begin(), other_curve.end());
  }

  /// The columns of devices that get the same watts; false when no watts suit all.
  bool add(std::span<const std::uint32_t> devices, bool is_cap_group) {
    double least = 0;
    double most = std::numeric_limits<double>::infinity();
    double start = most;
    for (const std::uint32_t d : devices) {
      const auto curve = problem_.curve(DeviceIndex{d});
      least = std::max(least, curve.front().power.in_base());
      most = std::min(most, curve.back().power.in_base());
      start = std::min(start, device_watts_[d].in_base());
    }
    if (least > most) {
      return false;
    }
    std::vector<double> corners{least, most};
    for (const std::uint32_t d : devices) {
      const auto curve = problem_.curve(DeviceIndex{d});
      into_.least_watts[d] = least;
      into_.least_value += value_at(curve, Watts::from_base(least));
      for (const auto& point : curve) {
        const double corner = point.power.in_base();
        if (corner > least && corner < most) {
          corners.push_back(corner);
        }
      }
    }
    std::sort(corners.begin(), corners.end());
    corners.erase(std::unique(corners.begin(), corners.end()), corners.end());
    if (devices.size() * corners.size() > kMostSlopes) {
      throw_bad_input("a group of " + std::to_string(devices.size()) + " devices of one cap has " +
                          std::to_string(corners.size()) + " different points",
                      "", "give its devices the same few watts in their curves");
    }
    const auto first_member = static_cast<std::uint32_t>(into_.members.size());
    into_.members.insert(into_.members.end(), devices.begin(), devices.end());
    for (std::size_t i = 1; i < corners.size(); ++i) {
      std::map<Priority, double> worth;
      for (const std::uint32_t d : devices) {
        worth[class_of(d)] += slope_between(problem_.curve(DeviceIndex{d}), corners[i - 1]);
      }
      const double width = corners[i] - corners[i - 1];
      into_.columns.push_back({width, std::clamp(start - corners[i - 1], 0.0, width), first_member,
                               static_cast<std::uint32_t>(devices.size()), is_cap_group,
                               static_cast<std::uint32_t>(into_.worths.size()),
                               static_cast<std::uint32_t>(worth.size())});
      into_.worths.insert(into_.worths.end(), worth.begin(), worth.end());
    }
    return true;
  }

  const Problem& problem_;
  const std::vector<Watts>& device_watts_;
  GroupColumns& into_;
};

}  // namespace

GroupColumns::GroupColumns(const Problem& problem, const std::vector<Watts>& device_watts) {
  Builder{problem, device_watts, *this}.build();
}

}  // namespace perwatt::allocate
