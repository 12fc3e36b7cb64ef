// The Prometheus text exposition format 0.0.4 and the lines of OpenMetrics 1.0.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/result.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::device {

struct PrometheusLabel {
  std::string name;
  std::string value;
};

struct PrometheusSample {
  std::string name;
  std::vector<PrometheusLabel> labels;
  std::optional<double> value;       // absent where the page says NaN or an infinity
  std::optional<Seconds> unix_time;  // the time the page itself gives
  [[nodiscard]] std::string_view label(std::string_view label_name) const;  // "" when absent
};

/// The samples whose names are `wanted`, in the order of the page. A page with one malformed line
/// is a Failure that names the line, as for Prometheus itself: what follows it cannot be trusted,
/// and a page that was cut off must not pass for a page with fewer devices.
/// Bounds: 128 labels for a sample, 1,000,000 wanted samples.
[[nodiscard]] Result<std::vector<PrometheusSample>> parse_prometheus_text(
    std::string_view page, const std::function<bool(std::string_view name)>& wanted);

}  // namespace perwatt::device
