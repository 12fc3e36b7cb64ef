// The exact split of watts over a tree: CPU beside std::sort over the same slopes, beside Clp on
// the same problem, and of a re-solve after one device in a hundred changed.
//
//   allocate_bench            100,000 and 1,000,000 devices; Clp at 100,000
//   allocate_bench DEVICES    that many, without Clp
//
// Five levels of nodes, four segments to a device, all slopes different. Limits are such that at
// least half of the nodes on every level bind, which the run prints.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <optional>
#include <random>
#include <vector>

#include <ClpSimplex.hpp>
#include <CoinPackedMatrix.hpp>

#include "perwatt/allocate/allocator.hpp"

namespace {

using namespace perwatt;
using namespace perwatt::allocate;

constexpr int kRuns = 5;
constexpr int kLevels = 5;
constexpr int kSegments = 4;
constexpr double kLeast = 200;
constexpr double kLoose = 1.2;
// Devices to a node by level, root first; the part of what comes from below that a tight limit lets
// through. Each level takes a little more than the one above can find in what is loose.
constexpr std::array<int, kLevels> kDevicesPerNode{0, 12800, 800, 80, 8};
constexpr std::array<double, kLevels> kTight{0.99975, 0.9985, 0.99, 0.94, 0.6};
constexpr std::array<double, kLevels> kTightShare{1.0, 0.8, 0.65, 0.65, 0.65};

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

template <class Work>
double best_seconds(const Work& work) {
  double best = 1e9;
  for (int run = 0; run < kRuns; ++run) {
    const double start = cpu_seconds();
    work();
    best = std::min(best, cpu_seconds() - start);
  }
  return best;
}

class Site {
 public:
  explicit Site(int devices) : problem{Policy::value} {
    for (int d = 0; d < devices; ++d) {
      curves.push_back(curve());
    }
    std::array<int, kLevels> counts{};
    for (int level = 0; level < kLevels; ++level) {
      counts[at(level)] = level == 0 ? 1 : std::max(1, devices / kDevicesPerNode[at(level)]);
    }
    set_limits(counts);
    for (int level = 0; level < kLevels; ++level) {
      for (int n = 0; n < counts[at(level)]; ++n) {
        const auto parent =
            level == 0
                ? std::nullopt
                : std::optional{
                      nodes[at(level - 1)][at(share(n, counts[at(level - 1)], counts[at(level)]))]};
        nodes[at(level)].push_back(problem.add_node(parent, watts(limits_[at(level)][at(n)])));
      }
    }
    for (int d = 0; d < devices; ++d) {
      problem.add_device(nodes[kLevels - 1][at(share(d, counts[kLevels - 1], devices))],
                         curves[at(d)]);
    }
  }

  static std::size_t at(int i) { return static_cast<std::size_t>(i); }

  /// Other values for `count` devices from `first` on, or scattered.
  void change(Allocator& allocator, int count, std::optional<int> first) {
    for (int i = 0; i < count; ++i) {
      const int device = first ? *first + i
                               : std::uniform_int_distribution<int>{
                                     0, static_cast<int>(curves.size()) - 1}(random_);
      auto& changed = curves[at(device)];
      const double factor = 0.95 + 0.1 * unit_(random_);
      for (auto& point : changed) {
        point.value *= factor;
      }
      allocator.set_curve(DeviceIndex{static_cast<std::uint32_t>(device)}, changed);
    }
  }

  Problem problem;
  std::vector<std::vector<CurvePoint>> curves;
  std::vector<double> slopes;
  std::array<std::vector<NodeIndex>, kLevels> nodes;

 private:
  static int share(int i, int of, int all) {
    return static_cast<int>(static_cast<long>(i) * of / all);
  }

  std::vector<CurvePoint> curve() {
    std::array<double, kSegments> own{};
    for (double& slope : own) {
      slope = unit_(random_);
    }
    std::sort(own.begin(), own.end(), std::greater<>{});
    std::vector<CurvePoint> points{{watts(kLeast), 100}};
    for (const double slope : own) {
      const double width = 50 + 100 * unit_(random_);
      points.push_back({points.back().power + watts(width), points.back().value + slope * width});
      slopes.push_back(slope);
    }
    return points;
  }

  void set_limits(const std::array<int, kLevels>& counts) {
    std::array<std::vector<double>, kLevels> least;
    std::array<std::vector<double>, kLevels> most;
    for (int level = 0; level < kLevels; ++level) {
      least[at(level)].assign(at(counts[at(level)]), 0.0);
      most[at(level)].assign(at(counts[at(level)]), 0.0);
    }
    const int devices = static_cast<int>(curves.size());
    for (int d = 0; d < devices; ++d) {
      const auto n = at(share(d, counts[kLevels - 1], devices));
      least[kLevels - 1][n] += kLeast;
      most[kLevels - 1][n] += curves[at(d)].back().power.in_base();
    }
    for (int level = kLevels; level-- > 0;) {
      for (int n = 0; n < counts[at(level)]; ++n) {
        const double low = least[at(level)][at(n)];
        double part = unit_(random_) < kTightShare[at(level)] ? kTight[at(level)] : kLoose;
        if (level == kLevels - 1 && part < 1) {
          part += 0.25 * unit_(random_);
        }
        const double limit = low + (most[at(level)][at(n)] - low) * part;
        limits_[at(level)].push_back(limit);
        if (level > 0) {
          const auto parent = at(share(n, counts[at(level - 1)], counts[at(level)]));
          least[at(level - 1)][parent] += low;
          most[at(level - 1)][parent] += std::min(most[at(level)][at(n)], limit);
        }
      }
    }
  }

