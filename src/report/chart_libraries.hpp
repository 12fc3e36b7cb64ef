// The chart libraries and the style sheet, inlined when perwatt is built.
#pragma once

#include <string_view>

namespace perwatt::report {

[[nodiscard]] std::string_view vega_script();
[[nodiscard]] std::string_view vega_lite_script();
[[nodiscard]] std::string_view vega_embed_script();
[[nodiscard]] std::string_view chart_licences();
[[nodiscard]] std::string_view render_charts_script();
[[nodiscard]] std::string_view report_style();

}  // namespace perwatt::report
