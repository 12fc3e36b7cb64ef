// The texts of the live routes. Whole watts everywhere.
#pragma once

#include <string>

#include "perwatt/serve/live_state.hpp"

namespace perwatt::serve {

[[nodiscard]] std::string live_state_json(const LiveSite& site, const LiveState& state);

/// The data of the event `state`: nodes that differ from those of `before`, all of them where it is
/// null.
[[nodiscard]] std::string live_change_json(const LiveState& state, const LiveState* before);

/// What the policy would change, device by device (docs/reference/run.md#advice).
[[nodiscard]] std::string live_advice_json(const LiveSite& site, const LiveState& state);

/// The data of the event `event`.
[[nodiscard]] std::string live_event_json(const LiveEvent& event);

/// In the text format of Prometheus.
[[nodiscard]] std::string live_metrics(const LiveSite& site, const LiveState& state);

}  // namespace perwatt::serve
