// [[topology.node]] and [[topology.device]] of a TOML file, and what is computed of the tree.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fuzz_check.hpp"

#include "perwatt/topology/outline.hpp"
#include "perwatt/topology/read_topology.hpp"
#include "perwatt/topology/site_check.hpp"

namespace {

using namespace perwatt;

void check_answers(const topology::PowerTree& tree) {
  topology::SiteQuestion question;
  question.downgrade = true;
  const auto check = topology::check_site(tree, question);
  fuzz::demand(check.maximum.root_supply >= check.guaranteed.root_supply, "less at the maximum");
  if (check.downgrade) {
    fuzz::demand(topology::overloads(tree, check.downgrade->loads).empty(),
                 "a downgrade passes a limit");
  }
  const topology::KnownDraws unknown{std::vector<std::optional<Watts>>(tree.nodes().size()),
                                     std::vector<std::optional<Watts>>(tree.devices().size())};
  std::size_t lines = 0;
  for (const auto& line : topology::outline(tree, unknown, false)) {
    lines += line.alike;
  }
  fuzz::demand(lines <= tree.nodes().size() + tree.devices().size(), "more lines than nodes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    check_answers(topology::read_topology(text, "fuzz.toml", {2000, 2000}));
  });
  return 0;
}
