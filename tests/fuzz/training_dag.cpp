// A graph of operations in JSON, and its frontier.
#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"

#include "perwatt/training/dag_file.hpp"
#include "perwatt/training/frontier.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  static const auto profile = training::read_profile(
      "stage,instruction,frequency,time,energy\n0,forward,1410,1,5\n0,forward,1200,1.5,3\n"
      "1,forward,1410,1,5\n",
      "profile.csv");
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    const auto pipeline = training::read_dag(text, "dag.json", profile, watts(80));
    const auto frontier = training::TimeEnergyFrontier::of(pipeline);
    fuzz::demand(frontier.fastest() <= frontier.slowest(), "the frontier runs backwards");
  });
  return 0;
}
