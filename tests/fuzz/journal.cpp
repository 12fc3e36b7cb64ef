// What a journal holds of a controller: the inputs of a tick, or a whole state. Refused by place,
// or taken, and then no grant is out of range or passes a limit that the ledger does not call over.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "fuzz_check.hpp"
#include "input_log.hpp"

#include "perwatt/control/controller.hpp"

namespace {

using namespace perwatt;

control::Controller small_controller() {
  topology::NodeSpec root;
  root.id = "root";
  root.limits = {{topology::LimitKind::breaker, watts(1500), {}, {}, {}}};
  std::vector<topology::DeviceSpec> specs;
  std::vector<control::ControlledDevice> devices;
  for (const char* id : {"a", "b", "c"}) {
    topology::DeviceSpec spec;
    spec.id = id;
    spec.parent = "root";
    spec.min = watts(200);
    spec.max = watts(700);
    specs.push_back(spec);
    devices.push_back({{watts(200), 0.01, {}},
                       watts(200),
                       watts(700),
                       {{watts(200), 0}, {watts(400), 3}, {watts(700), 4}}});
  }
  return control::Controller{topology::PowerTree::build({root}, specs), std::move(devices), {}};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const bool is_state = data[0] == 's';
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  fuzz::demand_answer_or_error([&] {
    auto controller = small_controller();
    if (is_state) {
      controller.resume(bytes);
      fuzz::demand(controller.state() == bytes, "a state that was taken is another one");
    } else {
      static_cast<void>(control::apply_inputs(bytes, "journal: inputs", {3, 1}, controller));
    }
    for (const auto& grant : controller.tick(Instant::from_nanoseconds(1'000'000'000))) {
      fuzz::demand(grant.device.value < 3, "a grant to nobody");
      fuzz::demand(grant.grant.cap >= watts(200) && grant.grant.cap <= watts(700),
                   "a cap out of range");
    }
    const auto& ledger = controller.ledger();
    fuzz::demand(!ledger.fault(), "sums of charges that are none");
    Watts charged;
    for (std::uint32_t d = 0; d < 3; ++d) {
      charged += ledger.charge({d});
    }
    fuzz::demand(ledger.is_over() || charged <= watts(1500 + 1e-3), "charges pass the limit");
  });
  return 0;
}
