// A site file against the shipped catalog and climates, beside an hourly file hours.csv, a training
// profile profile.csv and a graph of operations graph.json.
#include "perwatt/plan/site.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "fuzz_check.hpp"
#include <unistd.h>

#include "perwatt/base/file.hpp"

namespace {

const perwatt::catalog::Catalog& catalog_with_climates() {
  static const auto kCatalog =
      perwatt::catalog::Catalog::load({PERWATT_SHIPPED_CATALOG, PERWATT_SHIPPED_CLIMATES});
  return kCatalog;
}

/// A folder with the files that a site may name, for as long as the program runs.
class Folder {
 public:
  Folder()
      : path_{std::filesystem::temp_directory_path() /
              ("perwatt-fuzz-site-" + std::to_string(::getpid()))} {
    std::filesystem::create_directories(path_);
    std::string hours = "dry_bulb_c,relative_humidity_percent,energy_usd_per_kwh,demand_ratio\n";
    for (int i = 0; i < 8760; ++i) {
      hours += std::to_string(i % 37 - 5) + "," + std::to_string(20 + i % 71) + ",0.0" +
               std::to_string(i % 10) + ",0." + std::to_string(1 + i % 9) + "\n";
    }
    perwatt::write_file(path_ / "hours.csv", hours);
    perwatt::write_file(
        path_ / "profile.csv",
        "stage,instruction,frequency,time,energy\n0,forward,1410,1,300\n"
        "0,forward,1000,1.25,150\n0,backward,1410,2,700\n0,backward,1000,2.5,350\n");
    perwatt::write_file(path_ / "graph.json",
                        R"({"operations": [{"name": "f", "stage": 0, "instruction": "forward"}]})");
  }

  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] std::string site_file() const { return (path_ / "site.toml").string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  static const Folder kFolder;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    const auto site = plan::parse_site(text, kFolder.site_file(), catalog_with_climates());
    fuzz::demand(site.envelope > Watts{}, "the envelope is not above 0");
    fuzz::demand(!site.services.empty() || !site.training.empty(), "nothing to do");
    fuzz::demand(!site.racks.empty(), "no rack");
    for (const auto& job : site.training) {
      fuzz::demand(job.curve != nullptr && job.gpus_per_pipeline() > 0 && job.max_pipelines > 0 &&
                       job.tokens_per_iteration > Tokens{},
                   "a training job without a pipeline");
    }
    for (const auto& rack : site.racks) {
      static_cast<void>(catalog_with_climates().system(rack.system, ""));
    }
    double year = 0;
    for (const auto& hour : site.year) {
      year += hour.year_ratio;
    }
    fuzz::demand(year > 1 - 1e-9 && year < 1 + 1e-9, "the hour classes are not one year");
    for (const auto& hall : site.halls) {
      fuzz::demand(!hall.curves || hall.curves->worst.size() == site.year.size(),
                   "a hall without a curve for each hour class");
    }
  });
  return 0;
}
