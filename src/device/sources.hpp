// The sources behind make_power_source(). Each takes its parameters from the text and throws
// Error(usage) for what it does not understand.
#pragma once

#include <memory>

#include "source_text.hpp"

#include "perwatt/device/power_source.hpp"

namespace perwatt::device {

/// The highest cap a board takes may be overshot this much for an instant without being
/// implausible: an assumption, wide on purpose, since its only use is to find readings that cannot
/// be.
inline constexpr double kOvershootRatio = 1.25;

using SourcePointer = std::unique_ptr<PowerSource>;

[[nodiscard]] SourcePointer make_dcgm_source(SourceText& text, const SourceOptions& options);
[[nodiscard]] SourcePointer make_amd_source(SourceText& text, const SourceOptions& options);
[[nodiscard]] SourcePointer make_gaudi_source(SourceText& text, const SourceOptions& options);
[[nodiscard]] SourcePointer make_prometheus_source(SourceText& text, const SourceOptions& options);
[[nodiscard]] SourcePointer make_redfish_source(SourceText& text, const SourceOptions& options);
[[nodiscard]] SourcePointer make_rapl_source(SourceText& text, const SourceOptions& options);
[[nodiscard]] SourcePointer make_hwmon_source(SourceText& text, const SourceOptions& options);
[[nodiscard]] SourcePointer make_nvml_source(SourceText& text, const SourceOptions& options);
[[nodiscard]] SourcePointer make_modbus_source(SourceText& text, const SourceOptions& options);
[[nodiscard]] SourcePointer make_json_source(SourceText& text, const SourceOptions& options);
[[nodiscard]] SourcePointer make_csv_source(SourceText& text, const SourceOptions& options);

}  // namespace perwatt::device