  std::mt19937_64 random_{1};
  std::uniform_real_distribution<double> unit_{0, 1};
  std::array<std::vector<double>, kLevels> limits_;
};

double sort_seconds(std::vector<double> slopes) {
  std::shuffle(slopes.begin(), slopes.end(), std::mt19937_64{2});
  std::vector<double> sorted;
  double best = 1e9;
  for (int run = 0; run < kRuns; ++run) {
    sorted = slopes;
    const double start = cpu_seconds();
    std::sort(sorted.begin(), sorted.end());
    best = std::min(best, cpu_seconds() - start);
  }
  return best;
}

/// The linear program with a row for each node that can bind and a column for each segment.
double clp_seconds(const Problem& problem, double& value) {
  std::vector<int> starts{0};
  std::vector<int> rows;
  std::vector<double> ones;
  std::vector<double> width;
  std::vector<double> slope;
  std::vector<double> room;
  double fixed = 0;
  for (const auto& node : problem.nodes()) {
    room.push_back(node.limit.in_base());
  }
  for (std::size_t d = 0; d < problem.devices().size(); ++d) {
    const auto curve = problem.curve(DeviceIndex{static_cast<std::uint32_t>(d)});
    std::vector<int> path;
    for (std::optional<NodeIndex> n = problem.devices()[d].parent; n;
         n = problem.nodes()[static_cast<std::size_t>(*n)].parent) {
      path.push_back(static_cast<int>(*n));
      room[static_cast<std::size_t>(*n)] -= curve.front().power.in_base();
    }
    fixed += curve.front().value;
    for (std::size_t i = 1; i < curve.size(); ++i) {
      width.push_back((curve[i].power - curve[i - 1].power).in_base());
      slope.push_back((curve[i].value - curve[i - 1].value) / width.back());
      rows.insert(rows.end(), path.begin(), path.end());
      ones.insert(ones.end(), path.size(), 1.0);
      starts.push_back(static_cast<int>(rows.size()));
    }
  }
  const std::vector<double> zero(width.size(), 0.0);
  const std::vector<double> none(room.size(), -COIN_DBL_MAX);
  const CoinPackedMatrix matrix{true,
                                static_cast<int>(room.size()),
                                static_cast<int>(width.size()),
                                static_cast<int>(rows.size()),
                                ones.data(),
                                rows.data(),
                                starts.data(),
                                nullptr};
  ClpSimplex simplex;
  simplex.setLogLevel(0);
  simplex.loadProblem(matrix, zero.data(), width.data(), slope.data(), none.data(), room.data());
  simplex.setOptimizationDirection(-1.0);
  const double start = cpu_seconds();
  simplex.dual();
  const double taken = cpu_seconds() - start;
  value = simplex.getObjValue() + fixed;
  return taken;
}

void print_binding(const Site& site, const Allocation& answer) {
  std::printf("  nodes that bind by level:");
  for (const auto& level : site.nodes) {
    const auto binding = std::count_if(level.begin(), level.end(), [&](NodeIndex n) {
      return answer.nodes[static_cast<std::size_t>(n)].price_per_watt > 0;
    });
    std::printf(" %ld of %zu", static_cast<long>(binding), level.size());
  }
  std::printf("\n");
}

void re_solve(Site& site, Allocator& allocator, const char* name, std::optional<int> first,
              double full) {
  const int count = static_cast<int>(site.curves.size()) / 100;
  site.change(allocator, count, first);
  allocator.resolve();  // makes what later calls start from
  const std::size_t before = allocator.update_count();
  double best = 1e9;
  for (int run = 0; run < 2 * kRuns; ++run) {
    site.change(allocator, count, first);
    const double start = cpu_seconds();
    allocator.resolve();
    best = std::min(best, cpu_seconds() - start);
  }
  const double value = allocator.resolve().value;
  const double fresh = allocator.solve().value;
  std::printf(
      "  re-solve, %d devices %s: %.3f ms, %.1f times quicker than a full solve"
      " (%zu of %d from the last; value differs by %.1g)\n",
      count, name, best * 1e3, full / best, allocator.update_count() - before - 1, 2 * kRuns,
      (value - fresh) / fresh);
}

void run(int devices, bool with_clp) {
  Site site{devices};
  const double sorting = sort_seconds(site.slopes);
  Allocator allocator{site.problem};
  const Allocation* answer = nullptr;
  const double solving = best_seconds([&] { answer = &allocator.solve(); });
  std::printf(
      "%d devices, %d segments each: std::sort of the slopes %.2f ms, full solve %.2f ms,"
      " ratio %.3f\n",
      devices, kSegments, sorting * 1e3, solving * 1e3, solving / sorting);
  print_binding(site, *answer);
  if (with_clp) {
    double value = 0;
    const double taken = clp_seconds(site.problem, value);
    std::printf("  Clp %.0f ms: %.0f times the full solve; values differ by %.1g\n", taken * 1e3,
                taken / solving, (answer->value - value) / value);
  }
  re_solve(site, allocator, "in one place", devices / 3, solving);
  re_solve(site, allocator, "scattered", std::nullopt, solving);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    run(std::atoi(argv[1]), false);
    return 0;
  }
  run(100000, true);
  run(1000000, false);
}
