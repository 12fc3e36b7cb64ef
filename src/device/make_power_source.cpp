#include <array>
#include <string>
#include <vector>

#include "source_text.hpp"
#include "sources.hpp"

#include "perwatt/base/text.hpp"
#include "perwatt/device/power_source.hpp"

namespace perwatt::device {

namespace {

struct Kind {
  std::string_view name;
  SourcePointer (*make)(SourceText&, const SourceOptions&);
};

constexpr std::array<Kind, 11> kKinds{{{"amd", make_amd_source},
                                       {"csv", make_csv_source},
                                       {"dcgm", make_dcgm_source},
                                       {"gaudi", make_gaudi_source},
                                       {"hwmon", make_hwmon_source},
                                       {"json", make_json_source},
                                       {"modbus", make_modbus_source},
                                       {"nvml", make_nvml_source},
                                       {"prom", make_prometheus_source},
                                       {"rapl", make_rapl_source},
                                       {"redfish", make_redfish_source}}};

}  // namespace

std::unique_ptr<PowerSource> make_power_source(std::string_view text, const SourceOptions& options,
                                               std::string_view where) {
  SourceText source{text, where};
  std::vector<std::string> names;
  for (const auto& kind : kKinds) {
    if (kind.name == source.kind()) {
      auto made = kind.make(source, options);
      source.reject_unknown_keys();
      return made;
    }
    names.emplace_back(kind.name);
  }
  source.refuse("'" + printable(source.kind()) + "' is no kind of power source",
                suggestion(source.kind(), names));
}

}  // namespace perwatt::device
