// What an attribution costs: plans solved and time for each, beside the bare solver calls it makes.
#include <chrono>
#include <cstdio>
#include <string>

#include "perwatt/base/file.hpp"
#include "perwatt/inference/point_table.hpp"
#include "perwatt/plan/attribution.hpp"

namespace {

namespace plan = perwatt::plan;

/// Attributes once with every lever and prints the cost of it.
void run(const std::string& file, const perwatt::catalog::Catalog& catalog,
         std::span<const perwatt::inference::MeasuredPoint> points) {
  const auto site = plan::load_site(file, catalog);
  const auto baseline = plan::as_it_stands(site);
  const auto start = std::chrono::steady_clock::now();
  const perwatt::inference::GpuPowerEstimator estimator{points, catalog};
  auto accelerators = plan::accelerators_of(site, catalog);
  accelerators.merge(plan::accelerators_of(baseline, catalog));
  const auto options = plan::find_options(site.services, accelerators, points, estimator);
  const auto attribution = plan::attribute(baseline, site, catalog, options, {});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::size_t levers = 0;
  for (const auto& part : attribution.parts) {
    levers += part.differs ? 1 : 0;
  }
  const auto plans = static_cast<double>(attribution.plans_solved);
  std::printf("site %s\nlevers %zu (%s), plans solved %zu, resamples of each %zu\n", file.c_str(),
              levers, attribution.is_exact ? "exact" : "sampled", attribution.plans_solved,
              attribution.resamples);
  std::printf("attribution         %8.3f s\n", took.count());
  std::printf("solver calls alone  %8.3f s\n", attribution.solver_seconds);
  std::printf("per plan            %8.3f ms, solver alone %.3f ms\n", took.count() / plans * 1e3,
              attribution.solver_seconds / plans * 1e3);
}

}  // namespace

int main(int argc, char** argv) {
  const auto catalog = perwatt::catalog::Catalog::load({perwatt::data_dir() / "catalog"});
  const auto points = perwatt::inference::load_points({perwatt::data_dir() / "points"}, catalog);
  if (argc > 1) {
    run(argv[1], catalog, points);
    return 0;
  }
  const std::string examples = std::string{PERWATT_SOURCE_DIR} + "/examples/";
  run(examples + "site-20mw-hopper.toml", catalog, points);
  run(examples + "site-100mw.toml", catalog, points);
  return 0;
}
