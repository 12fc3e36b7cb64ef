// The page at /: one document that loads nothing but the site's own state.
#pragma once

#include <string_view>

namespace perwatt::serve {

[[nodiscard]] std::string_view live_page();

}  // namespace perwatt::serve
