// Problems at random: depth to 7, devices on any node, curves with one point, equal slopes, flat
// and falling ends, minima of 0, limits from too small to none.
#pragma once

#include <algorithm>
#include <limits>
#include <optional>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "perwatt/allocate/problem.hpp"

namespace perwatt::allocate {

struct ProblemKind {
  Policy policy = Policy::value;
  bool is_whole = false;  // watts and slopes are whole numbers
  int most_nodes = 30;
  int most_devices = 40;
  int cap_groups = 0;
  int guarantees = 0;
  int cross_limits = 0;
  int tightness = 0;  // 0: limits leave room for least watts
};

class RandomProblem {
 public:
  explicit RandomProblem(std::uint64_t seed) : random_{seed} {}

  Problem make(const ProblemKind& kind) {
    const int nodes = whole(1, kind.most_nodes);
    const int devices = whole(1, kind.most_devices);
    std::vector<std::optional<NodeIndex>> parents{std::nullopt};
    std::vector<int> depth{1};
    for (int n = 1; n < nodes; ++n) {
      int parent = whole(0, n - 1);
      while (depth[static_cast<std::size_t>(parent)] >= 7) {
        parent = whole(0, n - 1);
      }
      parents.push_back(NodeIndex{static_cast<std::uint32_t>(parent)});
      depth.push_back(depth[static_cast<std::size_t>(parent)] + 1);
    }
    std::vector<std::vector<CurvePoint>> curves;
    std::vector<std::size_t> at;
    std::vector<double> least(parents.size(), 0.0);
    std::vector<double> most(parents.size(), 0.0);
    for (int d = 0; d < devices; ++d) {
      curves.push_back(curve(kind.is_whole));
      at.push_back(static_cast<std::size_t>(whole(0, nodes - 1)));
      least[at.back()] += curves.back().front().power.in_base();
      most[at.back()] += curves.back().back().power.in_base();
    }
    std::vector<double> limits(parents.size());
    for (std::size_t n = parents.size(); n-- > 0;) {
      double limit = least[n] + (most[n] - least[n]) * share(0, 1.1);
      if (whole(0, 5) == 0) {
        limit = whole(0, 1) == 0 ? std::numeric_limits<double>::infinity() : least[n];
      }
      limits[n] = kind.is_whole ? std::floor(limit) : limit;
      if (kind.tightness > 0 && whole(0, kind.tightness) == 0) {
        limits[n] = least[n] * share(0.5, 1.0);
      }
      if (parents[n]) {
        const auto p = static_cast<std::size_t>(*parents[n]);
        least[p] += least[n];
        most[p] += std::min(most[n], std::max(limits[n], least[n]));
      }
    }
    Problem problem{kind.policy};
    for (std::size_t n = 0; n < parents.size(); ++n) {
      problem.add_node(parents[n], Watts::from_base(limits[n]));
    }
    for (int g = 0; g < kind.cap_groups; ++g) {
      problem.add_cap_group();
    }
    std::vector<DeviceTerms> terms;
    std::vector<double> group_least(static_cast<std::size_t>(kind.guarantees), 0.0);
    std::vector<double> group_most(group_least.size(), 0.0);
    for (std::size_t d = 0; d < curves.size(); ++d) {
      DeviceTerms term;
      term.priority = kind.policy == Policy::priority ? whole(0, 3) : 0;
      if (kind.cap_groups > 0 && whole(0, 2) == 0) {
        term.same_cap = CapGroupIndex{static_cast<std::uint32_t>(whole(0, kind.cap_groups - 1))};
      }
      if (kind.guarantees > 0 && whole(0, 2) > 0) {
        const int g = whole(0, kind.guarantees - 1);
        term.guarantee = GuaranteeIndex{static_cast<std::uint32_t>(g)};
        group_least[static_cast<std::size_t>(g)] += curves[d].front().power.in_base();
        group_most[static_cast<std::size_t>(g)] += curves[d].back().power.in_base();
      }
      terms.push_back(term);
    }
    for (std::size_t g = 0; g < group_least.size(); ++g) {
      const double watts = group_least[g] + (group_most[g] - group_least[g]) * share(0, 0.8);
      problem.add_guarantee(Watts::from_base(kind.is_whole ? std::floor(watts) : watts));
    }
    for (std::size_t d = 0; d < curves.size(); ++d) {
      problem.add_device(NodeIndex{static_cast<std::uint32_t>(at[d])}, curves[d], terms[d]);
    }
    for (int k = 0; k < kind.cross_limits; ++k) {
      std::vector<WattShare> shares;
      double low = 0;
      double high = 0;
      for (std::size_t d = 0; d < curves.size(); ++d) {
        if (whole(0, 1) == 0) {
          const double ratio = whole(0, 2) == 0 ? 1.0 : share(0.1, 2);
          shares.push_back({DeviceIndex{static_cast<std::uint32_t>(d)}, ratio});
          low += ratio * curves[d].front().power.in_base();
          high += ratio * curves[d].back().power.in_base();
        }
      }
      problem.add_cross_limit(Watts::from_base(low + (high - low) * share(0.05, 1.0)),
                              std::move(shares));
    }
    return problem;
  }

  int whole(int low, int high) { return std::uniform_int_distribution<int>{low, high}(random_); }

  double share(double low, double high) {
    return std::uniform_real_distribution<double>{low, high}(random_);
  }

  std::vector<CurvePoint> curve(bool is_whole) {
    std::vector<double> slopes(static_cast<std::size_t>(whole(0, 4)));
    for (double& slope : slopes) {
      slope = is_whole || whole(0, 2) == 0 ? whole(-1, 6) : share(-0.5, 6);
    }
    std::sort(slopes.begin(), slopes.end(), std::greater<>{});
    double watts = whole(0, 2) == 0 ? 0.0 : (is_whole ? whole(0, 9) : share(0, 9));
    double value = whole(0, 5);
    std::vector<CurvePoint> points{{Watts::from_base(watts), value}};
    for (const double slope : slopes) {
      const double width = is_whole ? whole(1, 5) : share(0.1, 5);
      watts += width;
      value += slope * width;
      points.push_back({Watts::from_base(watts), value});
    }
    return points;
  }

  /// The curve with other values.
  std::vector<CurvePoint> scaled(std::span<const CurvePoint> curve) {
    std::vector<CurvePoint> points(curve.begin(), curve.end());
    const double factor = share(0.9, 1.1);
    for (auto& point : points) {
      point.value *= factor;
    }
    return points;
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace perwatt::allocate
