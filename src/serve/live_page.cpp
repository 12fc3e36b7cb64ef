#include "live_page.hpp"

#include <cstddef>

// live_page.html: defined in the assembler source that CMakeLists.txt writes.
extern "C" const char perwatt_live_page_begin[];
extern "C" const char perwatt_live_page_end[];

namespace perwatt::serve {

std::string_view live_page() {
  return {perwatt_live_page_begin,
          static_cast<std::size_t>(perwatt_live_page_end - perwatt_live_page_begin)};
}

}  // namespace perwatt::serve
