// What planning costs beside the bare solver calls it makes, in one process and one run.
//
// Planning is everything between the parsed input and the finished answer: finding the deployments
// that meet each SLO, their power, the linear program, the whole racks, the duals and the totals.
// The bound is the time inside the solver for the same calls.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "perwatt/base/file.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/point_table.hpp"
#include "perwatt/plan/plan.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const std::string file =
      argc > 1 ? argv[1] : std::string{PERWATT_SOURCE_DIR} + "/examples/site-100mw.toml";
  constexpr int kRuns = 31;
  const auto catalog = perwatt::catalog::Catalog::load({perwatt::data_dir() / "catalog"});
  const auto points = perwatt::inference::load_points({perwatt::data_dir() / "points"}, catalog);
  const auto site = perwatt::plan::load_site(file, catalog);
  std::vector<double> total;
  std::vector<double> prepared;
  std::vector<double> solver;
  std::vector<double> ratio;
  std::size_t columns = 0;
  int calls = 0;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = Clock::now();
    const perwatt::inference::GpuPowerEstimator estimator{points, catalog};
    const auto set = perwatt::plan::build_candidates(site, catalog, points, estimator);
    prepared.push_back(seconds_since(start));
    const auto plan = perwatt::plan::solve_plan(site, set);
    total.push_back(seconds_since(start));
    solver.push_back(plan.solver.seconds);
    ratio.push_back(total.back() / plan.solver.seconds);
    columns = set.candidates.size();
    calls = plan.solver.calls;
  }
  std::printf("site %s\ncolumns %zu, solver calls %d, runs %d\n", file.c_str(), columns, calls,
              kRuns);
  std::printf("columns and power   %8.3f ms median\n", median(prepared) * 1e3);
  std::printf("solver calls alone  %8.3f ms median\n", median(solver) * 1e3);
  std::printf("planning            %8.3f ms median\n", median(total) * 1e3);
  std::printf("planning / solver   %8.3f   median (bound 1.5)\n", median(ratio));
  return 0;
}
