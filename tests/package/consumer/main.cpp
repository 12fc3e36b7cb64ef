// A program outside the tree: plans a site through the installed libraries and data.
#include <cstdio>

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/point_table.hpp"
#include "perwatt/plan/plan.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    return 2;
  }
  const std::filesystem::path data{DATA_DIR};
  const auto catalog = perwatt::catalog::Catalog::load({data / "catalog"});
  const auto points = perwatt::inference::load_points({data / "points"}, catalog);
  const perwatt::inference::GpuPowerEstimator estimator{points, catalog};
  const auto site = perwatt::plan::load_site(argv[1], catalog);
  const auto set = perwatt::plan::build_candidates(site, catalog, points, estimator);
  const auto plan = perwatt::plan::solve_plan(site, set);
  std::printf("%.0f output tokens/s\n", perwatt::in_tokens_per_second(plan.totals.output));
  return plan.status == perwatt::plan::PlanStatus::optimal ? 0 : 1;
}
