// A site file with [[topology.curve]], the CSV of its curves after a line "=", and the split.
#include "perwatt/allocate/site_curves.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz_check.hpp"

#include "perwatt/allocate/site_split.hpp"
#include "perwatt/curve/curve_file.hpp"
#include "perwatt/topology/loads.hpp"
#include "perwatt/topology/read_topology.hpp"

namespace {

using namespace perwatt;

void demand_within_limits(const topology::PowerTree& tree, const std::vector<Watts>& draws) {
  const auto loads = topology::loads_at(tree, draws);
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    for (const auto& limit : tree.node({n}).limits) {
      fuzz::demand(loads.bounded_by(limit, {n}) <= limit.power * (1 + 1e-6) + watts(1e-3),
                   "a node carries more than its limit");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto mark = text.find("\n=\n");
  const auto site = text.substr(0, mark);
  const std::string csv{mark == std::string_view::npos ? std::string_view{}
                                                       : text.substr(mark + 3)};
  fuzz::demand_answer_or_error([&] {
    const auto file = curve::read_curve_file(csv, "curve.csv");
    const auto again = curve::read_curve_file(curve::curve_file_text(file), "again.csv");
    fuzz::demand(again.rows.size() == file.rows.size(), "rows are lost");
    for (std::size_t i = 0; i < file.rows.size(); ++i) {
      fuzz::demand(
          again.rows[i].cap == file.rows[i].cap && again.rows[i].draw == file.rows[i].draw &&
              again.rows[i].tail == file.rows[i].tail && again.rows[i].value == file.rows[i].value,
          "a row changes when written and read");
    }
  });
  fuzz::demand_answer_or_error([&] {
    const auto tree = topology::read_topology(site, "fuzz.toml", {200, 200});
    const auto curves = allocate::read_site_curves(site, "fuzz.toml", tree,
                                                   [&](const std::string&) { return csv; });
    if (tree.devices().empty()) {
      return;
    }
    const auto split = allocate::split_site(tree, curves);
    if (split.status == allocate::Status::infeasible) {
      return;
    }
    demand_within_limits(tree, split.device_power);
    demand_within_limits(tree, split.settings.device_power);
    fuzz::demand(split.settings.value <= split.bound + 1e-6 * (1 + split.bound),
                 "settings make more than the bound");
  });
  return 0;
}
