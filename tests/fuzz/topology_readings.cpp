// Readings of meters against a tree: the first byte picks the pulsed node.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fuzz_check.hpp"

#include "perwatt/topology/read_topology.hpp"
#include "perwatt/topology/site_check.hpp"

namespace {

using namespace perwatt;

const topology::PowerTree& small_tree() {
  static const auto tree = topology::read_topology(
      "[[topology.node]]\nid = \"u\"\nmeter = \"load\"\nefficiency = 0.9\n"
      "[[topology.node]]\nid = \"a\"\nparent = \"u\"\n[[topology.node]]\nid = \"b\"\nparent = "
      "\"u\"\n"
      "[[topology.node]]\nid = \"r\"\nfeeds = [{ parent = \"a\" }, { parent = \"b\" }]\ncount = 2\n"
      "[[topology.device]]\nid = \"g\"\nparent = \"r-1\"\nmax = \"1kW\"\n",
      "tree.toml");
  return tree;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  fuzz::demand_answer_or_error([&] {
    const auto readings = topology::read_readings(text, "fuzz.csv", small_tree());
    topology::SiteQuestion question;
    question.readings = &readings;
    const bool is_told = data[0] % 2 == 1;
    question.pulse = topology::PulseQuestion{data[0] % 4 < 2 ? "r-1" : "g", std::nullopt};
    if (is_told) {
      question.pulse->times = topology::PulseTimes{seconds(10), seconds(30)};
    }
    const auto check = topology::check_site(small_tree(), question);
    for (const auto& finding : check.pulse->findings) {
      fuzz::demand(!finding.is_fault() || finding.samples_on >= topology::kLeastPulseSamples,
                   "a fault without samples");
    }
  });
  return 0;
}
