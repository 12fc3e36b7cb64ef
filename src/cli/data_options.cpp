#include <system_error>

#include "verbs.hpp"

#include "perwatt/base/file.hpp"
#include "perwatt/inference/point_table.hpp"

namespace perwatt::cli {

void add_catalog_option(CLI::App& verb, DataOptions& options) {
  verb.add_option("--catalog", options.catalog_folders,
                  "Folder of catalog TOML files and climate CSV files whose entries extend or "
                  "replace the shipped ones; may be repeated")
      ->type_name("DIR")
      ->allow_extra_args(false);
}

void add_points_option(CLI::App& verb, DataOptions& options) {
  verb.add_option("--points", options.points_paths,
                  "CSV file or folder of measured points that extend or replace the shipped ones; "
                  "may be repeated")
      ->type_name("PATH")
      ->allow_extra_args(false);
}

catalog::Catalog load_catalog(const DataOptions& options) {
  std::vector<std::filesystem::path> folders{data_dir() / "catalog"};
  std::error_code ignored;
  if (const auto climates = data_dir() / "climate"; std::filesystem::exists(climates, ignored)) {
    folders.push_back(climates);  // a data folder of the user's own may do without
  }
  folders.insert(folders.end(), options.catalog_folders.begin(), options.catalog_folders.end());
  return catalog::Catalog::load(folders);
}

std::vector<inference::MeasuredPoint> load_points(const DataOptions& options,
                                                  const catalog::Catalog& catalog) {
  std::vector<std::filesystem::path> paths{data_dir() / "points"};
  paths.insert(paths.end(), options.points_paths.begin(), options.points_paths.end());
  return inference::load_points(paths, catalog);
}

std::optional<std::filesystem::path> shipped_claims_folder() {
  const auto data = data_dir();
  std::error_code ignored;
  for (const auto& folder :
       {data / "examples" / "claims", data.parent_path() / "examples" / "claims"}) {
    if (std::filesystem::is_directory(folder, ignored)) {
      return folder;
    }
  }
  return std::nullopt;
}

}  // namespace perwatt::cli
