// The frame of every HTML document: one file, no request leaves the page, and a content security
// policy holds it to that.
#pragma once

#include <string>

#include "charts.hpp"

namespace perwatt::report {

/// Up to and with <main>.
[[nodiscard]] std::string page_head(const std::string& title, const std::string& version);

/// Heading, note and figure of a chart.
[[nodiscard]] std::string chart_section(Chart chart);

/// From the footer on, with the chart libraries.
[[nodiscard]] std::string page_foot(const std::string& version);

}  // namespace perwatt::report
