// The file of pipelines of the training server. Files it names are not there but for one.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>

#include "fuzz_check.hpp"
#include <unistd.h>

#include "perwatt/serve/pipelines_file.hpp"

namespace {

/// A folder with a profile, made once.
const std::filesystem::path& folder() {
  static const auto made = [] {
    auto path = std::filesystem::temp_directory_path() /
                ("perwatt-fuzz-pipelines-" + std::to_string(::getpid()));
    std::filesystem::create_directories(path);
    std::ofstream{path / "p.csv"} << "stage,instruction,frequency,time,energy\n"
                                     "0,forward,1410,1,5\n0,forward,1200,1.5,3\n"
                                     "0,backward,1410,2,9\n1,forward,1410,1,5\n"
                                     "1,backward,1410,2,9\n1,backward,1200,3,7\n";
    std::ofstream{path / "d.json"}
        << R"({"operations": [{"name": "a", "stage": 0, "instruction": "forward"}]})";
    return path;
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  const auto file = folder() / "pipelines.toml";
  std::ofstream{file} << std::string_view{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    for (const auto& pipeline : serve::read_pipelines(file)) {
      fuzz::demand(pipeline->plan({})->energy >= pipeline->plan({})->lower_bound * (1 - 1e-9),
                   "a plan below the bound");
    }
  });
  return 0;
}
