#include "chart_libraries.hpp"

#include <cstddef>

// Defined in the assembler source that CMakeLists.txt writes.
#define PERWATT_INLINED(name)                     \
  extern "C" const char perwatt_##name##_begin[]; \
  extern "C" const char perwatt_##name##_end[];

PERWATT_INLINED(vega)
PERWATT_INLINED(vega_lite)
PERWATT_INLINED(vega_embed)
PERWATT_INLINED(licences)
PERWATT_INLINED(render_charts)
PERWATT_INLINED(style)
#undef PERWATT_INLINED

namespace perwatt::report {

namespace {

std::string_view between(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

}  // namespace

std::string_view vega_script() {
  return between(perwatt_vega_begin, perwatt_vega_end);
}

std::string_view vega_lite_script() {
  return between(perwatt_vega_lite_begin, perwatt_vega_lite_end);
}

std::string_view vega_embed_script() {
  return between(perwatt_vega_embed_begin, perwatt_vega_embed_end);
}

std::string_view chart_licences() {
  return between(perwatt_licences_begin, perwatt_licences_end);
}

std::string_view render_charts_script() {
  return between(perwatt_render_charts_begin, perwatt_render_charts_end);
}

std::string_view report_style() {
  return between(perwatt_style_begin, perwatt_style_end);
}

}  // namespace perwatt::report
