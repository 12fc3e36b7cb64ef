#include "serving_data.hpp"

#include <utility>

#include "perwatt/base/file.hpp"
#include "perwatt/inference/import.hpp"

namespace perwatt::cli {

namespace {

inference::PointTable read_measured_file(const std::filesystem::path& path,
                                         const catalog::Catalog& catalog) {
  const std::string text = read_file(path);
  return inference::is_serving_latency(text)
             ? inference::import_serving_latency(text, path.string(), catalog)
             : inference::parse_points(text, path.string(), catalog);
}

}  // namespace

inference::PointTable read_measured_files(const std::vector<std::string>& paths,
                                          const catalog::Catalog& catalog) {
  inference::PointTable all;
  for (const auto& path : paths) {
    auto table = read_measured_file(path, catalog);
    std::size_t replaced = 0;
    all.points = inference::merge_points(std::move(all.points), table.points, replaced);
    all.rejected.insert(all.rejected.end(), table.rejected.begin(), table.rejected.end());
  }
  return all;
}

std::filesystem::path calibration_folder() {
  return data_dir() / "serving";
}

std::vector<inference::MeasuredPoint> shipped_serving_rows(const catalog::Catalog& catalog) {
  auto points = inference::load_points({data_dir() / "points"}, catalog);
  const auto latencies = read_measured_file(calibration_folder() / "serving_latency.csv", catalog);
  std::size_t replaced = 0;
  return inference::merge_points(std::move(points), latencies.points, replaced);
}

std::vector<const inference::serving::MeasuredCase*> ServingCases::pointers() const {
  std::vector<const inference::serving::MeasuredCase*> result;
  for (const auto& one : cases) {
    result.push_back(&one);
  }
  return result;
}

ServingCases cases_of(const std::vector<inference::MeasuredPoint>& points,
                      const catalog::Catalog& catalog, inference::serving::ShapeLibrary& shapes) {
  ServingCases result;
  for (const auto& point : points) {
    auto one = inference::serving::case_of(point, catalog, shapes);
    if (one) {
      result.cases.push_back(std::move(one).value());
    } else {
      result.unpredicted.push_back({&point, one.reason()});
    }
  }
  return result;
}

}  // namespace perwatt::cli
