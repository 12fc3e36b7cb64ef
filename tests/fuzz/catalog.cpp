// A catalog file on top of a small catalog that has one entry of each kind.
#include "perwatt/catalog/catalog.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fuzz_check.hpp"

namespace {

namespace fs = std::filesystem;
using namespace perwatt;

/// A folder of this process alone, removed when it ends.
class ScratchFolder {
 public:
  ScratchFolder() {
    auto pattern = (fs::temp_directory_path() / "perwatt-fuzz-XXXXXX").string();
    fuzz::demand(::mkdtemp(pattern.data()) != nullptr, "no scratch folder");
    path_ = pattern;
  }

  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Every name in a system leads to its entry.
void demand_whole(const catalog::Catalog& catalog) {
  for (const auto& system : catalog.systems()) {
    static_cast<void>(catalog.accelerator(system.accelerator, ""));
    static_cast<void>(catalog.cooling_plant(system.cooling_plant, ""));
    std::visit([&](const auto& chain) { static_cast<void>(catalog.psu_curve(chain.psu_curve)); },
               system.chain);
    fuzz::demand(system.gpus_per_rack() > 0, "a rack without GPUs");
  }
  for (const auto& price : catalog.token_prices()) {
    fuzz::demand(catalog.token_price(price.model) != nullptr, "a token price is not found");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ScratchFolder kScratch;
  std::ofstream{kScratch.path() / "x.toml", std::ios::binary}.write(
      reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  fuzz::demand_answer_or_error([] {
    demand_whole(catalog::Catalog::load({PERWATT_BASE_CATALOG, kScratch.path()}));
  });
  return 0;
}
