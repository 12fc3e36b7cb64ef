#include "perwatt/control/mode.hpp"

#include "perwatt/base/error.hpp"

namespace perwatt::control {

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::observe:
      return "observe";
    case Mode::advise:
      return "advise";
    case Mode::control:
      return "control";
  }
  throw_defect("a mode without a name");
}

std::optional<Mode> parse_mode(std::string_view text) {
  for (const Mode mode : {Mode::observe, Mode::advise, Mode::control}) {
    if (to_string(mode) == text) {
      return mode;
    }
  }
  return std::nullopt;
}

}  // namespace perwatt::control
